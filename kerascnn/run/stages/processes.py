"""The processes that train a run's stages: this one alone, or with others that follow it."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.devices.devices import ONE, UNEQUAL, Devices
from kerascnn.engine.training.devices.forming import LOOPBACK, lead, listen
from kerascnn.engine.training.devices.group import LEADER, Group, LostProcessError, Member
from kerascnn.engine.training.devices.on_jax import JaxDevices
from kerascnn.engine.training.devices.on_tensorflow import TensorFlowDevices
from kerascnn.engine.training.devices.on_torch import leave_group
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.errors import KerascnnError, RunError
from kerascnn.experiment.cluster import Cluster
from kerascnn.run.stages.rank import Job, devices_of, finish, follow_as, outcome, stage_to_train
from kerascnn.runtime.background import BackgroundProcess
from kerascnn.runtime.keras_internals import abandon_torch_group
from kerascnn.runtime.process import set_variable
from kerascnn.runtime.text import counted

Fit = Callable[[Devices], StageResult]


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
    """The processes that train a run's stages; those that it starts end with the block."""
    if group := prepared.group:
        yield Processes(prepared, lambda: group)
        finish(prepared.backend, group)
    elif prepared.devices == 1:
        yield OneProcess(ONE)
    elif prepared.backend == "jax":
        yield OneProcess(JaxDevices(prepared.devices))
    elif prepared.backend == "tensorflow":
        yield OneProcess(TensorFlowDevices(prepared.devices))
    else:
        with _Local(prepared) as local:
            yield Processes(prepared, local.group)


class Processes:
    """Several processes, of which this one leads and alone writes anything.

    Args:
        group: Returns their group, once there is a stage to train.
    """

    def __init__(self, prepared: Prepared, group: Callable[[], Group]) -> None:
        self._prepared, self._group = prepared, group

    def fit(
        self, plan: Plan, before: Standing | None, state: State | None, fit: Fit
    ) -> StageResult:
        """Trains a stage in all of them, each from the state that this one has.

        Raises:
            LostProcessError: One of them failed or was killed; all have ended then.
            RunError: They do not end with the same weights.
        """
        group = self._group()
        try:
            group.share(stage_to_train(self._prepared, plan, before, state))
            result = fit(devices_of(self._prepared, group))
            ended = group.gather(outcome(result))
        except (KerascnnError, LostProcessError):
            raise
        except Exception as error:  # as where a connection breaks
            group.raise_fault(error)
            raise
        if any(one != ended[LEADER] for one in ended):
            processes = counted(group.count, "process")
            raise RunError(f'stage "{plan.stage.name}": its {processes} {UNEQUAL}')
        return result


class _Local:
    """Processes of this host with PyTorch, one per device: started with the first stage."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._others = list[BackgroundProcess]()
        self._group: Group | None = None

    def __enter__(self) -> "_Local":
        return self

    def __exit__(self, *error: object) -> None:
        if self._group:
            self._group.close()
            leave_group()
        self._end()

    def group(self) -> Group:
        self._group = self._group or self._start()
        return self._group

    def _start(self) -> Group:
        count, listener = self._prepared.devices, listen(LOOPBACK)
        use_loopback()
        self._others = [BackgroundProcess(gpu) for gpu in _gpus(count)[1:]]
        experiment = self._prepared.experiment.with_overrides({"training.devices": 1})
        seconds, token = Cluster().heartbeat_seconds, secrets.token_hex()
        members = [
            Member(rank, count, listener.getsockname(), token, seconds, count)
            for rank in range(count)
        ]
        calls = [
            process.submit(follow_as, Job(experiment, member))
            for process, member in zip(self._others, members[1:], strict=True)
        ]
        return lead(listener, members[0], self._lose, partial(_expect_none_ended, calls))

    def _lose(self) -> None:
        self._end()
        abandon_torch_group()

    def _end(self) -> None:
        for process in self._others:
            process.kill()


def use_loopback() -> None:
    """Has PyTorch's gloo connect processes of this host."""
    if loopback := {"linux": "lo", "darwin": "lo0"}.get(sys.platform):
        set_variable("GLOO_SOCKET_IFNAME", loopback, unless_set=True)


def _expect_none_ended(calls: list[Future[Any]]) -> None:
    for rank, call in enumerate(calls, start=1):
        if call.done() and (error := call.exception()):
            raise LostProcessError(f"process {rank + 1} of {len(calls) + 1}: {error}")


def _gpus(count: int) -> list[dict[str, str]]:
    """The environment variables that give each process one of the GPUs, if there are any."""
    import torch

    if not torch.cuda.is_available():
        return [{}] * count
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = given.split(",") if given else [str(number) for number in range(count)]
    return [{"CUDA_VISIBLE_DEVICES": name} for name in names[:count]]
