"""Heads on parts of the images: nested parts with the classes' shares, judged out of fold."""

import numpy as np

from kerascnn.studies.more.heads import NUMBERS, REPEATS, nested, paths, refit_heads

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
FEATURES = (RNG.normal(size=(60, 200)) + 0.35 * np.eye(3).repeat(67, 1)[:, :200][LABELS]).astype(
    np.float32
)


def test_every_beginning_has_the_shares_of_the_classes():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    order = nested(labels, np.arange(100), np.random.default_rng(0))
    assert sorted(order) == list(range(100))
    for count in (20, 50):
        shares = np.bincount(labels[order[:count]], minlength=3) / count
        assert np.abs(shares - [0.6, 0.3, 0.1]).max() < 0.08


def test_features_turned_into_few_predict_the_same():
    learned, judged, narrow = np.arange(31), np.arange(31, 60), FEATURES[:, :60]
    wide = np.pad(narrow, ((0, 0), (0, 10)))  # more than twice as many as the images
    *_, plain = paths(narrow, LABELS, learned, judged, 3, (1.0, 0.1))
    *_, turned = paths(wide, LABELS, learned, judged, 3, (1.0, 0.1))
    assert np.abs(np.exp(turned) - np.exp(plain)).max() < 0.01


def test_more_images_make_fewer_errors_and_none_was_seen():
    folds = np.arange(60) // 3 % 5
    heads = refit_heads(FEATURES, LABELS, folds, 3)
    assert heads.wrong.shape == (REPEATS, 60, NUMBERS)
    assert heads.sizes[-1] == 48
    errors = heads.wrong.mean((0, 1))
    assert errors[-1] < errors[0]
    unrelated = refit_heads(FEATURES, np.random.default_rng(1).permutation(LABELS), folds, 3)
    assert unrelated.wrong[..., -1].mean() > 0.4  # by chance 0.67
