"""The built-in components under the checks that a stranger's are under."""

from zipfile import ZIP_DEFLATED

import keras
import numpy as np
import pytest
from PIL import Image
from sharding import in_folders, samples, write_parquet, write_tar, write_zip

from kerascnn.components.builtin.applications import applications
from kerascnn.components.builtin.losses import kerascnn_losses
from kerascnn.components.builtin.metrics import kerascnn_metrics
from kerascnn.components.builtin.schedules import kerascnn_schedules
from kerascnn.testing import checks_of

SCHEDULES = [component.name for component in kerascnn_schedules()]
LOSSES = [component.name for component in kerascnn_losses()]
METRICS = [component.name for component in kerascnn_metrics()]
LARGEST_FIRST = sorted(applications(), key=lambda network: -int(network.parameters))
NETWORKS = {network.name for network in LARGEST_FIRST}
LEAST = set({network.family: network.name for network in LARGEST_FIRST}.values())  # of each family
WHOLE = {"resnet50"}  # under all checks on every backend
BACKEND = keras.config.backend()
REFUSED = {"nasnet_mobile"} if BACKEND == "torch" else set()  # by Keras
TWICE = {"backends_agree"} if BACKEND == "torch" else set()  # JAX asks PyTorch, and so does CI
CHECKS = [check.name for check in checks_of("architecture") if check.name not in TWICE]
# JAX and PyTorch run Keras's own layers: of each family they show that it computes and freezes
OF_FAMILIES = CHECKS if BACKEND == "tensorflow" else ["builds", "probabilities", "last_n_freezes"]


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


@pytest.mark.kerascnn("dataset", "image_folder")
def test_image_folder(kerascnn_check, photographs):
    kerascnn_check(path=str(photographs / "flower_photos.tgz.unpacked/flower_photos"))


@pytest.mark.long  # each check builds a dataset and reads it in other processes
@pytest.mark.kerascnn("dataset", "tar_shards")
def test_tar_shards(kerascnn_check, tmp_path):
    write_tar(tmp_path / "train.tar", samples(40))
    kerascnn_check(path=str(tmp_path))


@pytest.mark.long  # the same
@pytest.mark.kerascnn("dataset", "zip_file")
def test_zip_file(kerascnn_check, tmp_path):
    kerascnn_check(path=str(write_zip(tmp_path / "a.zip", in_folders(40), ZIP_DEFLATED)))


@pytest.mark.long  # the same
@pytest.mark.kerascnn("dataset", "parquet")
def test_parquet(kerascnn_check, tmp_path):
    kerascnn_check(path=str(write_parquet(tmp_path / "a.parquet", 40)))


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


@pytest.mark.kerascnn("metric", *METRICS)
def test_metrics(kerascnn_check):
    kerascnn_check()


@pytest.mark.backend
@pytest.mark.kerascnn("loss", *LOSSES)
def test_losses(kerascnn_check):
    kerascnn_check()


@pytest.mark.kerascnn("observer", "command", only=["hears_every_event", "imports_no_backend"])
def test_command(kerascnn_check, monkeypatch):
    monkeypatch.setenv("KERASCNN_COMMAND_OF_TESTS", "true")
    kerascnn_check(variable="KERASCNN_COMMAND_OF_TESTS")


@pytest.mark.backend
@pytest.mark.kerascnn("architecture", "sequential_cnn", image_size=16)
def test_sequential_cnn(kerascnn_check):
    kerascnn_check(depth=2, filters=8)


@pytest.mark.backend
@pytest.mark.long
@pytest.mark.kerascnn("architecture", *sorted(WHOLE), only=CHECKS)
def test_a_large_network(kerascnn_check):
    kerascnn_check(weights="none")


@pytest.mark.backend
@pytest.mark.long
@pytest.mark.kerascnn("architecture", *sorted(LEAST - WHOLE - REFUSED), only=OF_FAMILIES)
def test_a_network_of_each_family(kerascnn_check):
    kerascnn_check(weights="none")


@pytest.mark.backend
@pytest.mark.slow
@pytest.mark.kerascnn("architecture", *sorted(NETWORKS - LEAST - WHOLE - REFUSED), only=CHECKS)
def test_all_other_networks(kerascnn_check):
    kerascnn_check(weights="none")
