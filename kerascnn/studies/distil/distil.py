"""`kerascnn distil`: one network taught by the probabilities of a run."""

import tomllib
from typing import Any

from kerascnn.components.registry import load_registry
from kerascnn.engine.load import OF_IMAGES
from kerascnn.engine.observer import Observer, default_observer
from kerascnn.engine.result.run import Result
from kerascnn.experiment.bound import BoundExperiment, bind_experiment
from kerascnn.results.find import find_run
from kerascnn.results.joined import weights_sha256
from kerascnn.run.init import recipe_text
from kerascnn.run.runner import run_in
from kerascnn.run.session import Session
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.process import contained


@contained()
def distil_run(
    run: str | Result,
    into: str | BoundExperiment,
    observer: Observer | None = None,
) -> Result:
    """Trains one network on a run's probabilities for the training images and their views.

    Args:
        run: The teacher, mostly an ensemble: a run's id, a unique prefix of one, "last", or a
            result.
        into: The student: the name of an architecture, trained on the teacher's images by the
            recipe of `init`, or an experiment with settings of its own.
        observer: Receives the events; default prints them on standard error.

    Returns:
        The student's result; its `teacher` has what it kept of the teacher's accuracy.

    Raises:
        InputError: No such run or architecture; other classes; or the teacher was trained on the
            student's validation or test images.
    """
    expect(into, (str, BoundExperiment), "into", " Give the name of an architecture.")
    teacher = find_run(run)
    student = into if isinstance(into, BoundExperiment) else student_of(teacher, into)
    taught: dict[str, Any] = {"run": teacher.run_id, "sha256": weights_sha256(teacher)}
    if (given := student.training.teacher) and given.run == teacher.run_id:
        taught |= {"share": given.share, "temperature": given.temperature}
    experiment = student.with_overrides({"training.teacher": taught})
    with Session() as session:
        return run_in(session, experiment, observer or default_observer(), name=_title(experiment))


def student_of(teacher: Result, architecture: str) -> BoundExperiment:
    """An experiment with this architecture on a teacher's images, by the recipe of `init`.

    Its images are as large as the largest of the teacher's members.

    Raises:
        InputError: There is no such architecture.
    """
    registry = load_registry()
    registry.find(architecture, "architecture")
    settings: dict[str, Any] = tomllib.loads(recipe_text(architecture, registry))
    of_teacher = teacher.experiment
    members = teacher.ensemble["members"] if teacher.ensemble else []
    sizes = [member["image_size"] for member in members] or [teacher.training.image_size]
    training = of_teacher["training"]
    kept = {key: training[key] for key in OF_IMAGES if key in training}
    return bind_experiment(
        {
            **settings,
            "name": teacher.name,
            "seed": of_teacher["seed"],
            "dataset": of_teacher["dataset"],
            "metrics": of_teacher.get("metrics", []),
            "training": {**settings["training"], **kept, "image_size": max(sizes)},
        },
        registry,
    )


def _title(experiment: BoundExperiment) -> str:
    teacher = experiment.training.teacher
    assert teacher
    return f"{experiment.architecture.name} taught by run {teacher.run[:8]}"
