"""Observers of an experiment: they hear the run, and nothing that they do affects it."""

import time
from types import SimpleNamespace

import pytest

from kerascnn import Observer, RunError, run_experiment
from kerascnn.components.registry import load_registry
from kerascnn.engine.observer import EVENTS, Only
from kerascnn.engine.training.listener import Epoch
from kerascnn.experiment.bound import bind_experiment
from kerascnn.run import observing
from kerascnn.run.observing import explained, observed
from kerascnn.testing.story import stories

WHO = 'observer "suspect" of suspects 1.0'
FAULTS = {
    "raises_everywhere": f"{WHO} failed in started: ValueError: no (suspects.py, line ",
    "kills_itself": f"{WHO} ended unexpectedly; the run continues without it.",
    "sleeps": f"{WHO} was stopped before it had handled the last ",
    "function": 'observer "suspect" of suspects 1.0: build must return kerascnn.Observer, not ',
    "seeds": None,
}


class Warned(Observer):
    """Records warnings."""

    def __init__(self):
        self.messages = []

    def warned(self, message):
        self.messages.append(message)


def one_for_each(faults, messages):
    """Whether there is one warning for each fault."""
    starts = [FAULTS[fault] for fault in faults if FAULTS[fault]]
    return len(messages) == len(starts) and all(
        any(said.startswith(start) for said in messages) for start in starts
    )


@pytest.fixture
def bound(suspects, shapes_experiment):
    """Binds the smallest experiment with observers of these parameters."""

    def bind(*tables):
        observers = [{"name": "suspect", **table} for table in tables]
        return bind_experiment(shapes_experiment | {"observers": observers}, load_registry())

    return bind


@pytest.mark.parametrize("faults", [["sleeps"], [*FAULTS.keys() - {"sleeps"}]], ids=len)
def test_a_fault_in_an_observer_is_one_warning(bound, monkeypatch, faults):
    if faults == ["sleeps"]:
        monkeypatch.setattr(observing, "HEARING_SECONDS", 0.5)
    observers = bound(*({"fault": fault, "seconds": 60} for fault in faults)).observers
    own, start = Warned(), time.monotonic()
    with observed(observers, own) as observer:
        observer.started("shapes", "tensorflow", "CPU")
        for number in range(3):
            observer.epoch(Epoch(number, {}), 3)
    assert one_for_each(faults, own.messages), own.messages
    assert time.monotonic() - start < 30  # none of them is waited for


def test_events_arrive_in_order_and_frequent_ones_are_dropped(bound, tmp_path):
    file = tmp_path / "events.txt"
    own = Warned()
    with observed(bound({"file": str(file)}).observers, own) as observer:
        observer.started("shapes", "tensorflow", "CPU")
        for step in range(500):
            observer.step(step, 500)
        observer.epoch(Epoch(1, {}), 1)
        observer.failed("no")
    heard = file.read_text().split()
    assert [event for event in heard if event != "step"] == ["started", "epoch", "failed"]
    assert heard.count("step") < 5
    assert not own.messages


def test_an_error_of_the_run_is_not_replaced(bound):
    with pytest.raises(ZeroDivisionError), observed(bound({}).observers, Warned()):
        raise ZeroDivisionError


def test_without_observers_there_is_no_process():
    own = Warned()
    with observed((), own) as observer:
        assert observer is own


def shape(told):
    """An event, the types of its arguments, and the keys of an epoch's metrics."""
    event, arguments = told
    types = (type(one).__name__ for one in arguments)
    return event, *types, *(arguments[0].metrics if event == "epoch" else ())


@pytest.mark.long  # two runs
def test_nothing_that_observers_do_affects_the_run(bound, workplace, tmp_path, monkeypatch):
    monkeypatch.setattr("kerascnn.run.runner.draw_report", lambda *_: None)  # takes the most time
    monkeypatch.setattr(observing, "HEARING_SECONDS", 1.0)

    def run(*faults):
        told, experiment = [], bound(*({"fault": fault, "seconds": 10} for fault in faults))
        note = {event: lambda *args, event=event: told.append((event, args)) for event in EVENTS}
        result = run_experiment(experiment, Only(**note), fresh=True)
        return [(stage["ended_sha256"], stage["frozen_sha256"]) for stage in result.stages], told

    untouched, told = run()
    events = [event for story in stories(tmp_path) for event in story.events]
    assert {*map(shape, told)} <= {*map(shape, events)}  # what the kit tells is what runs tell
    weights, told = run(*FAULTS)
    assert weights == untouched
    messages = [args[0] for event, args in told if event == "warned" and "observer" in args[0]]
    assert one_for_each(FAULTS, messages), messages


@pytest.mark.parametrize("plugin", ["", ", in no_plugin 1.0 (no_plugin.py, line 1)"])
def test_a_failure_says_how_to_resume_where_the_code_can_stay_as_it_is(monkeypatch, plugin):
    monkeypatch.setattr(observing, "plugin_at_fault", lambda error: plugin)
    tracked = SimpleNamespace(run_id="0123456789ab")
    with pytest.raises(RunError) as raised, explained(tracked, "run", "kerascnn resume {}".format):
        raise OSError("no space left")
    again = "\n`kerascnn resume 01234567` resumes the run."
    assert str(raised.value) == f"run 01234567 failed: OSError: no space left{plugin or again}"
