"""A process on a node of a Ray cluster, behind an actor that has its resources.

The actor computes nothing: Ray's own processes have other settings (threads, signals, search path)
than one that Keras works in as it does elsewhere. It ends with the actor, which ends with the
process that started it.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from kerascnn import BackgroundProcess

CLOSE_SECONDS = 10.0
THREADS = "OMP_NUM_THREADS"  # Ray sets it to the CPUs that an actor reserves
PASSED = ("KERAS", "MLFLOW_", "TF_", "XLA_", "JAX_", "TORCH", "PYTORCH_", "GLOO_", "NCCL_", THREADS)
"""Beginnings of the names of the environment variables that a process receives."""


BESIDE = "beside"  # the calls, which the actor has in order, one at a time


class ProcessError(Exception):
    """A call failed or its process is lost; the text says why."""


class RayProcess:
    """A process behind an actor, as `kerascnn.Engine` has it."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._ready = actor.ready.remote()

    def submit(self, function: Any, /, *arguments: Any) -> "Future[Any]":
        future = Future[Any]()
        answer = self._actor.call.remote(function, *arguments)
        answer.future().add_done_callback(partial(_pass_on, future))
        return future

    def terminate(self) -> None:
        if self._is_ready():
            self._during_a_call(self._actor.terminate)
        else:  # it still waits for resources
            self.close()

    def close(self) -> None:
        import ray

        if self._is_ready():
            with suppress(ray.exceptions.RayError):
                ray.get(self._during_a_call(self._actor.close), timeout=CLOSE_SECONDS)
        ray.kill(self._actor)

    def _during_a_call(self, method: Any) -> Any:
        return method.options(concurrency_group=BESIDE).remote()

    def _is_ready(self) -> bool:
        import ray

        return bool(ray.wait([self._ready], timeout=0)[0])


class Host:
    """The actor: on its node it has a process that answers calls.

    Args:
        directory: To work in.
        variables: Environment variables.
    """

    def __init__(self, directory: str, variables: dict[str, str]) -> None:
        with suppress(OSError):  # a worker says what its host lacks
            os.chdir(directory)
        os.environ.pop(THREADS, None)
        os.environ.update(variables)
        with _path_without_ray():
            self._process = BackgroundProcess()

    def ready(self) -> None:
        """Answers once the actor has its resources."""

    def call(self, function: Any, *arguments: Any) -> tuple[Any, str]:
        """What a call returns, or else why it failed."""
        try:
            return self._process.submit(function, *arguments).result(), ""
        except Exception as error:
            return None, str(error)

    def terminate(self) -> None:
        self._process.terminate()

    def close(self) -> None:
        self._process.close()


def start_process(cpus: float, gpus: float) -> RayProcess:
    """Starts a process on a node that has these resources free, now or later."""
    import ray

    variables = {name: value for name, value in os.environ.items() if name.startswith(PASSED)}
    placed = ray.remote(concurrency_groups={BESIDE: 2})(Host)
    where = placed.options(num_cpus=cpus, num_gpus=gpus, scheduling_strategy="SPREAD")
    return RayProcess(where.remote(os.getcwd(), variables))


@contextmanager
def _path_without_ray() -> Iterator[None]:
    """Leaves out the folders of Ray's own copies of packages, which its workers search first."""
    import ray

    before, of_ray = list(sys.path), os.path.join(os.path.dirname(ray.__file__), "")
    sys.path[:] = [folder for folder in before if not folder.startswith(of_ray)]
    try:
        yield
    finally:
        sys.path[:] = before


def _pass_on(future: "Future[Any]", answer: "Future[Any]") -> None:
    if error := answer.exception():
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = said[-1] if said else type(error).__name__
        future.set_exception(ProcessError(f"its actor was lost: {why}"))
        return
    returned, fault = answer.result()
    if fault:
        future.set_exception(ProcessError(fault))
    else:
        future.set_result(returned)
