"""A connection between two processes, for states: JSON and arrays of NumPy."""

import io
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from kerascnn.engine.training.checkpoints import State, join_arrays, split_arrays

GREETING_SECONDS = 10.0
_LENGTH = 8  # bytes of the length of each of the two parts of a message


class Link:
    """One end of a connection.

    Attributes:
        rank: Of the process at the other end, once it has greeted.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(None)
        self._connection = connection
        self._one_at_a_time = threading.Lock()
        self.rank = 0

    def greet(self, token: str, rank: int, count: int) -> None:
        self.send("hello", {"token": token, "rank": rank, "count": count})

    def greeted(self, token: str, count: int) -> bool:
        """Whether the other end knows the token, and the number of processes."""
        self._connection.settimeout(GREETING_SECONDS)
        try:
            _, hello = self._read()
            self.rank = int(hello["rank"])
            return hello["token"] == token and hello["count"] == count
        except (OSError, ValueError, KeyError, TypeError):
            return False
        finally:
            self._connection.settimeout(None)

    def send(self, kind: str, state: State, *, wait: bool = True) -> None:
        """Sends a state, from any thread; without `wait` not if another one is sending."""
        arrays = dict[str, np.ndarray]()
        table = json.dumps([kind, split_arrays(state, "state", arrays)]).encode()
        packed = io.BytesIO()
        if arrays:
            np.savez(packed, **arrays)  # type: ignore[arg-type]
        parts = (table, packed.getbuffer())
        if not self._one_at_a_time.acquire(blocking=wait):
            return
        try:
            for part in parts:
                self._connection.sendall(len(part).to_bytes(_LENGTH, "big"))
                self._connection.sendall(part)
        finally:
            self._one_at_a_time.release()

    def listen(self, heard: Callable[[str, State], Any]) -> None:
        """Passes on what arrives until the connection ends, of which it tells, too."""
        with suppress(OSError, ValueError):
            while True:
                heard(*self._read())
        heard("end", {})

    def refuse(self, why: str) -> None:
        with suppress(OSError):
            self.send("fault", {"why": why})
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _read(self) -> tuple[str, State]:
        """Raises OSError if the connection ends, and ValueError for another kind of message."""
        table, packed = self._part(), self._part()
        kind, state = json.loads(bytes(table))
        arrays = dict[str, np.ndarray]()
        if packed:
            with np.load(io.BytesIO(packed), allow_pickle=False) as file:
                arrays = dict(file)
        return kind, join_arrays(state, arrays)

    def _part(self) -> bytearray:
        return self._bytes(int.from_bytes(self._bytes(_LENGTH), "big"))

    def _bytes(self, count: int) -> bytearray:
        part = bytearray(count)
        view, done = memoryview(part), 0
        while done < count:
            came = self._connection.recv_into(view[done:])
            if not came:
                raise ConnectionResetError
            done += came
        return part
