"""What the checks of engines call in the processes that these start: it imports little."""

import os
import signal
import socket
import sys
import time
from typing import Any

VARIABLE = "KERASCNN_CHECK"
numbers: list[int] = []
terminated: list[int] = []


def identity() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


def called(number: int) -> list[int]:
    """The numbers of all calls so far."""
    numbers.append(number)
    return numbers


def spell(seconds: float) -> tuple[float, float]:
    start = time.time()
    time.sleep(seconds)
    return start, time.time()


def surroundings() -> dict[str, Any]:
    import kerascnn

    return {
        "working directory": os.getcwd(),
        f"environment variable {VARIABLE}": os.environ.get(VARIABLE),
        "Python": sys.version_info[:2],
        "version of kerascnn": kerascnn.__version__,
    }


def heed() -> None:
    signal.signal(signal.SIGTERM, lambda number, _: terminated.append(number))


def await_signal(seconds: float) -> bool:
    """Whether SIGTERM arrives, or has arrived."""
    end = time.monotonic() + seconds
    while not terminated and time.monotonic() < end:
        time.sleep(0.02)
    return bool(terminated)


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
