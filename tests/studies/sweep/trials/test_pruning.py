"""The race of a sweep's workers: marks in folders, read by all, and the reason in words."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from kerascnn.engine.metrics.race import Scoring
from kerascnn.run.result.look import Look
from kerascnn.studies.sweep.folder import trial_folder
from kerascnn.studies.sweep.trials.marks import Board
from kerascnn.studies.sweep.trials.pruning import Race

LABELS = np.zeros(300, int)


def look(right, epoch, stage="finetune", epochs=10):
    """A look at weights that are correct on the first `right` images."""
    sure = np.where(np.arange(300) < right, 0.9, 0.1).astype(np.float32)
    metrics = {"val_accuracy": right / 300}
    predicted = np.stack([sure, 1 - sure], -1)
    return Look(
        epoch=epoch + 4,
        epochs=epochs + 4,
        stage=stage,
        stage_epoch=epoch,
        stage_epochs=epochs,
        probabilities=predicted,
        labels=LABELS,
        metrics=metrics,
    )


@pytest.fixture
def worker(tmp_path):
    """Starts a worker: its judge, on the folder that all share."""

    def start(metric="val_accuracy", trials=40):
        stages = [SimpleNamespace(name="head"), SimpleNamespace(name="finetune")]
        planned = SimpleNamespace(experiment=SimpleNamespace(stages=stages), trials=trials)
        race = Race(planned, Board(Scoring(metric), tmp_path, 1))

        def judge(number, shown, seed=0):
            trial_folder(tmp_path, number, seed).mkdir(parents=True, exist_ok=True)
            return race(None, shown, number, seed)

        return judge, race

    return start


def test_a_worse_trial_of_another_worker_is_dropped_with_a_sentence(worker):
    (one, _), (other, _) = worker(), worker()
    assert [one(0, look(200 + 6 * epoch, epoch)) for epoch in range(1, 11)] == [""] * 10
    assert other(1, look(120, 1)) == ""
    assert other(1, look(130, 2)) == (
        "worse than trial 0 at epoch 1 of finetune: at best 0.433 by epoch 2 against 0.687 on the "
        "same 300 images, p < 0.001 after correction"
    )


def test_a_loss_is_told_as_it_is_reported(worker):
    judge, _ = worker("val_loss")
    for epoch in range(1, 11):
        judge(0, look(280, epoch))
    judge(1, look(100, 1))
    reason = judge(1, look(100, 2))
    mine, theirs = map(float, re.findall(r"at best (\S+) by .* against (\S+) on", reason)[0])
    assert mine > theirs > 0


def test_only_the_last_stage_counts(worker):
    judge, _ = worker()
    for epoch in range(1, 11):
        judge(0, look(280, epoch))
    assert judge(1, look(10, 2, stage="head")) == ""


def test_a_trial_that_failed_leads_no_longer(worker):
    judge, race = worker()
    for epoch in range(1, 6):
        judge(0, look(290, epoch))
    judge(1, look(100, 1))
    race._board.forget(0)
    fresh, _ = worker()
    assert fresh(1, look(100, 2)) == ""


def test_a_trial_that_another_worker_resumes_has_its_earlier_looks(worker):
    (one, _), (other, _) = worker(), worker()
    for epoch in range(1, 11):
        one(0, look(200 + 6 * epoch, epoch))
    one(1, look(250, 1))
    assert other(1, look(120, 2)) == ""  # its best look was before the kill
