"""The built-in components under the checks that a stranger's are under."""

import keras
import numpy as np
import pytest
from PIL import Image

from kerascnn.builtin.applications import applications
from kerascnn.builtin.schedules import kerascnn_schedules

SCHEDULES = [component.name for component in kerascnn_schedules()]
NETWORKS = {application.name for application in applications()}
NOT_ON_TORCH = {"nasnet_mobile"}  # says Keras

SMALLEST = {  # of each family
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "inception_resnet_v2",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "nasnet_mobile",
    "resnet50",
    "resnet50_v2",
    "vgg16",
    "xception",
}
LARGEST = {  # minutes or gigabytes each: `slow`, but for the checks that train nothing
    "tensorflow": {
        *("convnext_small", "convnext_base", "convnext_large", "convnext_xlarge"),
        *("efficientnet_b5", "efficientnet_b6", "efficientnet_b7"),
        *("efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l", "vgg19"),
    },
    "torch": {"convnext_large", "convnext_xlarge", "efficientnet_v2_l", "vgg19"},
    "jax": {"vgg16"},
}[keras.config.backend()]
UNTRAINED = ("builds", "rescales_inside", "probabilities", "blocks_in_order", "prefix_then_suffix")
BUILDABLE = NETWORKS.difference(NOT_ON_TORCH if keras.config.backend() == "torch" else ())
# JAX compiles each step of each network; it predicts beside PyTorch for all of them.
HERE = (SMALLEST if keras.config.backend() == "jax" else BUILDABLE) - LARGEST


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder of two classes of noise, in the place of an unpacked download."""
    folder, rng = tmp_path_factory.mktemp("downloads"), np.random.default_rng(0)
    for number in range(40):
        name = ("daisies", "roses")[number % 2]
        file = folder / "flower_photos.tgz.unpacked/flower_photos" / name / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(file)
    return folder


@pytest.mark.kerascnn("dataset", "shapes")
def test_shapes(kerascnn_check):
    kerascnn_check()


@pytest.mark.kerascnn("dataset", "flowers")
def test_flowers(kerascnn_check):
    kerascnn_check(train=12, validation=6, test=6, size=64)


@pytest.mark.kerascnn("dataset", "image_folder")
def test_image_folder(kerascnn_check, photographs):
    kerascnn_check(path=str(photographs / "flower_photos.tgz.unpacked/flower_photos"))


@pytest.mark.kerascnn("dataset", "tf_flowers")
def test_tf_flowers(kerascnn_check, photographs):
    kerascnn_check(folder=str(photographs))


@pytest.mark.backend
@pytest.mark.kerascnn("augmentation", "none", "light", "standard", "strong")
def test_augmentations(kerascnn_check):
    kerascnn_check()


@pytest.mark.backend
@pytest.mark.kerascnn("augmentation", "strong")
def test_every_operation_of_an_augmentation(kerascnn_check):
    kerascnn_check(vertical_flip=0.5, mixup=0.4, cutmix=1.0)


@pytest.mark.backend
@pytest.mark.kerascnn("schedule", *SCHEDULES)
def test_schedules(kerascnn_check):
    kerascnn_check()


@pytest.mark.backend
@pytest.mark.kerascnn("architecture", "sequential_cnn", image_size=16)
def test_sequential_cnn(kerascnn_check):
    kerascnn_check(depth=2, filters=8)


@pytest.mark.backend
@pytest.mark.kerascnn("architecture", *sorted(HERE))
def test_networks(kerascnn_check):
    kerascnn_check(weights="none")


@pytest.mark.backend
@pytest.mark.kerascnn("architecture", *sorted(LARGEST), only=UNTRAINED)
def test_the_largest_networks_untrained(kerascnn_check):
    kerascnn_check(weights="none")


@pytest.mark.slow
@pytest.mark.backend
@pytest.mark.kerascnn("architecture", *sorted(BUILDABLE - HERE))
def test_the_other_networks(kerascnn_check):
    kerascnn_check(weights="none")
