"""`flowers`: the same images everywhere, balanced, lazy, and not solved by their colours."""

import pickle
import subprocess
import sys
from multiprocessing import get_context

import kerascnn_flowers as plugin
import numpy as np
import pytest
from kerascnn_flowers.dataset import FLOWERS, SPECIES
from pydantic import ValidationError

from kerascnn import near_copies


def make(**params):
    return FLOWERS.build(FLOWERS.params(**params), seed=0)


def read(source, i):
    return source[i][0]


def shrunk(image, side):
    size = len(image)
    return image.reshape(side, size // side, side, size // side, 3).mean((1, 3))


@pytest.mark.kerascnn("dataset", "flowers")
def test_contract(kerascnn_check):
    kerascnn_check(train=12, validation=6, test=6, size=64)


def test_images_are_uint8_in_the_asked_size_and_not_flat():
    for i in range(len(SPECIES)):
        image, label = make(species=len(SPECIES), size=64).train[i]
        assert image.shape == (64, 64, 3)
        assert image.dtype == np.uint8
        assert label == i
        assert image.std() > 8


@pytest.mark.parametrize("size", [32, 65, 193])
def test_any_size_renders(size):
    assert make(size=size).test[0][0].shape == (size, size, 3)


def test_classes_are_balanced_and_named():
    splits = make(species=3, train=7, validation=6, test=6, size=32)
    assert splits.class_names == ["daisy", "dandelion", "rose"]
    assert [label for _, label in splits.train] == [0, 1, 2, 0, 1, 2, 0]
    with pytest.raises(IndexError):
        splits.train[7]


def test_another_process_renders_the_same_images():
    source = make(size=48).train
    with get_context("spawn").Pool(1) as pool:
        theirs = pool.starmap(read, [(source, i) for i in range(6)])
    np.testing.assert_array_equal(theirs, [read(source, i) for i in range(6)])
    assert pickle.loads(pickle.dumps(source)) == source


def test_no_split_shares_an_image_with_another():
    splits = make(train=12, validation=12, test=12, size=32)
    images = [im.tobytes() for s in (splits.train, splits.validation, splits.test) for im, _ in s]
    assert len(set(images)) == len(images) == 36


def test_images_depend_on_image_seed_and_not_on_the_seed():
    first, other = (FLOWERS.build(FLOWERS.params(size=32), seed=seed).train for seed in (0, 1))
    np.testing.assert_array_equal(first[3][0], other[3][0])
    assert first.fingerprint == other.fingerprint
    assert (make(size=32, image_seed=1).train[3][0] != first[3][0]).any()


def test_more_images_change_none_of_the_others():
    few, many = make(train=6, size=32).train, make(train=12, test=9, size=32).train
    np.testing.assert_array_equal(few[5][0], many[5][0])


def test_fingerprint_is_the_same_only_for_the_same_images():
    variants = ({}, {"species": 5}, {"size": 160}, {"image_seed": 1}, {"train": 701})
    prints = [make(**variant).train.fingerprint for variant in variants]
    assert len({*prints, make().test.fingerprint}) == len(prints) + 1
    assert make(test=9).train.fingerprint == prints[0] == make().train.fingerprint


def test_a_change_of_the_images_asks_for_a_new_renderer_version():
    """Raise RENDERER_VERSION, so that no cache serves the old images, and then these figures."""
    source = make(species=len(SPECIES), size=64).train
    means = [source[i][0].mean() for i in range(len(SPECIES))]
    expected = [192.7, 118.8, 173.1, 136.3, 205.2, 166.5, 103.8, 68.7]
    np.testing.assert_allclose(means, expected, atol=0.5)


def test_building_renders_nothing_and_imports_no_drawing_library():
    code = (
        "import sys; from kerascnn_flowers.dataset import FLOWERS as f;"
        "s = f.build(f.params(train=10**9), seed=0); s.train.fingerprint;"
        "assert len(s.train) == 10**9;"
        "assert not {'PIL', 'keras', 'tensorflow', 'jax', 'torch', 'mlflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.long  # renders 240 images
def test_neither_thumbnails_nor_colours_give_the_species_away():
    """A ridge classifier stays far under 60%: what tells the species is form."""
    splits = make(train=150, test=90, size=48)
    truth = np.arange(90) % 6
    train = np.stack([image for image, _ in splits.train])  # [N, 48, 48, 3]
    test = np.stack([image for image, _ in splits.test])
    for features in (thumbnails, histograms):
        predicted = ridge(features(train), np.arange(150) % 6, features(test))
        assert (predicted == truth).mean() < 0.45


def thumbnails(images):
    return np.stack([shrunk(image, 16).ravel() for image in images]) / 255


def histograms(images):
    bins = images.reshape(len(images), -1, 3).astype(int) // 64 @ [16, 4, 1]
    return np.sqrt(np.stack([np.bincount(row, minlength=64) for row in bins]) / bins.shape[1])


def ridge(features, labels, others, penalty=10.0):
    """Ridge regression onto one-hot labels in its dual form."""
    mean = features.mean(0)
    features, others = features - mean, others - mean
    gram = features @ features.T + penalty * np.eye(len(features))
    return (others @ (features.T @ np.linalg.solve(gram, np.eye(6)[labels] - 1 / 6))).argmax(1)


def test_images_are_not_nearly_equal():
    source = make(train=60, size=48).train
    contents = [(f"{number:064x}", "flower") for number in range(len(source))]
    assert not near_copies(source, contents)


def test_the_hook_offers_the_dataset():
    assert plugin.kerascnn_datasets() == [FLOWERS]


def test_impossible_parameters_are_refused():
    for params in ({"species": 1}, {"species": 9}, {"size": 16}, {"train": 0}, {"colour": "red"}):
        with pytest.raises(ValidationError):
            FLOWERS.params(**params)
