"""Runs in two processes, one of which is killed again and again: they end to the last bit the same.

command   KERAS_BACKEND=torch pytest -m endurance tests/endurance/test_process_kills.py
          KERASCNN_KILLS: how many, 40 by default
"""

import os
import random
import signal

import pytest
from spreading import EXPERIMENT, told

from kerascnn import load_experiment, run_experiment
from kerascnn.components.builtin import engines
from kerascnn.engine.observer import Observer

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
pytestmark = [
    pytest.mark.endurance,
    pytest.mark.skipif(BACKEND == "tensorflow", reason="it trains in one process"),
]
KILLS = int(os.environ.get("KERASCNN_KILLS", "40"))
MOST_EVENTS = 6  # before a kill: steps, which a checkpoint follows, and ends of epochs


class Killing(Observer):
    """Kills one of the last two processes after some events, and begins anew."""

    def __init__(self, drawn, processes):
        self.drawn, self.processes, self.kills = drawn, processes, 0
        self.left = drawn.randint(1, MOST_EVENTS)

    def step(self, done, total):
        self.left -= 1
        if self.left == 0:
            os.kill(self.processes[-self.drawn.choice((1, 2))]._process.pid, signal.SIGKILL)
            self.kills += 1

    def epoch(self, epoch, total):
        self.step(0, 0)

    def warned(self, message):
        if "start again" in message:
            self.left = self.drawn.randint(1, MOST_EVENTS)


def test_a_run_whose_processes_are_killed_ends_to_the_bit(workplace, without_reports, monkeypatch):
    started, start = [], engines.BackgroundProcess

    def noted(*arguments):
        started.append(start(*arguments))
        return started[-1]

    monkeypatch.setattr(engines, "BackgroundProcess", noted)
    (workplace / "photos.toml").write_text(EXPERIMENT)
    cluster = {"cluster.workers": 2, "cluster.restarts": 2 * KILLS}
    experiment = load_experiment("photos.toml", cluster)
    undisturbed = told(run_experiment(experiment, Observer(), fresh=True))
    drawn, kills = random.Random(0), 0
    while kills < KILLS:
        killing = Killing(drawn, started)
        assert told(run_experiment(experiment, killing, fresh=True)) == undisturbed
        assert all(process._process.poll() is not None for process in started)
        assert killing.kills, "a run that nobody disturbs"
        kills += killing.kills
