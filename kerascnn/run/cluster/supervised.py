"""A run in processes that an engine starts: watched, and started again after a loss.

None of them is this process, so that whichever is lost, this one can end the others and go on.
"""

import secrets
import socket
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from kerascnn.engine.observer import Observer
from kerascnn.engine.result.run import Result
from kerascnn.engine.training.devices.forming import LOOPBACK, listen
from kerascnn.engine.training.devices.group import ENDING_SECONDS, LEADER
from kerascnn.errors import KerascnnError, RunError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.hookspecs import Engine, Launched, Process
from kerascnn.run.cluster.member import Asked, take_part
from kerascnn.run.cluster.relay import Relay, Relayed
from kerascnn.run.observing import lost
from kerascnn.run.runner import resuming
from kerascnn.runtime.interruption import Interruption
from kerascnn.runtime.text import counted


@dataclass(frozen=True)
class Ended:
    """How the run ended in the leading process.

    Args:
        result: If it succeeded.
        error: If it did not.
        again: Whether it may succeed if it is started again.
        interrupted: What the leader says of a signal that has stopped it.
    """

    result: Result | None = None
    error: KerascnnError | None = None
    again: bool = False
    interrupted: str = ""


class Supervised:
    """Runs an experiment in the places of an engine.

    Args:
        engine: Starts a process in each of its places.
        observer: Receives the events.
    """

    def __init__(
        self, engine: Engine, experiment: BoundExperiment, observer: Observer, asked: Asked
    ) -> None:
        self._engine, self._experiment = engine, experiment
        self._observer, self._asked = observer, asked
        self._run_id: str | None = None
        self._said = ""  # by the leader, of why it fails

    def run(self) -> Result:
        """Starts the processes, again as often as `cluster.restarts` says.

        Raises:
            RunError: The run failed, or one of its processes was lost once more.
            InputError: The experiment or its data are at fault.
        """
        cluster = self._experiment.settings.cluster
        left = cluster.restarts if cluster else 0
        while True:
            ended = self._attempt()
            if ended.result:
                return ended.result
            if ended.interrupted:
                self._observer.interrupted(ended.interrupted)
                raise KeyboardInterrupt(ended.interrupted)
            assert ended.error
            if not (ended.again and left):
                self._observer.failed(str(ended.error))
                raise ended.error
            left -= 1
            fault = str(ended.error).partition("\n")[0].rstrip(".")
            self._observer.warned(
                f"{fault}. All processes start again from the last checkpoint; "
                f"{counted(left, 'restart')} left."
            )
            self._asked = replace(self._asked, resume=self._run_id or self._asked.resume)

    def _attempt(self) -> Ended:
        self._said, count = "", self._engine.places
        processes = [self._engine.start(place) for place in range(count)]
        try:
            with Interruption() as interruption, Relay(self._host()) as relay:
                interruption.patient = True
                try:
                    calls = self._call(processes, relay)
                except Exception as error:  # each engine has its own
                    fault = f"the processes did not start: {error}"
                    return Ended(error=RunError(self._lost(fault)), again=True)
                return self._watch(processes, calls, relay, interruption)
        finally:
            with ThreadPoolExecutor(count) as closing:
                list(closing.map(lambda process: process.close(), processes))

    def _call(self, processes: Sequence[Process], relay: Relay) -> list[Future[Any]]:
        """Has each process train its part."""
        hosts = [call.result() for call in [one.submit(socket.gethostname) for one in processes]]
        local = self._engine.hosts == 1
        port = processes[LEADER].submit(free_port).result()
        address = (LOOPBACK if local else hosts[LEADER], port)
        token, relayed = secrets.token_hex(), relay.other_end()
        return [
            process.submit(
                train,
                Launched(rank, len(processes), address, hosts.count(hosts[rank])),
                token,
                self._experiment,
                self._asked,
                relayed,
            )
            for rank, process in enumerate(processes)
        ]

    def _watch(
        self,
        processes: Sequence[Process],
        calls: Sequence[Future[Any]],
        relay: Relay,
        interruption: Interruption,
    ) -> Ended:
        """Passes events on until the leader ends, or a process is lost and it cannot say so."""
        told, deadline = False, float("inf")
        while not calls[LEADER].done() and time.monotonic() < deadline:
            relay.pass_on(self._hear)
            if interruption.asked and not told:
                processes[LEADER].terminate()
                told = True
            if deadline == float("inf") and _lost(calls):
                deadline = time.monotonic() + 2 * ENDING_SECONDS
        relay.pass_on(self._hear)
        if calls[LEADER].done() and calls[LEADER].exception() is None:
            return calls[LEADER].result()
        if told:
            again = f"; `{self._resume(self._run_id[:8])}` resumes the run." if self._run_id else ""
            return Ended(interrupted=f"interrupted{again}")
        fault = _lost(calls) or f"process 1 of {len(calls)}: it did not end"
        return Ended(error=RunError(self._said or self._lost(fault)), again=True)

    def _lost(self, fault: str) -> str:
        return lost(self._run_id, fault, self._resume)

    def _resume(self, run: str) -> str:
        return resuming(run, self._experiment, move=self._asked.move)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "failed":  # which may not be its end
            self._said = arguments[0]
        elif event != "interrupted":
            getattr(self._observer, event)(*arguments)
        if event == "tracked":
            self._run_id = arguments[0]

    def _host(self) -> str:
        return LOOPBACK if self._engine.hosts == 1 else socket.gethostname()


def train(
    launched: Launched,
    token: str,
    experiment: BoundExperiment,
    asked: Asked,
    relayed: Relayed,
) -> Ended:
    """What each of the processes does."""
    observer = relayed.observer() if launched.rank == LEADER else Observer()
    part = launched, token, experiment, observer, asked
    try:
        return Ended(result=take_part(*part, prints=False))
    except KeyboardInterrupt as error:
        return Ended(interrupted=str(error) or "interrupted")
    except KerascnnError as error:
        foreign = error.__cause__ and not isinstance(error.__cause__, KerascnnError)
        return Ended(error=type(error)(str(error)), again=bool(foreign))
    except Exception as error:
        return Ended(error=RunError(f"{type(error).__name__}: {error}"), again=True)


def free_port() -> int:
    """A port that is free on the host of this process."""
    with listen("") as listener:
        return listener.getsockname()[1]


def _lost(calls: Sequence[Future[Any]]) -> str:
    """Which process is lost, and why."""
    for rank, call in enumerate(calls):
        if call.done() and (error := call.exception()):
            return f"process {rank + 1} of {len(calls)}: {error}"
    return ""
