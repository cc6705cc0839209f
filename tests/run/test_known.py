"""What a run keeps of its images."""

import numpy as np
import pytest

from kerascnn.engine.observer import Observer
from kerascnn.experiment.load import load_experiment
from kerascnn.results.known.images import KnownImages
from kerascnn.run.experiment import run_experiment

pytestmark = pytest.mark.usefixtures("without_reports")


def known_of(file, **changes):
    result = run_experiment(load_experiment(file, changes), Observer())
    return result, KnownImages.read(result)


@pytest.mark.backend
def test_training_and_validation_images_once_each_and_none_of_the_test(shapes_file):
    _, known = known_of(shapes_file)
    assert known.trained.tolist() == [True] * 16 + [False] * 8
    assert len({of.tobytes() for of in known.contents}) == 24
    lengths = np.linalg.norm(known.features.astype(np.float32), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-2)
    _, all_known = known_of(shapes_file, **{"training.train_on": "all", "training.keep": "last"})
    assert all_known.trained.tolist() == [True] * 24
    assert all_known.contents.tolist() == known.contents.tolist()


def test_where_features_have_to_be_computed_a_few_images_of_each_class_are_kept(
    shapes_file, monkeypatch
):
    monkeypatch.setattr("kerascnn.run.known.TO_COMPUTE", 3)
    result, known = known_of(shapes_file)
    assert np.bincount(known.labels[known.trained]).tolist() == [3] * len(result.class_names)
