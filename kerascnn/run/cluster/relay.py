"""Passes the events of a run from the process that trains to the one that shows them."""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from queue import Empty, SimpleQueue
from typing import Any

from kerascnn.engine.observer import EVENTS, Observer, Only
from kerascnn.run.observing import OFTEN

OFTEN_SECONDS = 0.1  # between two of these
WAIT_SECONDS = 0.1
Hear = Callable[[str, tuple[Any, ...]], None]


@dataclass(frozen=True)
class Relayed:
    """The end of a relay for the process that trains."""

    address: Any
    key: bytes

    def observer(self) -> Observer:
        """An observer that sends what it receives; nothing that happens to it reaches the run."""
        connection, one_at_a_time = Client(self.address, authkey=self.key), threading.Lock()
        sent = dict[str, float]()

        def send(event: str, *arguments: Any) -> None:
            import cloudpickle  # type: ignore[import-untyped]

            now = time.monotonic()
            if event in OFTEN and now - sent.get(event, 0.0) < OFTEN_SECONDS:
                return
            sent[event] = now
            with one_at_a_time, suppress(OSError):
                connection.send_bytes(cloudpickle.dumps((event, arguments)))

        return Only(**{event: partial(send, event) for event in EVENTS})


class Relay:
    """The end of a relay for the process that shows the events: a context manager.

    Args:
        host: The name of this host, or the loopback address; only who knows a secret can connect.
    """

    def __init__(self, host: str) -> None:
        self._key = secrets.token_bytes()
        self._listener = Listener((host, 0), authkey=self._key)
        self._events = SimpleQueue[bytes]()
        threading.Thread(target=self._receive, daemon=True, name="kerascnn-relay").start()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()

    def other_end(self) -> Relayed:
        return Relayed(self._listener.address, self._key)

    def pass_on(self, hear: Hear) -> None:
        """Passes on what has arrived; waits a moment for the first of it."""
        import cloudpickle

        wait = WAIT_SECONDS
        with suppress(Empty):
            while True:
                event, arguments = cloudpickle.loads(self._events.get(timeout=wait))
                hear(event, arguments)
                wait = 0.0

    def _receive(self) -> None:
        with suppress(Exception):  # it is closed, or someone else has called
            connection: Connection = self._listener.accept()
            while True:
                self._events.put(connection.recv_bytes())
