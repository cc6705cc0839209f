"""A sweep from its first trial to its winner; with workers that are killed, and interrupted."""

import json
import signal
import sqlite3

import pytest
import sweeping

import kerascnn
from kerascnn.experiment.load import load_experiment
from kerascnn.studies.sweep.observer import SweepObserver
from kerascnn.studies.sweep.result import SWEEP, SweepResult

pytestmark = pytest.mark.long  # each worker imports Keras, and each trial builds a network


class Heard(SweepObserver):
    def __init__(self):
        self.events = []

    def sweep_started(self, so_far):
        self.events.append(("sweep", len(so_far.trials)))

    def trial_started(self, trial):
        self.events.append(("started", trial.number))

    def trial_ended(self, trial, so_far):
        self.events.append(("ended", trial.number))


def test_a_sweep_ends_with_a_winner_that_its_file_gives_again(shapes_file):
    observer = Heard()
    done = kerascnn.sweep_experiment(
        load_experiment(shapes_file),
        {"stages.0.learning_rate": {"from": 1e-4, "to": 1e-1}},
        trials=3,
        sampler="quasi_random",
        pruner="none",
        workers=2,
        observer=observer,
    )
    assert [trial.state for trial in done.trials] == ["complete"] * 3
    assert sorted(observer.events) == sorted(
        [("sweep", 0), *((what, n) for n in range(3) for what in ("started", "ended"))]
    )
    assert done.best.value == max(trial.value for trial in done.trials)
    assert done.images == 8
    assert {best for trial in done.trials if (best := trial.interval)}
    again = kerascnn.run_experiment(
        load_experiment(done.folder / "winner.toml"), kerascnn.Observer(), fresh=True
    )
    assert done.winner.stages[0]["reused_from"]
    assert again.stages[0]["ended_sha256"] == done.winner.stages[0]["ended_sha256"]
    assert json.dumps(SweepResult.read(done.folder / SWEEP).to_json()) == json.dumps(done.to_json())
    check_nested(done)


def check_nested(done):
    """On MLflow, trials and winner are below the sweep, each with its value, and without models."""
    with sqlite3.connect("mlflow.db") as database:
        below = database.execute(
            "select run_uuid from tags where key = 'mlflow.parentRunId' and value = ?",
            (done.study,),
        ).fetchall()
        shown = database.execute(
            "select run_uuid, value from latest_metrics where key = ?", (done.metric,)
        ).fetchall()
    ids = {trial.run_id for trial in done.trials} | {done.winner.run_id}
    assert {run for (run,) in below} == ids
    assert {t.run_id: t.value for t in done.trials}.items() <= dict(shown).items()
    assert not list(done.folder.glob("trials/*/model"))


def test_a_killed_worker_and_a_killed_sweep_change_nothing(workplace, shapes_experiment):
    file = sweeping.write_experiment(workplace, shapes_experiment, epochs=12)
    sweep = sweeping.start(file, *sweeping.RATES, "--trials", 3, "--workers", 2)
    folder = sweeping.begun()
    sweeping.kill(sweeping.workers(folder)[0])
    sweeping.until(lambda: "a worker ended" in sweep.stderr.readline())
    sweeping.until(lambda: sweeping.workers(folder))
    sweeping.kill(sweep.pid)
    sweep.wait()
    sweeping.until(lambda: not sweeping.workers(folder))  # they end with the sweep
    interrupted = sweeping.start("--resume", "last")
    sweeping.until(lambda: sweeping.workers(folder))
    interrupted.send_signal(signal.SIGINT)
    status, said = sweeping.ended(interrupted)
    assert status == 130
    assert f"sweep --resume {folder.name[:8]}` resumes the sweep." in said
    status, said = sweeping.ended(sweeping.start("--resume", folder.name[:8], "--workers", 2))
    assert status == 0, said
    attempts = sweeping.check_whole(folder)
    assert len(attempts) > 3  # at least one was taken up
