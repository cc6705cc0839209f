"""`kerascnn ensemble`: one classifier of several runs."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.network.outputs import with_outputs
from kerascnn.engine.observer import Observer, Only, default_observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result.ensemble import Decision
from kerascnn.engine.result.run import Result
from kerascnn.experiment.bound import BoundExperiment, bind_experiment
from kerascnn.results.leaks import Loaded, as_prepared
from kerascnn.run.runner import run_in
from kerascnn.run.session import Session
from kerascnn.runtime.arguments import as_list
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.process import contained
from kerascnn.runtime.text import counted
from kerascnn.studies.ensemble.checked import check_members, refuse_leaks
from kerascnn.studies.ensemble.choice import choose_views, choose_weights
from kerascnn.studies.ensemble.members import ensemble_settings, find_members


@contained()
def ensemble_runs(
    runs: Iterable[str | Result],
    observer: Observer | None = None,
    *,
    name: str = "",
    backend: str = "auto",
) -> Result:
    """Makes one classifier of several runs: the mean of their calibrated probabilities.

    It is a run like any other, and needs its members no longer. Weights other than equal ones, and
    averaging over mirrored and enlarged views of an image, are used only where the validation
    images show that they help. The test images are used once, by the ensemble.

    Args:
        runs: Two or more, of the same classes: ids, unique prefixes, "last", or results. An
            ensemble counts as its members.
        observer: Receives the events; default prints them on standard error.
        name: Of the experiment; default that of the first run.
        backend: "tensorflow", "jax", "torch", or "auto": any; it need not be that of the runs.

    Returns:
        The result; its `ensemble` has the members and what was decided.

    Raises:
        InputError: The runs do not fit together, or one was trained on images that another is
            validated or tested on.
    """
    members = find_members(as_list(runs, (str, Result), "runs"))
    with Session() as session:
        observer = observer or default_observer()
        return ensemble_in(session, members, observer, name=name, backend=backend)


def ensemble_in(
    session: Session,
    members: Sequence[Result],
    observer: Observer,
    *,
    name: str = "",
    backend: str = "auto",
    parent: str | None = None,
) -> Result:
    """As `ensemble_runs`, of members that `find_members` has checked, as one of a session's runs.

    Args:
        parent: The id of the run to show it under; default none.
    """
    select_backend(backend)
    equal = [1 / len(members)] * len(members)
    experiment = bind_experiment(ensemble_settings(members, equal, name=name, backend=backend))
    quiet = Only(progress=observer.progress, warned=observer.warned)
    with session.attempt():
        prepared = session.prepare(experiment, quiet)
        data = prepared.data
        loaded = as_prepared(experiment, data, quiet)
        refuse_leaks(members, loaded)
        weights, views, decisions = _decide(experiment, members, prepared, loaded)
    for decision in decisions:
        observer.warned(f"{decision['what']}: {decision['chosen']}; {decision['why']}")
    settings = ensemble_settings(members, weights.tolist(), views, name=name, backend=backend)
    title = f"ensemble of {counted(len(members), 'run')}"
    return run_in(
        session,
        bind_experiment(settings),
        observer,
        parent=parent,
        data=data,
        name=title,
        decisions=decisions,
    )


def _decide(
    experiment: BoundExperiment,
    members: Sequence[Result],
    prepared: Prepared,
    loaded: Loaded,
) -> tuple[np.ndarray, int, list[Decision]]:
    """Checks the members in an ensemble with equal weights, and chooses weights and views."""
    training, validation = experiment.training, prepared.data.validation
    images, labels = Preparation.of(training).windows(validation.images), validation.labels
    outputs = with_outputs(prepared.network.model)
    forward = Forward(outputs.model)

    def each(images: Any) -> np.ndarray:
        """The members' probabilities [M, N, K] of images."""
        return outputs.said(forward(images, training.images_at_once)).members

    inside = each(images)
    seen = (training.image_size, training.crop_margin)
    own = [(member.training.image_size, member.training.crop_margin) for member in members]
    resized = check_members(members, inside, loaded, [one != seen for one in own])
    weights, decision = choose_weights(inside, labels)

    def mean(images: Any) -> np.ndarray:
        return np.tensordot(weights, each(images), 1)

    plain = np.tensordot(weights, inside, 1)
    views, seen_as = choose_views(plain, images, mean, labels)
    return weights, views, [*resized, decision, seen_as]
