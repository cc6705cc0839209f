"""What lets a run go on: its checkpoints, and what must be then as it was."""

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerascnn.components.registry import Registry
from kerascnn.engine.network.freezing import digest, frozen_variables, set_trainable
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result import EXPERIMENT
from kerascnn.engine.training.checkpoints import Checkpoints, State
from kerascnn.engine.training.progress import (
    assign,
    check_finite,
    network_variables,
    random_state,
    set_random_state,
    values,
)
from kerascnn.engine.training.stage import StageResult
from kerascnn.errors import ResumeError
from kerascnn.experiment.load import bind, flatten, resolve
from kerascnn.experiment.model import UNDECISIVE, Experiment
from kerascnn.experiment.paths import read_from
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.interruption import Interruption
from kerascnn.runtime.versions import installed_versions

CHECKPOINTS = "checkpoints"

_DECIDING = ("kerascnn", "keras", "numpy", "pillow")  # and the backend
_NAMED = 5


class ChangedError(ResumeError):
    """A run cannot go on, for something that decides its result has changed."""


class Keeper:
    """Keeps the state of a run, and puts a run that goes on back into it.

    Args:
        prepared: The run, ready to train.
        registry: Where its components come from.
        folder: The run's folder.
        observer: Is told of damage, and where the run goes on.
        interruption: Is asked whether the run should be set down.
        start: When this process began with the run, by `time.perf_counter`.
    """

    def __init__(
        self,
        prepared: Prepared,
        registry: Registry,
        folder: Path,
        observer: Observer,
        interruption: Interruption,
        start: float,
    ) -> None:
        self._prepared, self._observer = prepared, observer
        self._interruption = interruption
        self._registry = registry
        self._settings = _settings(resolve(prepared.experiment, registry))
        self._decides = {**self._settings, **what_else_decides(prepared, registry)}
        self._begun = folder / EXPERIMENT
        self._checkpoints = Checkpoints(
            folder / CHECKPOINTS, prepared.experiment.training.checkpoint_seconds
        )
        self._start = start
        self._failed = False
        self.results: list[StageResult] = []
        self.stage: State | None = None

    @property
    def seconds(self) -> float:
        """That the run has taken, those of earlier processes included."""
        return time.perf_counter() - self._start

    def goes_back(self) -> bool:
        """Whether there is a whole checkpoint; the network is then as it was.

        Raises:
            ChangedError: What decides the result is not what it was.
        """
        state, damaged = self._checkpoints.read()
        for sentence in damaged:
            self._observer.warned(sentence)
        if state:
            check_same(state["decides"], self._decides)
            self._go_back(state)
        elif self._begun.is_file():
            begun = tomllib.loads(self._begun.read_text("utf-8"))
            read_from(self._begun.parent, begun, self._registry, self._observer.warned)
            check_same(_settings(begun), self._settings)
            self._observer.warned("there is no whole checkpoint of this run: it starts over.")
        return state is not None

    def begin(self) -> None:
        """Writes the first checkpoint."""
        self._write(None)

    def pause(self, epoch_ended: bool) -> bool:
        """Whether the stage that trains is to be set down now."""
        self._interruption.patient = True
        return self._interruption.asked or self._checkpoints.due(epoch_ended)

    def keep(self, stage: State) -> None:
        """Writes a checkpoint in the midst of a stage; leaves then if that was asked for."""
        self._write(stage)
        if self._interruption.asked:
            raise KeyboardInterrupt

    def stage_ended(self, result: StageResult) -> None:
        self.results.append(result)
        self.stage = None
        if self.pause(True):
            self._write(None)
        self._interruption.patient = False
        if self._interruption.asked:
            raise KeyboardInterrupt

    def run_ended(self) -> None:
        self._checkpoints.remove()

    def _write(self, stage: State | None) -> None:
        network = values(self._variables(len(self.results) + (stage is not None)))
        check_finite(network, "the network")
        state = {
            "decides": self._decides,
            "seconds": self.seconds,
            "results": [result.to_state() for result in self.results],
            "stage": stage,
            "network": network,
            "random": random_state(),
        }
        try:
            self._checkpoints.write(state)
            self._failed = False
        except OSError as error:
            if not self._failed:
                self._observer.warned(
                    f"no checkpoint could be written: {error.strerror}: {error.filename}; the "
                    "last one stays, and training goes on."
                )
            self._failed = True

    def _variables(self, stages: int) -> list[Any]:
        """What the first stages may have changed; all else is as it was built."""
        layers = [layer for plan in self._prepared.plans[:stages] for layer in plan.layers]
        return network_variables(self._prepared.network.model, layers)

    def _go_back(self, state: State) -> None:
        self.results = [StageResult.from_state(result) for result in state["results"]]
        self.stage = state["stage"]
        assign(self._variables(len(self.results) + (self.stage is not None)), state["network"])
        self._check_frozen()
        set_random_state(state["random"])
        self._start -= state["seconds"]
        self._tell()

    def _check_frozen(self) -> None:
        """What no checkpoint holds, for no stage has changed it, must have been built the same."""
        done = self.results[-1] if self.results else None
        plan = self._prepared.plans[len(self.results) - (self.stage is None)]
        frozen = self.stage["frozen_sha256"] if self.stage else done and done.frozen_sha256
        model = self._prepared.network.model
        if frozen:
            set_trainable(model, plan.layers, plan.batchnorm)
            if digest(frozen_variables(model)) != frozen:
                raise _refused(["the weights that the network begins with"])

    def _tell(self) -> None:
        plans = self._prepared.plans
        plan = plans[len(self.results)] if len(self.results) < len(plans) else None
        epochs = len(self.stage["history"]) if self.stage else 0
        self._observer.resumed(plan, epochs, self.stage["step"] if self.stage else 0)


def _settings(resolved: dict[str, Any]) -> dict[str, str]:
    return {key: repr(value) for key, value in flatten(resolved).items() if key not in UNDECISIVE}


def what_else_decides(prepared: Prepared, registry: Registry) -> dict[str, str]:
    """All that decides the result beside the settings, by names that a person understands."""
    versions = installed_versions()
    return {  # causes first: a refusal names only a few
        **{f"version of {name}": versions.get(name, "") for name in (*_DECIDING, prepared.backend)},
        "backend": prepared.backend,
        "device": device_name(),
        **dict(_code(prepared.experiment, registry)),
        **{f"images to {name}": p.fingerprint for name, p in prepared.data.splits().items()},
        **{f"prepared images to {name}": p.key for name, p in prepared.data.splits().items()},
    }


def _code(experiment: Experiment, registry: Registry) -> Iterator[tuple[str, str]]:
    yield "code of the dataset", bind(experiment.dataset, "dataset", registry).key
    yield "code of the architecture", bind(experiment.architecture, "architecture", registry).key
    for stage in experiment.stages:
        augmentation = bind(experiment.augmentation_of(stage), "augmentation", registry)
        yield f"code of the augmentation {augmentation.name}", augmentation.key
        schedule = bind(stage.schedule, "schedule", registry)
        yield f"code of the schedule {schedule.name}", schedule.key


def check_same(then: dict[str, str], now: dict[str, str]) -> None:
    """Raises ChangedError, which names the difference, unless all that decides is as it was."""
    differ = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if differ:
        raise _refused([_difference(name, then.get(name), now.get(name)) for name in differ])


def _difference(name: str, then: str | None, now: str | None) -> str:
    secret = name.startswith(("code", "images", "prepared"))  # hashes say nothing
    return name if secret else f"{name} (was {then or 'not there'}, is {now or 'not there'})"


def _refused(differ: list[str]) -> ChangedError:
    more = f" and {len(differ) - _NAMED} more" if len(differ) > _NAMED else ""
    return ChangedError(
        f"the run cannot go on exactly as it would have, for this has changed since: "
        f"{'; '.join(differ[:_NAMED])}{more}. Change it back, or begin a new run without --resume."
    )
