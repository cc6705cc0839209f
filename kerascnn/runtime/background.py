"""A process beside this one that calls functions in order, while this one continues.

Unlike those of `runtime.workers` it may hang or die and leave no trace in this process, Ctrl-C does
not reach it, and it ends when this process does.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, BinaryIO

CLOSE_SECONDS = 2.0
_START = "import sys; sys.path[:] = sys.argv[1:]; from kerascnn.runtime import background"


class CallError(Exception):
    """The call failed; the text says why."""


class LostError(Exception):
    """The process has ended."""

    def __str__(self) -> str:
        return "its process was killed or crashed, as for lack of memory"


class BackgroundProcess:
    """A process without Keras; what it prints goes to this one's standard error.

    Args:
        variables: Further environment variables.
        launcher: The start of a command that runs the rest of it, such as `("nice", "-n", "10")`.
            It passes standard input and output on.
    """

    def __init__(
        self, variables: Mapping[str, str] | None = None, launcher: Sequence[str] = ()
    ) -> None:
        served = [sys.executable, "-c", f"{_START}; background.serve()", *sys.path]
        self._process = subprocess.Popen(
            [*launcher, *served],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **(variables or {})},
        )
        self._calls = ThreadPoolExecutor(1, "kerascnn-background")

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Queues a call with copies of the arguments, as they are now.

        The future raises `CallError` where the call fails, and `LostError` where the process does.
        """
        import cloudpickle  # type: ignore[import-untyped]

        return self._calls.submit(self._call, cloudpickle.dumps((function, arguments)))

    def terminate(self) -> None:
        """Sends SIGTERM: the call may end as it would by Ctrl-C."""
        self._process.terminate()

    def close(self) -> None:
        """Ends the process, within `CLOSE_SECONDS`: killed if it is not idle by then."""
        self._calls.submit(self._stdin.close)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_SECONDS)
            self._release()
            return
        self.kill()

    def kill(self) -> None:
        """Kills the process and all that it has started."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._release()

    def _release(self) -> None:
        self._calls.shutdown()  # after those that wait have found it ended
        for pipe in (self._stdin, self._stdout):
            with suppress(OSError):
                pipe.close()

    def _call(self, call: bytes) -> Any:
        try:
            pickle.dump(call, self._stdin)
            self._stdin.flush()
            value, fault = pickle.load(self._stdout)
        except (OSError, EOFError) as error:
            raise LostError from error
        if fault:
            raise CallError(fault)
        return value

    @property
    def _stdin(self) -> Any:
        return self._process.stdin

    @property
    def _stdout(self) -> Any:
        return self._process.stdout


def serve() -> None:
    """Answers calls from standard input until that is closed."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    calls, busy = SimpleQueue[bytes | None](), threading.Event()
    threading.Thread(target=_listen, args=(requests, calls, busy), daemon=True).start()
    with suppress(BrokenPipeError):
        while call := calls.get():
            _answer(call, answers, busy)


def _listen(requests: BinaryIO, calls: "SimpleQueue[bytes | None]", busy: threading.Event) -> None:
    with suppress(EOFError, OSError):
        while True:
            call = pickle.load(requests)
            busy.set()
            calls.put(call)
    if busy.is_set():  # who called has been killed, and another process may do the same work
        os._exit(1)
    calls.put(None)


def _answer(call: bytes, answers: BinaryIO, busy: threading.Event) -> None:
    try:
        function, arguments = pickle.loads(call)
        answer = pickle.dumps((function(*arguments), ""))
    except (Exception, SystemExit) as error:
        answer = pickle.dumps((None, f"{type(error).__name__}: {error}"))
    busy.clear()
    answers.write(answer)
    answers.flush()
