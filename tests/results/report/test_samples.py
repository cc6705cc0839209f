"""Which augmented images a report shows."""

from types import SimpleNamespace

import numpy as np
import pytest

from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.report.samples import augmented


@pytest.fixture
def material(shapes_experiment, registry):
    """A run that mixes images; each is of one colour, its class its number."""
    shapes_experiment["augmentation"] = {"name": "none", "mixup": 1.0}
    shapes_experiment["training"] = {"image_size": 16, "batch_size": 16}
    images = np.repeat(np.arange(0, 240, 15, dtype=np.uint8), 16 * 16 * 3).reshape(16, 16, 16, 3)
    digests = np.arange(16 * 32, dtype=np.uint8).reshape(16, 32)
    train = SimpleNamespace(images=images, labels=np.arange(16), digests=digests)
    data = SimpleNamespace(train=train, class_names=[str(i) for i in range(16)])
    data.train = type("Split", (SimpleNamespace,), {"__len__": lambda self: 16})(**vars(train))
    experiment = bind_experiment(shapes_experiment, registry)
    return SimpleNamespace(experiment=experiment, data=data)


def test_the_original_is_the_greater_part_of_what_is_shown_beside_it(material):
    samples = augmented(material, 12)
    assert 0 < len(samples.shares) <= 12
    assert (samples.shares > 0.5).all()
    assert (samples.shares < 0.999).any()
    own, other = 15.0 * samples.labels, 15.0 * samples.partners
    mixed = samples.shares * own + (1 - samples.shares) * other
    assert samples.after.mean((1, 2, 3)) == pytest.approx(mixed, abs=1.5)


def test_of_stored_views_the_images_are_shown_that_the_frozen_part_received(material):
    stages = [stage | {"views": 2} for stage in material.experiment.resolved["stages"]]
    material.experiment = material.experiment.with_overrides({"stages": stages})
    samples = augmented(material, 12)
    assert samples.exact
    np.testing.assert_array_equal(samples.shares, 1)
    np.testing.assert_array_equal(samples.after, samples.before)  # its activations are mixed
