"""Processes that train together: each is connected to the first, which leads.

States go both ways; nothing that arrives is unpickled. If one ends, fails or hangs, all end.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue

from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.devices.link import Link
from kerascnn.runtime.background import LostError

TICK_SECONDS = 1.0  # between two signs of life
NOTICED_SECONDS = 1.0  # between a process that is lost and the others that notice
ENDING_SECONDS = 8.0  # for the leader to end by itself

LEADER = 0


class LostProcessError(Exception):
    """A process of those that train together failed, hangs or was killed."""


@dataclass(frozen=True)
class Member:
    """A process of a group.

    Args:
        rank: From 0, which leads.
        count: The number of processes.
        address: Where the others reach the leader.
        token: By which they know each other.
        heartbeat_seconds: Without a sign of life from one of them, or a step of any, that end all.
        on_host: How many of them share this host's cores.
    """

    rank: int
    count: int
    address: tuple[str, int]
    token: str
    heartbeat_seconds: float
    on_host: int


class Group:
    """Processes that train together, of which this is one; see `lead` and `join` in `forming`.

    Args:
        member: This process.
        on_loss: Called in a thread when a process is lost, before this one raises, which waits for
            it at most `NOTICED_SECONDS`.

    Attributes:
        last_words: Called with the reason if this process hangs itself and has to be ended; it
            returns what is printed then.
    """

    def __init__(self, member: Member, on_loss: Callable[[], None]) -> None:
        self.rank, self.count, self.on_host = member.rank, member.count, member.on_host
        self.host, self.heartbeat_seconds = member.address[0], member.heartbeat_seconds
        self._on_loss = on_loss
        self.last_words: Callable[[str], str] = lambda fault: fault
        self.prints = True
        self._links = dict[int, Link]()
        self._threads = list[threading.Thread]()
        self._said = dict[int, SimpleQueue[State | None]]()
        self._faults = dict[int, tuple[bool, str]]()  # whether it vanished, and why
        self._fault = ""
        self._closed = threading.Event()
        self._training = False
        self._alive = dict[int, float]()
        self._moved = time.monotonic()
        self._own_moves, self._told_moves = 0, 0
        self._one_at_a_time = threading.Lock()

    def share(self, state: State | None = None) -> State:
        """The leader's state, in all processes; those that wait for it wait as long as it takes."""
        if self.rank != LEADER:
            return self._receive(LEADER)
        assert state is not None
        for rank in self._links:
            self._send(rank, state)
        return state

    def gather(self, state: State) -> list[State]:
        """The states of all processes, by rank, in all of them."""
        self.moved()
        if self.rank == LEADER:
            states = [state, *(self._receive(rank) for rank in range(1, self.count))]
            self.share({"states": states})
        else:
            self._send(LEADER, state)
            states = self._receive(LEADER)["states"]
        self.moved()
        return states

    def agree(self, decision: bool) -> bool:
        """What the leader decides, in all processes; each comes to it once a step."""
        return self.gather({"decision": bool(decision)})[LEADER]["decision"]

    def moved(self) -> None:
        """Notes progress."""
        self._own_moves += 1
        self._moved = time.monotonic()

    @contextmanager
    def training(self) -> Iterator[None]:
        """In its block each process has to move within the heartbeat."""
        self.moved()
        self._training = True
        try:
            yield
        finally:
            self._training = False

    def raise_fault(self, cause: Exception | None = None) -> None:
        """Raises LostProcessError if a process is lost, also if that is known within seconds."""
        if cause:
            deadline = time.monotonic() + NOTICED_SECONDS + 2 * TICK_SECONDS
            while not self._fault and time.monotonic() < deadline:
                time.sleep(0.05)
        if self._fault:
            self._closed.set()  # this process ends by itself
            raise LostProcessError(self._fault) from cause

    def fail(self, error: BaseException) -> None:
        """Tells the leader why this process fails."""
        with suppress(OSError):
            self._links[LEADER].send("fault", {"why": f"{type(error).__name__}: {error}"})

    def finish(self, last: State | None = None, leave: Callable[[], None] = lambda: None) -> None:
        """Ends the group in all processes, when the leader says so.

        Args:
            last: What the leader shares last, upon which the others call this, too.
            leave: Called in all of them at the same time.
        """
        self._closed.set()
        with suppress(OSError):
            if last:
                self.share(last)
            leave()
            if last:
                for listening in self._threads:
                    listening.join(ENDING_SECONDS)
        self.close()

    def close(self) -> None:
        """Leaves the group; if the leader does before `finish`, all others end."""
        self._closed.set()
        for link in self._links.values():
            link.close()

    def add(self, rank: int, link: Link) -> None:
        self._links[rank], self._said[rank] = link, SimpleQueue()
        self._alive[rank] = time.monotonic()

    def begin(self) -> None:
        """Listens to all, once they are there."""
        for rank, link in self._links.items():
            heard = partial(self._heard, rank)
            listening = threading.Thread(target=link.listen, args=(heard,), daemon=True)
            listening.start()
            self._threads.append(listening)
        threading.Thread(target=self._tick, daemon=True, name="kerascnn-heartbeat").start()

    def _send(self, rank: int, state: State) -> None:
        try:
            self._links[rank].send("state", state)
        except OSError as error:
            self.raise_fault(error)
            raise

    def _receive(self, rank: int) -> State:
        while True:
            self.raise_fault()
            with suppress(Empty):
                state = self._said[rank].get(timeout=TICK_SECONDS)
                if state is not None:
                    return state

    def _heard(self, rank: int, kind: str, state: State) -> None:
        """What a link receives, in a thread of its own."""
        self._alive[rank] = time.monotonic()
        if kind == "state":
            self._said[rank].put(state)
        elif kind == "tick" and state["moved"]:
            self._moved = time.monotonic()
            self._own_moves += self.rank == LEADER  # which passes it on
        elif kind in ("fault", "end"):
            self._lose(rank, state.get("why", ""))

    def _lose(self, rank: int, why: str = "") -> None:
        if self._closed.is_set():
            return
        if self.rank != LEADER:
            end_now(f"process {rank + 1} of {self.count}: {why}" if why and self.prints else "")
        with self._one_at_a_time:
            first = not self._faults
            self._faults.setdefault(rank, (not why, why or str(LostError())))
        if first:
            threading.Thread(target=self._end_all, daemon=True).start()

    def _end_all(self) -> None:
        """Ends all others: what this one waits for then raises, or it is ended, too."""
        time.sleep(NOTICED_SECONDS)
        vanished = [rank for rank, (lost, _) in self._faults.items() if lost]
        rank = (vanished or [*self._faults])[0]
        for link in self._links.values():
            link.close()
        losing = threading.Thread(target=self._on_loss, daemon=True)
        losing.start()
        losing.join(NOTICED_SECONDS)
        self._fault = f"process {rank + 1} of {self.count}: {self._faults[rank][1]}"
        for said in self._said.values():
            said.put(None)
        if not self._closed.wait(ENDING_SECONDS):
            words = self.last_words(self._fault)
            end_now(words if self.prints else "")

    def _tick(self) -> None:
        """Gives signs of life, and ends all if there are none."""
        while not self._closed.wait(min(TICK_SECONDS, self.heartbeat_seconds / 4)):
            moves, self._told_moves = self._own_moves - self._told_moves, self._own_moves
            for link in [*self._links.values()]:
                with suppress(OSError):
                    link.send("tick", {"moved": moves > 0}, wait=False)
            now, patience = time.monotonic(), self.heartbeat_seconds
            for rank, seen in self._alive.items():
                if now - seen > patience + (self.rank and ENDING_SECONDS):
                    self._lose(rank, f"gave no sign of life for {patience:g} s")
            if self._training and now - self._moved > patience + (self.rank and ENDING_SECONDS):
                self._lose(self.rank, f"it or another hangs: no step was taken for {patience:g} s")


def end_now(said: str = "") -> None:
    """Ends this process without what may wait for others."""
    if said:
        sys.stderr.write(f"{said}\n")
    sys.stderr.flush()
    os._exit(1)
