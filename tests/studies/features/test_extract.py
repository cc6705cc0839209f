"""The features of an experiment's images: computed once, with out-of-fold probabilities."""

import numpy as np

from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import bind_experiment
from kerascnn.studies.features.extract import extract_features


def test_features_are_those_of_training_and_validation_images_and_stored(
    registry, shapes_experiment, workplace
):
    experiment = bind_experiment(shapes_experiment, registry)
    first = extract_features(experiment, Observer())
    assert first.values.shape == (16 + 8, first.extractor.length)
    assert len(first.images.names) == len(first.images.folds) == 24
    assert first.probabilities.shape == (24, 2)
    assert np.allclose(first.probabilities.sum(1), 1, atol=1e-5)
    again = extract_features(experiment, Observer())
    assert (first.stored, again.stored) == (0, 24)
    assert np.array_equal(again.values, first.values)
    tested = first.extractor.features([first.images.data.test], Observer())
    assert tested.values.shape == (8, first.extractor.length)
