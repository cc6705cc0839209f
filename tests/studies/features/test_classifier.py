"""The linear probe: the least loss, out of fold, with a penalty that suits the features."""

import numpy as np
import pytest

from kerascnn.studies.features.classifier import PENALTIES, _fit, _inputs, out_of_fold


def clusters(images=60, features=8, classes=3, apart=2.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(images) % classes)
    values = rng.normal(size=(images, features))
    values[np.arange(images), labels] += apart
    return values.astype(np.float32), labels, np.arange(images) % 5


def loss_of(probabilities, labels):
    return -np.log(probabilities[np.arange(len(labels)), labels]).mean()


def test_a_fit_has_the_least_penalised_loss():
    from sklearn.linear_model import LogisticRegression

    values, labels, _ = clusters()
    inputs = _inputs(values * 7 + 3, np.ones(len(values), bool))
    assert np.allclose(inputs.std(0)[:-1], 1, atol=1e-4)
    weights = _fit(inputs, np.eye(3, dtype=np.float32)[labels], np.zeros((9, 3), np.float32), 0.03)
    other = LogisticRegression(C=1 / (0.03 * len(labels)), tol=1e-8, max_iter=1000)
    other.fit(inputs[:, :-1], labels)
    assert weights[:-1] == pytest.approx(other.coef_.T, abs=0.01)


def test_the_probe_of_an_image_has_not_seen_its_fold():
    values, labels, folds = clusters()
    before = out_of_fold(values, labels, folds, 3)
    assert before.sum(1) == pytest.approx(1, abs=1e-5)
    changed = np.where(folds == 2, (labels + 1) % 3, labels)
    after = out_of_fold(values, changed, folds, 3)
    assert np.array_equal(before[folds == 2], after[folds == 2])
    assert not np.allclose(before[folds != 2], after[folds != 2])


def test_good_features_are_recognised_and_noise_is_not_believed():
    values, labels, folds = clusters(apart=4.0)
    assert (out_of_fold(values, labels, folds, 3).argmax(1) == labels).mean() > 0.9
    noise = np.random.default_rng(1).normal(size=(60, 200)).astype(np.float32)
    assert loss_of(out_of_fold(noise, labels, folds, 3), labels) < 1.15 * np.log(3)


def test_the_penalty_is_chosen_in_the_other_folds(monkeypatch):
    """One penalty for all features would be worse for those that suit another."""
    noise = np.random.default_rng(1).normal(size=(60, 200)).astype(np.float32)
    values, labels, folds = clusters(apart=4.0)
    chosen = [loss_of(out_of_fold(of, labels, folds, 3), labels) for of in (values, noise)]
    for penalty, of, better in ((PENALTIES[0], values, 0), (PENALTIES[-1], noise, 1)):
        monkeypatch.setattr("kerascnn.studies.features.classifier.PENALTIES", (penalty,))
        assert loss_of(out_of_fold(of, labels, folds, 3), labels) > 1.3 * chosen[better]


def test_constant_features_and_a_class_without_images():
    values, labels, folds = clusters()
    values[:, 5] = 7
    probabilities = out_of_fold(values, labels, folds, 4)
    assert np.isfinite(probabilities).all()
    assert probabilities[:, 3].max() < 0.05
