"""Workers are whatever an engine starts: here futures, without processes."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from kerascnn import Engine
from kerascnn.studies.sweep.workers import crew
from kerascnn.studies.sweep.workers.crew import Crew, Ended
from kerascnn.studies.sweep.workers.shared import Shared
from kerascnn.studies.sweep.workers.worker import Job, work

JOB = Job("sqlite:///x", "study", Path("folder"), "", None, Shared())


class Process:
    """Does nothing, until its future is set."""

    def __init__(self, place, heeds):
        self.place, self.heeds = place, heeds
        self.future, self.calls = Future(), []

    def submit(self, function, job):
        self.calls.append("submit")
        assert function is work
        self.job = job
        return self.future

    def terminate(self):
        self.calls.append("terminate")
        if self.heeds:
            self.future.set_result("")

    def close(self):
        self.calls.append("close")
        if not self.future.done():
            self.future.set_exception(RuntimeError("lost"))


@pytest.fixture
def started():
    return []


@pytest.fixture
def engine(started, monkeypatch):
    monkeypatch.setattr(crew, "END_SECONDS", 0.01)

    def start(place):
        started.append(Process(place, heeds=len(started) != 1))
        return started[-1]

    return Engine(start, places=2)


def test_each_place_has_one_worker_and_is_filled_again(engine, started):
    with Crew(JOB, engine) as workers:
        workers.fill(1)
        workers.fill(5)
        assert [one.place for one in started] == [0, 1]
        started[0].future.set_exception(RuntimeError("out of memory"))
        assert workers.ended(1) == [Ended(started[0].job.worker, fault="out of memory")]
        assert started[0].calls == ["submit", "close"]
        workers.fill(5)
        assert [one.place for one in started] == [0, 1, 0]
        assert len({one.job.worker for one in started}) == 3
        started[2].future.set_result("no such folder")
        assert workers.ended(1) == [Ended(started[2].job.worker, obstacle="no such folder")]


def test_at_the_end_workers_may_write_their_checkpoint(engine, started):
    workers = Crew(JOB, engine)
    workers.fill(2)
    assert {ended.fault for ended in workers.end()} == {"", "lost"}
    assert started[0].calls == ["submit", "terminate", "close"]
    assert started[1].calls == ["submit", "terminate", "close", "close"]
    assert not workers
