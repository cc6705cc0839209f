"""The images that a run knows, and the nearest of them."""

import numpy as np
import pytest

from kerascnn.errors import InputError
from kerascnn.results.known.images import KnownImages


def of_unit_length(values):
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def known(count=12, features=5):
    rng = np.random.default_rng(0)
    return KnownImages(
        names=[f"photos/{row} ü.jpg" for row in range(count)],
        contents=rng.integers(0, 256, (count, 32), np.uint8),
        labels=np.arange(count) % 2,
        splits=np.where(np.arange(count) < count - 3, "train", "validation"),
        features=of_unit_length(rng.normal(size=(count, features))).astype(np.float16),
        class_names=["circle", "square"],
    )


def test_a_run_keeps_them(written_run):
    run, images = written_run("a" * 32, [True]), known()
    images.write(run.folder)
    read = KnownImages.read(run)
    assert read.names == images.names
    for of in ("contents", "labels", "splits", "features"):
        np.testing.assert_array_equal(getattr(read, of), getattr(images, of))


def test_a_run_without_them_says_how_to_get_them(written_run):
    run = written_run("a" * 32, [True])
    with pytest.raises(InputError, match=r"keeps no features .*features.npy is missing; .*--fresh"):
        KnownImages.read(run)


def test_the_nearest_are_training_images_and_the_most_similar_first():
    images = known()
    asked = images.features.astype(np.float32)
    first, second, third = images.nearest(asked[[2, 4, 11]], 3)
    assert [first[0].image, second[0].image] == ["photos/2 ü.jpg", "photos/4 ü.jpg"]
    assert first[0].label == "circle"
    assert first[0].sha256 == images.contents[2].tobytes().hex()
    assert first[0].similarity == pytest.approx(1, abs=1e-2)
    assert third[0].image != "photos/11 ü.jpg"  # a validation image
    assert first[0].similarity > first[1].similarity > first[2].similarity
