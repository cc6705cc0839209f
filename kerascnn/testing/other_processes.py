"""The same computation in other processes: on the other backends, or without Keras."""

import gc
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from typing import Any

from kerascnn.errors import InputError, PluginError
from kerascnn.runtime.backend import installed_backends
from kerascnn.runtime.workers import backend_process
from kerascnn.testing.checks import CheckError, SkipError, Subject, explain

PLAIN = "another process"  # without Keras

# Code that runs once needs no optimising: JAX compiles a MobileNet in an eighth of the time.
COMPILE_QUICKLY = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false"
)


@dataclass(frozen=True)
class Answer:
    """The result of a function in another process, or what went wrong there."""

    value: Any = None
    refusal: str = ""
    fault: str = ""


def in_another_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function of a module in a process without Keras."""
    return _result(PLAIN, _submit(PLAIN, function, arguments)).value


def in_a_plain_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function of a module in a process without Keras that has done nothing before."""
    with backend_process(None) as process:
        return _result(PLAIN, process.submit(_answer, function, arguments)).value


def on_backend(backend: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function of a module in a process on that backend."""
    return _accepted(backend, _submit(backend, function, arguments))


def in_a_new_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function of a module in a process that has only started this backend."""
    import keras

    with backend_process(keras.config.backend()) as process:
        return _accepted("a new process", process.submit(_answer, function, arguments))


def on_other_backends(function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Calls a function of a module on every other installed backend.

    Raises:
        CheckError: It failed on one of them.
        SkipError: No other backend is installed, or all reject the component with InputError.
    """
    import keras

    here = keras.config.backend()
    others = [backend for backend in installed_backends() if backend != here]
    asked = {backend: _submit(backend, function, arguments) for backend in others}
    answers = {backend: _result(backend, future) for backend, future in asked.items()}
    if not answers:
        raise SkipError(f"no backend but {here} is installed")
    accepted = {backend: a.value for backend, a in answers.items() if not a.refusal}
    if not accepted:
        raise SkipError("; ".join(f"{name}: {answer.refusal}" for name, answer in answers.items()))
    return accepted


def _submit(name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future[Answer]:
    try:
        return _pool(name).submit(_answer, function, arguments)
    except BrokenProcessPool:
        _pool.cache_clear()
        return _pool(name).submit(_answer, function, arguments)


def _accepted(name: str, future: Future[Answer]) -> Any:
    """The value that a process has found; what it refuses is a failure, too."""
    answer = _result(name, future)
    if answer.refusal:
        raise CheckError(f"{name}: {answer.refusal}")
    return answer.value


def _result(name: str, future: Future[Answer]) -> Answer:
    try:
        answer = future.result()
    except BrokenProcessPool as error:
        raise CheckError(f"{name}: the process crashed") from error
    if answer.fault:
        raise CheckError(f"{name}: {answer.fault}")
    return answer


@cache
def _pool(name: str) -> Executor:
    """One process, kept for later calls."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {COMPILE_QUICKLY}"
    return backend_process(None if name == PLAIN else name, variables={"XLA_FLAGS": flags})


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Answer:
    """Returns exceptions as text, because a plugin's own may not be picklable."""
    try:
        return Answer(function(*arguments))
    except Exception as error:
        if isinstance(error, InputError) and not isinstance(error, PluginError):
            return Answer(refusal=str(error))
        subjects = (one for one in arguments if isinstance(one, Subject))
        registered = next((one.bound.registered for one in subjects), None)
        return Answer(fault=explain(error, registered))
    finally:
        gc.collect()  # Keras's models are large, and cyclic references keep them alive
