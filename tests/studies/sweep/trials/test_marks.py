"""What the trials of a sweep show on each validation image, read from their folders."""

import numpy as np
import pytest

from kerascnn.engine.metrics.race import Marks, Scoring
from kerascnn.studies.sweep.folder import trial_folder
from kerascnn.studies.sweep.trials.marks import Board

LABELS = np.arange(100) % 2


@pytest.fixture
def board(tmp_path):
    return Board(Scoring("val_accuracy"), tmp_path, seeds=1)


def predict(folder, number, right, seed=0):
    """A trial whose network recognises the first images."""
    trial = trial_folder(folder, number, seed)
    trial.mkdir(parents=True)
    predicted = np.where(np.arange(100) < right, LABELS, 1 - LABELS)
    np.save(trial / "validation.npy", np.eye(2, dtype=np.float32)[predicted])
    np.save(trial / "labels.npy", LABELS)


def test_trials_are_compared_on_the_same_images(board, tmp_path):
    for number, right in enumerate((90, 88, 40)):
        predict(tmp_path, number, right)
    assert board.interval(0) == pytest.approx((0.826, 0.945), abs=1e-3)
    assert board.alike([0, 1, 2], 0) == [1]
    assert 0 <= board.optimism([0, 1, 2], 0) < 0.05


def test_trials_of_another_host_cannot_be_told_apart(board, tmp_path):
    predict(tmp_path, 0, 90)
    predict(tmp_path, 2, 30)
    assert board.interval(1) is None
    assert board.alike([0, 1, 2], 0) == [1]
    assert board.alike([0, 1, 2], 1) == [0, 2]
    assert board.optimism([0, 1, 2], 0) is None


def test_a_trial_of_several_seeds_is_judged_by_their_mean(tmp_path):
    board = Board(Scoring("val_accuracy"), tmp_path, seeds=2)
    for number, right in enumerate(((90, 80), (40, 30))):
        for seed, one in enumerate(right):
            predict(tmp_path, number, one, seed)
    assert [marks.value for marks in board.end(0)] == [0.9, 0.8]
    low, high = board.interval(0)
    assert low < 0.85 < high
    assert board.alike([0, 1], 0) == []


def test_looks_are_there_for_other_workers_until_a_trial_fails(board, tmp_path):
    predict(tmp_path, 3, 50)
    for epoch in (1, 2):
        board.keep(3, 0, epoch, 4, Marks(0.5, np.arange(100) < 50))
    other = Board(board.scoring, tmp_path, seeds=1)
    (curve,) = other.curves()[3]
    assert (curve.epochs, sorted(curve.looks)) == (4, [1, 2])
    assert curve.looks[2].value == 0.5
    assert curve.looks[2].parts.sum() == 50
    board.forget(3)
    assert other.curves() == {}
