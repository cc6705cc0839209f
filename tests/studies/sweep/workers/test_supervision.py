"""Lost workers are replaced a few times; one that cannot take part ends the sweep."""

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from kerascnn import Engine, InputError, RunError
from kerascnn.studies.sweep.observer import SweepObserver
from kerascnn.studies.sweep.workers.shared import Shared
from kerascnn.studies.sweep.workers.supervision import LOSSES, Supervision
from kerascnn.studies.sweep.workers.worker import Job

optuna = pytest.importorskip("optuna")


class Warnings(SweepObserver):
    def __init__(self):
        self.said = []

    def warned(self, message):
        self.said.append(message)


@pytest.fixture
def warnings():
    return Warnings()


@pytest.fixture
def supervised(warnings):
    """Runs a sweep of three trials with workers that end at once, and gives their number."""

    def run(answer):
        future, started = Future(), []
        answer(future)
        process = SimpleNamespace(submit=lambda *call: future, close=lambda: None)
        engine = Engine(lambda place: started.append(place) or process, places=1)
        standing = SimpleNamespace(
            study=optuna.create_study(), trials=list, planned=SimpleNamespace(trials=3)
        )
        job = Job("sqlite:///x", "study", Path("folder"), "", None, Shared())
        try:
            Supervision(standing, job, engine, warnings, alone=True, before=0).run()
        finally:
            run.started = len(started)

    return run


def test_one_that_cannot_take_part_ends_the_sweep_with_its_message(supervised, warnings):
    with pytest.raises(InputError, match=r"^node-3 does not have /data: put it there"):
        supervised(lambda future: future.set_result("node-3 does not have /data: put it there."))
    assert supervised.started == 1
    assert not warnings.said


def test_lost_ones_are_replaced_a_few_times(supervised, warnings):
    lost = RuntimeError("its process was killed")
    with pytest.raises(RunError, match=rf"after {LOSSES} lost workers in a row: its process was"):
        supervised(lambda future: future.set_exception(lost))
    assert supervised.started == len(warnings.said) == LOSSES + 1
    assert warnings.said[0] == (
        "a worker ended: its process was killed. Another one takes up its trial."
    )
