"""The images to label next: uncertain ones, unlike what is labelled and unlike each other."""

import numpy as np

from kerascnn.studies.more.choice import choose, doubt

KNOWN = np.array([[1.0, 0, 0, 0], [0.9, 0.1, 0, 0], [-1, 0, 0, 0], [0, -1, 0, 0]])
UNSURE, SURE = [0.5, 0.5], [0.99, 0.01]


def test_doubt_is_greatest_between_two_equal_classes():
    assert np.allclose(doubt(np.array([[0.5, 0.5, 0], [1, 0, 0], [0.6, 0.3, 0.1]])), [1, 0, 0.7])


def test_uncertain_images_come_before_certain_ones():
    images = np.array([[0, 0, 1.0, 0], [0, 0, 0, 1.0]])
    assert choose(np.array([SURE, UNSURE]), images, KNOWN, 2).tolist() == [1, 0]


def test_what_resembles_a_chosen_image_comes_last():
    images = np.array([[0, 0, 1.0, 0], [0, 0.01, 1.0, 0], [0, 0, 0, 1.0]])
    first, second, last = choose(np.array([UNSURE] * 3), images, KNOWN, 9)
    assert {first, second} != {0, 1}
    assert last in (0, 1)


def test_what_is_labelled_is_not_asked_again():
    images = np.array([KNOWN[0], [0, 0, 1.0, 0]])
    assert choose(np.array([UNSURE] * 2), images, KNOWN, 1).tolist() == [1]


def test_no_image_is_chosen_twice_even_if_all_are_equal():
    images = np.repeat(KNOWN[:1], 4, axis=0)
    assert sorted(choose(np.array([SURE] * 4), images, KNOWN, 4)) == [0, 1, 2, 3]
