"""Observers of an experiment: they hear the run, and nothing that they do affects it."""

import pytest

from kerascnn import Observer, run_experiment
from kerascnn.components.registry import load_registry
from kerascnn.experiment.bound import bind_experiment
from kerascnn.run import observing


class Warned(Observer):
    """Records warnings; may act at the first step."""

    def __init__(self, act=lambda: None):
        self.act, self.messages = act, []

    def step(self, done, total):
        self.act()

    def warned(self, message):
        self.messages.append(message)


@pytest.fixture
def run(suspects, workplace, shapes_experiment, monkeypatch):
    """Runs the smallest experiment with such observers; the weights' hashes, and what is warned."""
    monkeypatch.setattr("kerascnn.run.runner.draw_report", lambda *_: None)  # takes the most time
    registry = load_registry()

    def run(*faults, act=lambda: None, **params):
        tables = [{"name": "suspect", "fault": fault, **params} for fault in faults]
        experiment = bind_experiment(shapes_experiment | {"observers": tables}, registry)
        warned = Warned(act)
        result = run_experiment(experiment, warned)
        weights = [(stage["ended_sha256"], stage["frozen_sha256"]) for stage in result.stages]
        return weights, [said for said in warned.messages if "observer" in said]

    return run


WHO = 'observer "suspect" of suspects 1.0'
FAULTS = {
    "raises_everywhere": f"{WHO} failed in started: ValueError: no; the run continues.",
    "kills_itself": f"{WHO} ended unexpectedly; the run continues without it.",
    "sleeps": f"{WHO} was stopped: 1 s after the end of the run it had not yet handled the last ",
    "seeds": None,
}


def test_nothing_that_observers_do_affects_the_run(run, monkeypatch):
    monkeypatch.setattr(observing, "HEARING_SECONDS", 1.0)
    untouched, none = run()
    assert not none
    weights, warned = run(*FAULTS, seconds=1.0)
    assert weights == untouched
    expected = [said for said in FAULTS.values() if said]
    assert len(warned) == len(expected)
    assert all(any(said.startswith(start) for said in warned) for start in expected)
