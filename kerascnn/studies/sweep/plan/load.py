"""Reads what a sweep is to do, from its file or from an experiment with options, and checks it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kerascnn.components.registry import Registry
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.load import is_sweep, load_experiment, read_toml
from kerascnn.experiment.metrics import ALWAYS, unlisted
from kerascnn.experiment.problems import explain, report
from kerascnn.studies.sweep.plan.asked import Asked, of_file
from kerascnn.studies.sweep.plan.model import TRIALS, TRIALS_IN_TIME, Settings, Sweep
from kerascnn.studies.sweep.plan.space import Space, bind_space, check_grid


@dataclass(frozen=True)
class Planned:
    """A checked sweep: nothing of it can fail for its input."""

    space: Space
    settings: Settings

    @property
    def experiment(self) -> BoundExperiment:
        return self.space.experiment

    @property
    def tables(self) -> dict[str, Any]:
        """What is tried, as a file has it."""
        return {one.key: one.table for one in self.space.dimensions}

    @property
    def trials(self) -> int:
        """The number of trials, at most."""
        if self.settings.sampler == "grid":
            every = len(self.space.grid())
            return min(self.settings.trials or every, every)
        default = TRIALS if self.settings.minutes is None else TRIALS_IN_TIME
        return self.settings.trials or default


def load_sweep(
    file: Path,
    tries: Sequence[Asked] = (),
    options: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Planned:
    """Reads and checks a sweep.

    Args:
        file: A sweep, or an experiment.
        tries: Keys to try besides those of the file.
        options: Settings that replace those of the file.
        overrides: Dotted keys of the experiment and their values.
        registry: The components; default all that are installed.

    Raises:
        InputError: One line per fault.
    """
    text, data = read_toml(file)
    if not is_sweep(data):
        experiment = load_experiment(file, overrides, registry)
        return plan(experiment, tries, options or {})
    origin = str(file)
    settings = _settings({**data, **(options or {})}, text, origin, options or {})
    asked = of_file(data["space"], text, origin)
    experiment = load_experiment(file.parent / settings.experiment, overrides, registry)
    given = settings.model_dump(include=set(Settings.model_fields))
    return plan(experiment, [*asked, *tries], given)


def _settings(data: dict[str, Any], text: str, origin: str, options: Mapping[str, Any]) -> Sweep:
    try:
        return Sweep.model_validate(data)
    except ValidationError as error:
        problems = explain(error, Sweep, data)
        raise InputError(report(problems, data, text, origin, options)) from error


def plan(experiment: BoundExperiment, asked: Sequence[Asked], given: Mapping[str, Any]) -> Planned:
    """Checks everything that a sweep will try, before its first trial.

    Args:
        experiment: What is varied.
        asked: The keys to try, at least one.
        given: Settings of the sweep.

    Raises:
        InputError: One line per fault.
    """
    try:
        settings = Settings.model_validate(dict(given))
    except ValidationError as error:
        problems = explain(error, Settings, dict(given))
        raise InputError("\n".join(f"--{problem}" for problem in problems)) from error
    _check_metric(experiment, settings.metric)
    if not asked:
        raise InputError(
            "nothing to try: give --try KEY=LOW..HIGH or --try KEY=VALUE,VALUE, such as "
            "--try stages.0.learning_rate=1e-4..1e-2."
        )
    space = bind_space(experiment, asked)
    if settings.sampler == "grid":
        check_grid(space)
    return Planned(space, settings)


def _check_metric(experiment: BoundExperiment, metric: str) -> None:
    always = [f"val_{name}" for name in ALWAYS]
    listed = experiment.metrics
    if metric not in (*always, *(f"val_{name}" for name in listed)):
        place = ("metric",)
        raise InputError(str(unlisted(place, metric, "val_", always, listed, experiment.registry)))


def with_settings(planned: Planned, **changes: Any) -> Planned:
    """The same sweep with other settings, as `--resume` may give them."""
    return replace(planned, settings=planned.settings.model_copy(update=changes))
