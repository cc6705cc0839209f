"""Labels judged by features: swapped ones come first, and test images judge no other."""

import numpy as np

from kerascnn.studies.labels.judge import TESTED, judge_labels, voters


def images(swapped, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(150) % 3
    values = np.abs(rng.normal(size=(150, 16)))
    values[np.arange(150), labels] += 3
    noisy = labels.copy()
    noisy[swapped] = (labels[swapped] + 1) % 3
    return values.astype(np.float32), labels, noisy, rng.permutation(np.arange(150) % 5)


def test_swapped_labels_are_the_most_suspicious_and_the_right_class_is_suggested():
    swapped = np.arange(0, 150, 10)
    values, labels, noisy, folds = images(swapped)
    found = judge_labels(values, noisy, folds, 3).found
    assert set(np.argsort(-found.score)[:15]) == set(swapped)
    assert np.array_equal(found.suggested[swapped], labels[swapped])
    assert set(np.flatnonzero(found.wrong)) == set(swapped)


def test_test_images_are_judged_and_judge_nothing():
    tested = np.arange(30)
    values, labels, noisy, folds = images(tested)
    folds[tested] = TESTED
    before, after = (judge_labels(values, of, folds, 3) for of in (labels, noisy))
    assert np.array_equal(before.found.score[30:], after.found.score[30:])
    assert after.found.score[tested].min() > 0.5 > np.median(after.found.score[30:])


def test_small_classes_have_fewer_voters():
    assert [voters(known, 5) for known in (20, 200, 5000)] == [5, 5, 20]
