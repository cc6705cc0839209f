"""Writes the checkpoints of a run, and resumes it exactly from the last one."""

import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.events import stage_start
from kerascnn.engine.network.freezing import digest, frozen_variables, set_trainable
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result.run import EXPERIMENT
from kerascnn.engine.training.checkpoints import Checkpoints, State
from kerascnn.engine.training.listener import Control, Epoch
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.engine.training.variables import (
    assign,
    check_finite,
    random_state,
    set_random_state,
    values,
)
from kerascnn.errors import ResumeError
from kerascnn.experiment.model import incidental
from kerascnn.experiment.paths import read_from
from kerascnn.experiment.tables import flatten
from kerascnn.run.result.look import Look, look_at, look_back
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.interruption import Interruption
from kerascnn.runtime.text import counted
from kerascnn.runtime.versions import installed_versions

CHECKPOINTS = "checkpoints"
_PACKAGES = ("kerascnn", "keras", "numpy", "pillow")  # and the backend
_NAMED = 5
DEVICES = "devices"
MOST = 2**5
"""Times as many micro-batches as asked for, in all stages together, before a run gives up."""


class ChangedError(ResumeError):
    """A run cannot resume: something that determines its result has changed."""


def settings_of(resolved: dict[str, Any]) -> dict[str, str]:
    """The settings of a resolved experiment that determine the result, as text."""
    return {key: repr(value) for key, value in flatten(resolved).items() if not incidental(key)}


def determinants(prepared: Prepared) -> dict[str, str]:
    """Everything besides the settings that determines the result, by readable names."""
    found = installed_versions()
    return {  # causes first: a message names only a few
        **{f"version of {name}": found.get(name, "") for name in (*_PACKAGES, prepared.backend)},
        "backend": prepared.backend,
        "device": device_name(),
        DEVICES: str(prepared.devices),
        **prepared.experiment.code_keys,
        **{f"teacher of {p.stage.name}": p.teacher.key for p in prepared.plans if p.teacher},
        **{f"{name} images": p.fingerprint for name, p in prepared.data.splits().items()},
        **{f"prepared {name} images": p.key for name, p in prepared.data.splits().items()},
    }


def check_same(then: dict[str, str], now: dict[str, str]) -> None:
    differ = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if differ:
        raise changed([_difference(name, then.get(name), now.get(name)) for name in differ])


def _difference(name: str, then: str | None, now: str | None) -> str:
    if name == DEVICES:
        said = "--devices, or --workers, resumes so, equal up to rounding"
        return f"{name} (was {then}, is {now}; {said})"
    hashed = name.startswith("code") or name.endswith("images") or name.startswith("teacher")
    return name if hashed else f"{name} (was {then or 'not set'}, is {now or 'not set'})"


def changed(differ: list[str]) -> ChangedError:
    more = f" and {len(differ) - _NAMED} more" if len(differ) > _NAMED else ""
    return ChangedError(
        "cannot resume exactly: this has changed since the run started: "
        f"{'; '.join(differ[:_NAMED])}{more}. Change it back, or start a new run without --resume."
    )


class Checkpointer(Control):
    """Writes the state of a run in its folder, and restores it when the run resumes.

    Args:
        observer: Receives warnings, and where the run resumes.
        start: When this process started the run, by `time.perf_counter`.
        judge: Asked after each epoch, and once after a stage that an earlier run has trained, about
            the weights that it ended with. Returns why the run is to end there, or "".
        move: Whether a run may resume on another number of devices.

    Attributes:
        devices: The number of devices; before it those that earlier processes trained on.
        results: Of the stages that are done.
        stage: The state of the stage to resume in, if any.
        accumulation: Of stages that ran out of memory, the number of micro-batches of a batch.
        pruned: What `judge` returned last.
    """

    def __init__(
        self,
        prepared: Prepared,
        folder: Path,
        observer: Observer,
        interruption: Interruption,
        start: float,
        judge: Callable[[Look], str] | None = None,
        *,
        move: bool = False,
    ) -> None:
        self._prepared, self._observer = prepared, observer
        self._interruption = interruption
        self._settings = settings_of(prepared.experiment.resolved)
        self._determinants = {**self._settings, **determinants(prepared)}
        self._begun = folder / EXPERIMENT
        self._checkpoints = Checkpoints(
            folder / CHECKPOINTS, prepared.experiment.training.checkpoint_seconds
        )
        self._start = start
        self._judge, self._move = judge, move
        self.devices, self._random = [prepared.devices], random_state()
        self._failed = False
        self.pruned = ""
        self.results: list[StageResult] = []
        self.stage: State | None = None
        self.accumulation: dict[str, int] = {}

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The run's stages, those that ran out of memory in smaller micro-batches."""
        return tuple(
            replace(plan, accumulation=self.accumulation.get(plan.stage.name, plan.accumulation))
            for plan in self._prepared.plans
        )

    @property
    def may_divide(self) -> bool:
        """Whether the stage that runs out of memory can go on in smaller micro-batches."""
        asked = {plan.stage.name: plan.accumulation for plan in self._prepared.plans}
        doublings = [now // asked[name] for name, now in self.accumulation.items()]
        plan = self.plans[len(self.results)]
        smaller = plan.at_once(plan.images, self._prepared.devices) > 1
        return smaller and prod(doublings) < MOST

    def divide(self) -> str:
        """Goes back to the last checkpoint, and halves the micro-batches of the stage that failed.

        Without a checkpoint, as a trial or a fold may be, it goes back to the start.

        Returns:
            What it did, in a sentence.
        """
        plan = self.plans[len(self.results)]
        times = 2 * plan.accumulation
        images = plan.at_once(plan.images, self._prepared.devices)
        said = (
            f'stage "{plan.stage.name}": out of memory at {counted(images, "image")} at once; '
            f"training continues from the last checkpoint with gradient_accumulation = {times}, "
            f"which takes the same steps of {counted(plan.batch_size, 'image')} up to rounding."
        )
        self._observer.warned(said)
        divided = {**self.accumulation, plan.stage.name: times}
        assign(self._prepared.changed_by(len(self.plans)), self._prepared.built)
        if state := self._read():
            self._restore(state)
        else:
            self.results, self.stage = [], None
            set_random_state(self._random)
        self.accumulation = divided
        return said

    @property
    def seconds(self) -> float:
        """Duration of the run, including earlier processes."""
        return time.perf_counter() - self._start

    def restore(self) -> bool:
        """Restores the last intact checkpoint; False if there is none; may raise ChangedError."""
        state = self._read()
        if state:
            then = state["determinants"]
            moved = {DEVICES: self._determinants[DEVICES]} if self._move else {}
            check_same({**then, **moved}, self._determinants)
            if state["devices"][-1:] != self.devices:
                self.devices = [*state["devices"], *self.devices]
            else:
                self.devices = state["devices"]
            self._start -= state["seconds"]
            self._restore(state)
        elif self._begun.is_file():
            begun = tomllib.loads(self._begun.read_text("utf-8"))
            registry = self._prepared.experiment.registry
            read_from(self._begun.parent, begun, registry, self._observer.warned)
            check_same(settings_of(begun), self._settings)
            self._observer.warned("this run has no intact checkpoint: it starts over.")
        return state is not None

    def begin(self) -> None:
        self._write(None)

    def due(self, epoch_ended: bool) -> bool:
        self._interruption.patient = True
        return self._interruption.asked or self._checkpoints.due(epoch_ended)

    def checkpoint(self, state: State) -> None:
        """Writes a checkpoint within a stage, and stops there if the run was interrupted."""
        self._write(state)
        if self._interruption.asked:
            raise KeyboardInterrupt

    def stops(self, epoch: Epoch, probabilities: np.ndarray) -> bool:
        if self._judge:
            look = look_at(self._prepared, self.results, epoch, probabilities)
            self.pruned = self._judge(look)
        return bool(self.pruned)

    def stage_ended(self, result: StageResult) -> None:
        self.results.append(result)
        self.stage = None
        if self._judge and result.reused_from:
            self.pruned = self._judge(look_back(self._prepared, self.results))
        if not self.pruned and self.due(True):
            self._write(None)
        self._interruption.patient = False
        if self._interruption.asked:
            raise KeyboardInterrupt

    def remove(self) -> None:
        self._checkpoints.remove()

    def _read(self) -> State | None:
        state, damaged = self._checkpoints.read()
        for sentence in damaged:
            self._observer.warned(sentence)
        return state

    def _write(self, stage: State | None) -> None:
        network = values(self._prepared.changed_by(self._begun_stages(stage)))
        check_finite(network, "the network")
        state = {
            "determinants": self._determinants,
            "seconds": self.seconds,
            "devices": self.devices,
            "accumulation": self.accumulation,
            "results": [asdict(result) for result in self.results],
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
                    f"cannot write a checkpoint to {error.filename}: {error.strerror}; training "
                    "continues, and the previous checkpoint is kept."
                )
            self._failed = True

    def _begun_stages(self, stage: State | None) -> int:
        return len(self.results) + (stage is not None)

    def _restore(self, state: State) -> None:
        self.results = [StageResult.from_state(result) for result in state["results"]]
        self.stage = state["stage"]
        assign(self._prepared.changed_by(self._begun_stages(self.stage)), state["network"])
        self._check_frozen()
        set_random_state(state["random"])
        self.accumulation = state.get("accumulation", {})
        plans = self._prepared.plans
        left = plans[len(self.results) :]
        start = stage_start(left[0], len(plans), self.results) if left else None
        stage = self.stage or {"history": (), "step": 0}
        self._observer.resumed(start, len(stage["history"]), stage["step"])

    def _check_frozen(self) -> None:
        """Weights that no stage has changed are in no checkpoint: they must be built equal."""
        done = self.results[-1] if self.results else None
        frozen = self.stage["frozen_sha256"] if self.stage else done and done.frozen_sha256
        model = self._prepared.network.model
        if frozen:
            plan = self._prepared.plans[len(self.results) - (self.stage is None)]
            set_trainable(model, plan.layers, plan.batchnorm)
            if digest(frozen_variables(model)) != frozen:
                raise changed(["the initial weights of the network"])
