"""Scores of how strange an image is."""

import numpy as np
import pytest

from kerascnn.engine.metrics.novelty import MEASURES, WIDEST, Examples, area


def of_classes(rng, centres, count):
    """`count` features of unit length around each centre [K, F], and their labels."""
    labels = np.repeat(np.arange(len(centres)), count)
    drawn = centres[labels] + 0.3 * rng.normal(size=(len(labels), centres.shape[1]))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32), labels


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("width", [16, WIDEST + 52])
def test_images_of_an_unknown_class_are_stranger(measure, width):
    rng = np.random.default_rng(0)
    centres = np.zeros((4, width))
    centres[range(4), range(4)] = 1.0 if width == 16 else 12.0
    known, labels = of_classes(rng, centres[:3], 30)
    score = MEASURES[measure](Examples(known, labels))
    like_them, _ = of_classes(rng, centres[:3], 20)
    others, _ = of_classes(rng, centres[3:], 20)
    assert area(score(like_them), score(others)) > (0.7 if measure == "probability" else 0.9)


def test_the_linear_classifier_is_right_and_its_logits_are_in_the_order_of_the_labels():
    rng = np.random.default_rng(0)
    known, labels = of_classes(rng, np.eye(3, 8), 40)
    others, of_others = of_classes(rng, np.eye(3, 8), 40)
    classes = Examples(known, labels * 10 + 5).classes
    assert (classes.logits(others).argmax(1) == of_others).mean() > 0.9
    assert (classes.distances(others).argmin(1) == of_others).mean() > 0.9
    alone = Examples(known[labels == 0], labels[labels == 0]).classes
    assert alone.logits(others).shape == (120, 1)


def test_the_area_under_the_curve_counts_pairs():
    assert area(np.array([0.1, 0.2]), np.array([0.3])) == 1
    assert area(np.array([0.1, 0.3]), np.array([0.2])) == 0.5
    assert area(np.array([0.2, 0.2]), np.array([0.2, 0.1])) == 0.25
