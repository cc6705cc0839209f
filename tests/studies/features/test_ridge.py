"""Ridge regression in closed form: what a solver finds, out of fold, in any number of features."""

import numpy as np
import pytest

from kerascnn.studies.features import ridge
from kerascnn.studies.features.ridge import ridge_out_of_fold
from kerascnn.studies.features.scaling import standardized
from tests.studies.features.test_classifier import clusters


@pytest.mark.parametrize("features", [8, 500])  # fewer than images, and more than `DIRECTIONS`
def test_the_values_are_those_of_a_solver(features):
    from sklearn.linear_model import Ridge

    values, labels, folds = clusters(features=features)
    inputs, targets = standardized(values), np.eye(3, dtype=np.float32)[labels]
    found = ridge._out_of_fold(ridge._reduced(inputs), targets, folds, np.ones(60, bool))
    others, weak = folds != 2, ridge.PENALTIES[1]
    mean = targets[others].mean(0)
    solver = Ridge(weak * others.sum(), fit_intercept=False)
    solver.fit(inputs[others], targets[others] - mean)
    assert found[1, ~others] == pytest.approx(solver.predict(inputs[~others]) + mean, abs=2e-3)


def test_probabilities_tell_classes_apart_and_add_up_to_one():
    values, labels, folds = clusters(apart=4.0)
    found = ridge_out_of_fold(values, labels, folds, 3)
    assert found.sum(1) == pytest.approx(1, abs=1e-5)
    assert (found.argmax(1) == labels).mean() > 0.9


def test_an_image_that_may_not_be_fitted_on_changes_no_other():
    values, labels, folds = clusters()
    fitted = np.arange(60) >= 10
    folds = np.where(fitted, folds, -1)
    before = ridge_out_of_fold(values, labels, folds, 3, fitted)
    changed = np.where(fitted, labels, (labels + 1) % 3)
    assert np.array_equal(ridge_out_of_fold(values, changed, folds, 3, fitted), before)
