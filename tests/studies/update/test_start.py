"""What an update starts from."""

import numpy as np
import pytest

from kerascnn import load_experiment
from kerascnn.results.predictions import Predictions, write_predictions
from kerascnn.studies.update.start import choose, fell_short, first_start

IMAGES = 40


def judged(result, right, shift=0):
    """Gives a run predictions for validation images, of which the first `right` are right."""
    labels = np.zeros(IMAGES, int)
    guessed = (np.arange(IMAGES) >= right).astype(int)
    said = Predictions(
        names=[str(row) for row in range(IMAGES)],
        labels=labels,
        probabilities=np.eye(len(result.class_names), dtype=np.float32)[guessed],
        digests=[f"{row + shift:064x}" for row in range(IMAGES)],
    )
    write_predictions(result.folder / "validation_predictions.csv", said, result.class_names)
    return result


@pytest.fixture
def runs(written_run):
    return [written_run(name, np.ones(4, bool)) for name in ("aaaaaaaa", "bbbbbbbb")]


@pytest.mark.parametrize(
    ("warm", "anew", "start"), [(40, 30, "warm"), (36, 34, "anew"), (20, 39, "anew")]
)
def test_anew_unless_a_warm_start_is_surely_better(runs, warm, anew, start):
    chosen, why = choose(judged(runs[0], warm), judged(runs[1], anew))
    assert chosen == start
    assert ("not told apart" in why) == (warm == 36)


@pytest.mark.parametrize(
    ("before", "after", "short"), [(40, 30, True), (36, 34, False), (30, 40, False)]
)
def test_it_falls_short_where_it_is_surely_worse(runs, before, after, short):
    said = fell_short(judged(runs[0], before), judged(runs[1], after))
    assert ("surely worse than run aaaaaaaa on its 40 validation images" in said) == short


def test_runs_without_a_common_validation_image_are_not_compared(runs):
    assert fell_short(judged(runs[0], 40), judged(runs[1], 0, shift=IMAGES)) == ""


@pytest.mark.parametrize(
    ("asked", "changes", "start", "why"),
    [
        ("auto", {}, "warm", "part of the time"),
        ("auto", {"stages.scratch.unfreeze": "head"}, "anew", "only the head"),
        ("auto", {"training.train_on": "train+validation", "training.keep": "last"}, "anew", "too"),
        ("both", {}, "warm", "asked for"),
        ("anew", {}, "anew", "as asked"),
    ],
)
def test_what_is_trained_first(shapes_file, asked, changes, start, why):
    first, said = first_start(asked, load_experiment(shapes_file, changes))
    assert first == start
    assert why in said
