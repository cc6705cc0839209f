import pytest

from kerascnn.engine.observer import Observer
from kerascnn.studies.best import heard as module
from kerascnn.studies.best.heard import Heard, OutOfTimeError


@pytest.fixture
def clock(monkeypatch):
    """The time, which the test sets."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def test_work_that_will_take_too_long_is_ended_as_soon_as_its_speed_is_known(clock):
    heard = Heard(Observer(), print, "x", allowed=50.0)
    heard.progress("packing", 1, 100)
    clock[0] = 2.0  # too soon to tell
    heard.progress("packing", 2, 100)
    clock[0] = 4.0
    with pytest.raises(OutOfTimeError) as late:
        heard.progress("packing", 4, 100)
    assert late.value.needs == pytest.approx(100)


def test_each_piece_of_work_has_a_speed_of_its_own(clock):
    heard = Heard(Observer(), print, "x", allowed=50.0)
    clock[0] = 20.0
    heard.progress("packing", 100, 100)
    heard.progress("running the frozen prefix", 1, 100)
    clock[0] = 24.0
    heard.progress("running the frozen prefix", 20, 100)
    clock[0] = 45.0
    with pytest.raises(OutOfTimeError):
        heard.progress("running the frozen prefix", 50, 100)
