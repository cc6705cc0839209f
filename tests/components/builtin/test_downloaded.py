"""The well-known datasets, made small and served from this machine."""

import gzip
import hashlib
import inspect
import io
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

import kerascnn
from kerascnn import InputError, read_image
from kerascnn.components.builtin import downloaded
from kerascnn.components.builtin.downloaded import KERAS_DATASETS, OXFORD_FLOWERS102, TF_FLOWERS

SPLITS = ("train", "validation", "test")
NOWHERE = "http://127.0.0.1:9"


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path):
    """A folder and the address under which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()

    def handler(*args):
        return Handler(*args, directory=folder)

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def jpeg(value):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (value, value, value)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_archive(path, contents):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def build(component, **params):
    return component.build(component.params(**params), seed=0)


def list_of(source):
    return [source[i] for i in range(len(source))]


@pytest.fixture
def tf_flowers(site, monkeypatch):
    folder, url = site
    images = {
        f"flower_photos/{name}/{i}.jpg": jpeg(number * 40 + i)
        for number, name in enumerate(("daisy", "roses"))
        for i in range(40)
    }
    write_archive(folder / "flower_photos.tgz", {"flower_photos/LICENSE.txt": b"CC", **images})
    monkeypatch.setattr(downloaded, "TF_FLOWERS_URL", f"{url}/flower_photos.tgz")
    monkeypatch.setattr(downloaded, "TF_FLOWERS_SHA256", sha256(folder / "flower_photos.tgz"))
    return folder


def test_tf_flowers(tf_flowers, tmp_path):
    splits = build(TF_FLOWERS, folder=tmp_path / "data")
    assert splits.class_names == ["daisy", "roses"]
    assert sum(len(getattr(splits, split)) for split in SPLITS) == 80
    path, label = splits.test[0]
    assert read_image(path).shape == (8, 8, 3)
    assert path.parent.name == splits.class_names[label]
    other = build(TF_FLOWERS, folder=tmp_path / "data", split_seed=1)
    assert other.test.fingerprint != splits.test.fingerprint


def test_tf_flowers_is_downloaded_once(tf_flowers, tmp_path):
    first = build(TF_FLOWERS, folder=tmp_path / "data")
    (tf_flowers / "flower_photos.tgz").unlink()
    second = build(TF_FLOWERS, folder=tmp_path / "data")
    assert first.train.fingerprint == second.train.fingerprint


def test_tf_flowers_without_a_network(monkeypatch, tmp_path):
    monkeypatch.setattr(downloaded, "TF_FLOWERS_URL", f"{NOWHERE}/flower_photos.tgz")
    with pytest.raises(InputError) as caught:
        build(TF_FLOWERS, folder=tmp_path)
    for part in (NOWHERE, str(tmp_path / "flower_photos.tgz"), downloaded.TF_FLOWERS_SHA256):
        assert part in str(caught.value)


@pytest.fixture
def oxford(site, monkeypatch):
    from scipy.io import savemat

    folder, url = site
    images = {f"jpg/image_{i:05d}.jpg": jpeg(i) for i in range(1, 7)}
    write_archive(folder / "102flowers.tgz", images)
    savemat(folder / "imagelabels.mat", {"labels": np.array([[77, 77, 1, 1, 102, 102]], np.uint8)})
    numbers = {"trnid": [[3, 1]], "valid": [[2, 4]], "tstid": [[6, 5]]}
    savemat(folder / "setid.mat", {name: np.array(ids, np.uint16) for name, ids in numbers.items()})
    monkeypatch.setattr(downloaded, "OXFORD_URL", url)
    monkeypatch.setattr(
        downloaded, "OXFORD_SHA256", {path.name: sha256(path) for path in folder.iterdir()}
    )


def test_oxford_flowers102_has_its_official_splits(oxford, tmp_path):
    splits = build(OXFORD_FLOWERS102, folder=tmp_path / "data")
    found = {
        split: [
            (path.stem[-1], splits.class_names[label])
            for path, label in list_of(getattr(splits, split))
        ]
        for split in SPLITS
    }
    assert found == {
        "train": [("3", "pink primrose"), ("1", "passion flower")],
        "validation": [("2", "passion flower"), ("4", "pink primrose")],
        "test": [("6", "blackberry lily"), ("5", "blackberry lily")],
    }
    assert abs(int(read_image(splits.test[0][0]).mean()) - 6) <= 1


def test_oxford_flowers102_has_102_names(oxford, tmp_path):
    names = build(OXFORD_FLOWERS102, folder=tmp_path / "data").class_names
    assert len(set(names)) == 102
    assert all(name == name.strip() and name for name in names)


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    from keras.src.backend import config

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))  # read when Keras was imported
    return tmp_path


@pytest.fixture
def fashion_mnist(keras_home, monkeypatch):
    """200 and 50 images in the publisher's format, whose pixels all are their number."""
    folder = keras_home / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for prefix, count in (("train", 200), ("t10k", 50)):
        numbers = np.arange(count, dtype=np.uint8)
        images = np.repeat(numbers, 28 * 28).tobytes()
        with gzip.open(folder / f"{prefix}-images-idx3-ubyte.gz", "wb") as file:
            file.write(bytes(16) + images)
        with gzip.open(folder / f"{prefix}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(bytes(8) + (numbers % 10).tobytes())
    pinned = [
        downloaded.KerasFile(
            f"{NOWHERE}/{path.name}",
            f"fashion-mnist/{path.name}",
            {"md5": hashlib.md5(path.read_bytes()).hexdigest()},
        )
        for path in folder.iterdir()
    ]
    monkeypatch.setitem(downloaded.KERAS_FILES, "fashion_mnist", pinned)
    return folder


def numbers_of(source):
    return [int(image[0, 0]) for image, _ in list_of(source)]


def test_keras_dataset(fashion_mnist):
    splits = build(KERAS_DATASETS, dataset="fashion_mnist")
    assert splits.class_names[9] == "ankle_boot"
    train, validation = numbers_of(splits.train), numbers_of(splits.validation)
    assert (len(train), len(validation)) == (180, 20)
    assert sorted(train + validation) == list(range(200))
    assert train != sorted(train)
    assert sorted(numbers_of(splits.test)) == list(range(50))
    for split in SPLITS:
        for image, label in list_of(getattr(splits, split)):
            assert image.shape == (28, 28)
            assert image.dtype == np.uint8
            assert label == int(image[0, 0]) % 10


def test_the_limit_takes_the_first_of_the_same_order(fashion_mnist):
    full = build(KERAS_DATASETS, dataset="fashion_mnist")
    few = build(KERAS_DATASETS, dataset="fashion_mnist", limit=15)
    for split in SPLITS:
        assert numbers_of(getattr(few, split)) == numbers_of(getattr(full, split))[:15]
    assert few.train.fingerprint != full.train.fingerprint


def test_keras_dataset_is_the_same_each_time_and_follows_its_own_seed(fashion_mnist):
    one, two, other = (
        build(KERAS_DATASETS, dataset="fashion_mnist", split_seed=seed) for seed in (0, 0, 1)
    )
    assert one.validation.fingerprint == two.validation.fingerprint
    assert one.validation.fingerprint != other.validation.fingerprint
    assert one.validation.fingerprint != one.test.fingerprint


def test_a_spoiled_file_is_not_trusted(fashion_mnist):
    (fashion_mnist / "t10k-images-idx3-ubyte.gz").write_bytes(b"half of it")
    with pytest.raises(InputError, match=r"t10k-images.* its hash is wrong"):
        build(KERAS_DATASETS, dataset="fashion_mnist")


@pytest.mark.parametrize("dataset", downloaded.KERAS_FILES)
def test_keras_dataset_without_a_network(dataset, keras_home, monkeypatch):
    files = [
        downloaded.KerasFile(f"{NOWHERE}/{file.name}", file.name, file.hashes)
        for file in downloaded.KERAS_FILES[dataset]
    ]
    monkeypatch.setitem(downloaded.KERAS_FILES, dataset, files)
    with pytest.raises(InputError) as caught:
        build(KERAS_DATASETS, dataset=dataset)
    assert str(keras_home / "datasets" / files[0].name) in str(caught.value)
    assert next(iter(files[0].hashes.values())) in str(caught.value)


@pytest.mark.parametrize("dataset", downloaded.KERAS_FILES)
def test_the_files_are_those_that_keras_looks_for(dataset):
    from keras import datasets

    source = inspect.getsource(getattr(datasets, dataset).load_data)
    for file in downloaded.KERAS_FILES[dataset]:
        assert file.url.rpartition("/")[0] in source
        assert file.url.rpartition("/")[2] in source
        assert file.name.rpartition("/")[2].removesuffix("_archive") in source
        assert file.hashes.get("sha256", "") in source


def test_the_loaders_find_what_was_fetched(keras_home, monkeypatch):
    """For the sets whose hash Keras checks: the loader asks for the very file that is there."""
    from keras.src.utils import file_utils

    for dataset in ("mnist", "cifar10", "cifar100"):
        for file in downloaded.KERAS_FILES[dataset]:
            path = keras_home / "datasets" / file.name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"not the right one")
    seen = []
    monkeypatch.setattr(
        file_utils, "validate_file", lambda path, hash, **_: seen.append((path, hash)) or True
    )
    monkeypatch.setattr(kerascnn, "fetch", lambda *args, **kwargs: None)
    for dataset in ("mnist", "cifar10", "cifar100"):
        with pytest.raises(InputError, match=f"Keras cannot load {dataset}"):
            build(KERAS_DATASETS, dataset=dataset)
    assert seen == [
        (str(keras_home / "datasets" / file.name), file.hashes["sha256"])
        for dataset in ("mnist", "cifar10", "cifar100")
        for file in downloaded.KERAS_FILES[dataset]
    ]


@pytest.mark.parametrize("dataset", downloaded.KERAS_NAMES)
def test_every_class_has_a_name(dataset):
    names = downloaded.KERAS_NAMES[dataset].split()
    assert len(set(names)) == len(names) == (100 if dataset == "cifar100" else 10)


def test_colour_images_in_any_memory_order():
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8), np.uint8)
    labels = np.arange(6).reshape(6, 1)
    source = downloaded.ImageArrays(images.transpose(0, 2, 3, 1), labels, np.array([4, 1]))
    image, label = source[0]
    np.testing.assert_array_equal(image, images[4].transpose(1, 2, 0))
    assert label == 4


@pytest.mark.parametrize("params", [{"dataset": "imagenet"}, {}, {"dataset": "mnist", "limit": 0}])
def test_parameters_are_checked(params):
    with pytest.raises(ValidationError):
        KERAS_DATASETS.params(**params)
