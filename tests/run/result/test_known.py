"""What a run keeps of its images."""

import numpy as np
import pytest

from kerascnn.engine.observer import Observer
from kerascnn.experiment.load import load_experiment
from kerascnn.results.known.images import KnownImages
from kerascnn.results.known.rejection import Rejection
from kerascnn.run.experiment import run_experiment

pytestmark = pytest.mark.usefixtures("without_reports")


def known_of(file, **changes):
    result = run_experiment(load_experiment(file, changes), Observer())
    return result, KnownImages.read(result)


@pytest.mark.backend
def test_training_images_and_those_held_out_once_each(shapes_file):
    _, known = known_of(shapes_file)
    assert known.splits.tolist() == ["train"] * 16 + ["validation"] * 8
    assert len({of.tobytes() for of in known.contents}) == 24
    lengths = np.linalg.norm(known.features.astype(np.float32), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-2)
    _, all_known = known_of(shapes_file, **{"training.train_on": "all", "training.keep": "last"})
    assert all_known.splits.tolist() == ["train"] * 24
    assert all_known.contents.tolist() == known.contents.tolist()


def test_of_a_run_trained_on_its_validation_images_the_test_images_are_held_out(shapes_file):
    both = {"training.train_on": "train+validation", "training.keep": "last"}
    result, known = known_of(shapes_file, **both)
    assert known.splits.tolist() == ["train"] * 24 + ["test"] * 8
    assert Rejection(result, 0.2).threshold > 0


def test_where_features_have_to_be_computed_a_few_images_of_each_class_are_kept(
    shapes_file, monkeypatch
):
    monkeypatch.setattr("kerascnn.run.result.known.TO_COMPUTE", 3)
    result, known = known_of(shapes_file)
    assert np.bincount(known.labels[known.trained]).tolist() == [3] * len(result.class_names)
