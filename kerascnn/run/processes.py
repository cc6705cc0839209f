"""The processes that train a run's stages: this one, and with PyTorch one more per device."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.devices.devices import ONE, UNEQUAL, Devices
from kerascnn.engine.training.devices.on_jax import JaxDevices
from kerascnn.engine.training.devices.on_tensorflow import TensorFlowDevices
from kerascnn.engine.training.devices.on_torch import TorchDevices, leave_group
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.engine.training.variables import random_state, values
from kerascnn.errors import RunError
from kerascnn.run.rank import Job, Stage, train
from kerascnn.runtime.background import BackgroundProcess, CallError, LostError
from kerascnn.runtime.keras_internals import abandon_torch_group
from kerascnn.runtime.process import set_variable
from kerascnn.runtime.text import counted

NOTICED_SECONDS = 1.0  # between a process that is lost and the others that notice
BLAME_SECONDS = 5.0  # until it is known which one failed first

Fit = Callable[[Devices], StageResult]
Call = Future[Any]


class LostProcessError(Exception):
    """A process of those that train together failed or was killed."""


class OneProcess:
    """Trains each stage in this process."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices

    def fit(
        self, plan: Plan, before: Standing | None, state: State | None, fit: Fit
    ) -> StageResult:
        return fit(self._devices)


@contextmanager
def processes_of(prepared: Prepared) -> Iterator["OneProcess | Processes"]:
    """The processes that train a run's stages; they end with the block."""
    if prepared.devices == 1:
        yield OneProcess(ONE)
    elif prepared.backend == "jax":
        yield OneProcess(JaxDevices(prepared.devices))
    elif prepared.backend == "tensorflow":
        yield OneProcess(TensorFlowDevices(prepared.devices))
    else:
        with TemporaryDirectory(prefix="kerascnn-") as folder:
            processes = Processes(prepared, Path(folder) / "store")
            try:
                yield processes
            finally:
                processes.end()


class Processes:
    """One process per device with PyTorch, of which this one, the first, alone writes anything.

    The others are started with the first stage that is trained.

    Args:
        store: A file for them to find each other.
    """

    def __init__(self, prepared: Prepared, store: Path) -> None:
        self._prepared, self._store = prepared, store
        self._others: list[BackgroundProcess] = []
        self._fault = ""

    def fit(
        self, plan: Plan, before: Standing | None, state: State | None, fit: Fit
    ) -> StageResult:
        """Trains a stage in all of them, each from the state that this one has.

        Raises:
            LostProcessError: One of them failed or was killed; all have ended then.
            RunError: They do not end with the same weights.
        """
        self._others = self._others or self._start()
        network = values(self._prepared.network.model.variables)
        stage = Stage(plan.index, network, random_state(), before, state, plan.accumulation)
        calls = self._submit(stage)
        count, store = self._prepared.devices, str(self._store)
        try:
            result = fit(TorchDevices(count, 0, store, plan.index, self._raise_fault))
            ended = [call.result() for call in calls]
        except (RuntimeError, CallError, LostError) as error:  # as where a connection breaks
            self._watcher.join(BLAME_SECONDS)
            self._raise_fault(error)
            raise
        if any(one != (result.frozen_sha256, result.ended_sha256) for one in ended):
            raise RunError(f'stage "{plan.stage.name}": its {counted(count, "process")} {UNEQUAL}')
        return result

    def end(self) -> None:
        if self._others:
            leave_group()
        for process in self._others:
            process.kill()

    def _start(self) -> list[BackgroundProcess]:
        if loopback := {"linux": "lo", "darwin": "lo0"}.get(sys.platform):
            set_variable("GLOO_SOCKET_IFNAME", loopback, unless_set=True)
        return [BackgroundProcess(gpu) for gpu in _gpus(self._prepared.devices)[1:]]

    def _submit(self, stage: Stage) -> list[Call]:
        prepared, count = self._prepared, self._prepared.devices
        experiment = prepared.experiment.with_overrides({"training.devices": 1})
        images = prepared.data.train.key, prepared.data.validation.key
        calls = [
            process.submit(train, Job(experiment, images, rank, count, str(self._store)), stage)
            for rank, process in enumerate(self._others, start=1)
        ]
        self._watcher = Thread(target=self._watch, args=(calls,), daemon=True)
        self._watcher.start()
        return calls

    def _watch(self, calls: Sequence[Call]) -> None:
        """Ends all others when one fails: PyTorch then raises in this process, if it waits."""
        wait(calls, return_when=FIRST_EXCEPTION)
        if not _faults(calls):
            return
        wait(calls, NOTICED_SECONDS)
        faults = _faults(calls)
        lost = [rank for rank, fault in faults.items() if isinstance(fault, LostError)]
        rank = (lost or [*faults])[0]
        self._fault = f"process {rank + 1} of {len(calls) + 1}: {faults[rank]}"
        for process in self._others:
            process.kill()
        abandon_torch_group()

    def _raise_fault(self, cause: Exception | None = None) -> None:
        if self._fault:
            raise LostProcessError(self._fault) from cause


def _faults(calls: Sequence[Call]) -> dict[int, BaseException]:
    """Why calls have failed, by the rank of their process."""
    done = {rank: call for rank, call in enumerate(calls, start=1) if call.done()}
    return {rank: fault for rank, call in done.items() if (fault := call.exception())}


def _gpus(count: int) -> list[dict[str, str]]:
    """The environment variables that give each process one of the GPUs, if there are any."""
    import torch

    if not torch.cuda.is_available():
        return [{}] * count
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = given.split(",") if given else [str(number) for number in range(count)]
    return [{"CUDA_VISIBLE_DEVICES": name} for name in names[:count]]
