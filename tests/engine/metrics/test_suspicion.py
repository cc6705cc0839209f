"""Suspicion of labels by probabilities: the margin of another class, and the confident joint."""

import numpy as np

from kerascnn.engine.metrics.suspicion import suspect

PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.55, 0.45]])


def test_the_score_rises_with_the_likeliest_other_class():
    found = suspect(PROBABILITIES, np.array([0, 1, 1, 1, 0]))
    assert found.score.round(3).tolist() == [0.1, 0.8, 0.1, 0.3, 0.45]
    assert found.suggested.tolist() == [1, 0, 0, 0, 1]


def test_a_label_is_wrong_if_another_class_is_as_likely_as_where_it_is_the_label():
    labels = np.array([0, 1, 1, 1, 0])
    assert suspect(PROBABILITIES, labels).wrong.tolist() == [False, True, False, False, False]
    known = np.array([True, False, True, True, False])  # the usual probability of 0 is now 0.9
    assert not suspect(PROBABILITIES, labels, known).wrong.any()


def test_a_class_without_known_images_makes_no_label_wrong():
    found = suspect(np.array([[0.2, 0.2, 0.6], [0.3, 0.6, 0.1]]), np.array([0, 1]))
    assert not found.wrong.any()
