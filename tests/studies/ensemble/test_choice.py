"""Weights and views are chosen only where the validation images show that they help."""

import numpy as np
import pytest

from kerascnn.engine.data.decoding.preparation import Centred
from kerascnn.studies.ensemble.choice import centre, choose_views, choose_weights, gain, mirror

LABELS = np.arange(600) % 3


def probabilities(skill, seed=0):
    """Of a network whose scores for the right class are higher by `skill` on average."""
    noise = np.random.default_rng(seed).normal(size=(len(LABELS), 3))
    scores = noise + skill * np.eye(3)[LABELS]
    raised = np.exp(scores)
    return raised / raised.sum(1, keepdims=True)


def test_weights_are_equal_unless_stacking_is_surely_better():
    alike = np.array([probabilities(2, seed) for seed in range(3)])
    weights, decision = choose_weights(alike, LABELS)
    assert weights == pytest.approx([1 / 3] * 3)
    assert decision["chosen"] == "equal"
    assert decision["why"].endswith("not surely better")
    weights, decision = choose_weights(
        np.array([probabilities(4, 0), probabilities(-2, 1)]), LABELS
    )
    assert weights[0] > 0.95
    assert weights.sum() == pytest.approx(1)
    assert decision["chosen"].startswith("0.9")
    assert decision["why"].endswith("; better")


def test_a_gain_that_lowers_the_accuracy_is_none():
    sharper, right = np.full((4, 2), 0.5), np.zeros(4, int)
    sharper[:, 0] += 1e-3
    worse = np.tile([0.9, 0.1], (4, 1))
    worse[3] = 0.49, 0.51
    found = gain(sharper, worse, right)
    assert found.loss > 0
    assert found.accuracy < 0
    assert not found.sure


@pytest.mark.parametrize(
    ("skills", "views"), [((1, 1, 1, 1), 4), ((1, -3, 1, 1), 1), ((1, 1, -4, -4), 2)]
)
def test_each_view_has_to_help(skills, views):
    """The plain image, its mirror image, its centre, and the mirror image of that."""
    said = iter([probabilities(skill, seed) for seed, skill in enumerate(skills)])
    images = Centred(np.zeros((len(LABELS), 8, 8, 3), np.uint8), 8)
    chosen, decision = choose_views(next(said), images, lambda _: next(said), LABELS)
    assert chosen == views
    assert "against" in decision["why"]


def test_views_of_images():
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(mirror(mirror(images)), images)
    flat = np.full((1, 16, 16, 3), 7, np.float32)
    np.testing.assert_allclose(centre(flat), flat, atol=1e-4)
    ramp = np.broadcast_to(np.arange(16.0)[:, None], (1, 16, 16))[..., None].repeat(3, -1)
    enlarged = centre(ramp)[0, :, 0, 0]
    assert enlarged[0] == pytest.approx(0.875, abs=0.2)  # a sixteenth of the height is cut off
    assert enlarged[-1] == pytest.approx(14.125, abs=0.2)
