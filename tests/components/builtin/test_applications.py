"""The table against Keras itself: names, preprocessing, blocks, weights."""

import hashlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from kerascnn import InputError, Network, Weights
from kerascnn.components.builtin import applications, architectures
from kerascnn.components.builtin.applications import FAMILIES
from kerascnn.components.builtin.architectures import PretrainedParams, build, preprocess

TABLE = {application.name: application for application in applications.applications()}
SMALL = "mobilenet_v3_small"
BLOCKS = {  # the units that the papers count, with the stem and a last convolution
    **{"vgg16": 5, "resnet50": 17, "resnet50_v2": 17, "xception": 14, "convnext_tiny": 22},
    **{"mobilenet": 14, "mobilenet_v2": 19, "mobilenet_v3_small": 13, "mobilenet_v3_large": 17},
    **{"efficientnet_b0": 18, "efficientnet_v2_b0": 23, "efficientnet_v2_s": 42},
    **{"inception_v3": 12, "inception_resnet_v2": 45, "densenet121": 62, "nasnet_mobile": 17},
}


KINDS = [  # the smallest member of each kind of family
    *("vgg16", "resnet50", "resnet50_v2", "densenet121", "xception", "convnext_tiny"),
    *("mobilenet", "mobilenet_v2", "mobilenet_v3_small", "inception_v3", "inception_resnet_v2"),
    *("efficientnet_b0", "efficientnet_v2_b0", "efficientnet_v2_s", "nasnet_mobile"),
]

QUICK = {*KINDS} - {"inception_resnet_v2", "nasnet_mobile", "efficientnet_v2_s", "densenet121"}


def each(names: Iterable[str], *ordinary: str, long: Iterable[str] = ()) -> Any:
    """Parametrizes over the names, of which all but the ordinary, quick ones are marked."""
    marks = {**dict.fromkeys(ordinary, ()), **dict.fromkeys(long, pytest.mark.long)}
    marked = [pytest.param(name, marks=marks.get(name, pytest.mark.slow)) for name in names]
    return pytest.mark.parametrize("name", marked)


def network(name: str, weights: Any = "none", num_classes: int = 5) -> Network:
    size = FAMILIES[TABLE[name].family].smallest
    params = PretrainedParams(weights=str(weights))
    return build(TABLE[name], params, image_size=size, num_classes=num_classes)


def images(size: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")


def features(model: Any, images: np.ndarray) -> np.ndarray:
    import keras

    pooled = keras.Model(model.input, model.get_layer("head_pool").output)
    return keras.ops.convert_to_numpy(pooled(images, training=False))


def constructor(name: str, **options: Any) -> Any:
    import keras

    return getattr(keras.applications, TABLE[name].constructor)(include_top=False, **options)


def test_every_constructor_of_keras_has_its_snake_case_name() -> None:
    import keras

    constructors = dict(inspect.getmembers(keras.applications, inspect.isfunction))
    one_word = "ConvNeXt|DenseNet|EfficientNet|MobileNet|NASNet|ResNet|VGG"
    assert {application.constructor: name for name, application in TABLE.items()} == {
        constructor: re.sub(
            r"(?<=[a-z0-9])(?=[A-Z])",
            "_",
            re.sub(one_word, lambda word: word[0].capitalize(), constructor),
        ).lower()
        for constructor in constructors
    }
    for application in TABLE.values():
        family = constructors[application.constructor].__module__.rpartition(".")[2]
        family = "vgg" if family.startswith("vgg") else family
        assert application.family == family + "_b" * ("V2B" in application.constructor)


def test_the_list_of_components_needs_no_keras() -> None:
    code = (
        "import sys; from kerascnn.components.builtin.architectures "
        "import kerascnn_architectures as hook; "
        "print(len(hook()), {'keras', 'mlflow', 'urllib.request'} & set(sys.modules))"
    )
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert listed.stdout == f"{len(TABLE) + 2} set()\n", listed.stderr
    assert (
        "ResNet50: 23.6 M"
        in {c.name: c.summary for c in architectures.kerascnn_architectures()}["resnet50"]
    )


@pytest.mark.parametrize("name", TABLE)
def test_preprocessing_is_the_familys_own(name: str) -> None:
    import keras

    family = FAMILIES[TABLE[name].family]
    home = inspect.getmodule(getattr(keras.applications, TABLE[name].constructor))
    expected = home.preprocess_input(images(8))  # type: ignore[union-attr]
    received = keras.ops.convert_to_numpy(preprocess(images(8), family.rescaling))
    if (expected == images(8)).all():  # it is inside: see the test of the whole networks
        assert dict(family.options) or family.rescaling == "torch255"
    else:
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.backend
@pytest.mark.parametrize("rescaling", applications.RESCALING)
def test_preprocessing_survives_saving_and_mixed_precision(rescaling: str, tmp_path: Path) -> None:
    import keras

    batch = images(4)
    exact = keras.ops.convert_to_numpy(preprocess(batch, rescaling))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inputs = keras.Input((4, 4, 3))
        keras.Model(inputs, preprocess(inputs, rescaling)).save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy(before)
    received = keras.ops.convert_to_numpy(loaded(batch))
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.long) for n in TABLE]
)
def test_blocks_hold_every_layer_with_weights_once_and_in_order(name: str) -> None:
    import keras

    built = network(name, num_classes=1000)
    block_of = {layer: block for block, names in built.blocks.items() for layer in names}
    weighted = [layer.name for layer in built.model.layers if layer.weights]
    assert weighted == [*block_of, "head_dense"]
    assert len(block_of) == sum(map(len, built.blocks.values()))
    order = [block for block, _ in groupby(map(block_of.get, weighted[:-1]))]
    assert order == list(built.blocks)  # each block is one span
    assert len(order) == BLOCKS.get(name, len(order))
    assert "inception" not in name or len(built.blocks["stem"]) == 2 * 5  # Keras names none of it
    head = built.model.get_layer("head_dense").count_params()
    assert built.model.count_params() - head == int(TABLE[name].parameters)
    assert not any(isinstance(layer, keras.Model) for layer in flat(built.model.layers))


def flat(layers: list[Any]) -> list[Any]:
    """Leaves out ConvNeXt's stem and downsampling: a normalization and a convolution each."""
    return [layer for layer in layers if type(layer).__name__ != "Sequential"]


def test_names_do_not_depend_on_what_was_built_before() -> None:
    first, second = network("xception"), network("xception")
    assert first.blocks == second.blocks
    assert [o.name for o in first.model.operations] == [o.name for o in second.model.operations]


@pytest.fixture
def keras_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Path], None]]:
    """Puts a file in the place of what Keras would download for a network, and checks which."""
    from keras.src.utils import file_utils

    def put(name: str, path: Path) -> None:
        def get_file(_: str, origin: str, file_hash: str = "", **__: Any) -> str:
            assert origin == applications.PUBLISHER + TABLE[name].weights.format(size=224)
            assert file_hash == TABLE[name].md5 + TABLE[name].sha256
            if not path.exists():
                raise InterruptedError
            return str(path)

        monkeypatch.setattr(file_utils, "get_file", get_file)

    return put


def published_like(name: str, path: Path) -> Path:
    """Saves random weights in the format and order of the published files."""
    import keras

    size = FAMILIES[TABLE[name].family].smallest
    backbone = constructor(name, weights=None, input_shape=(size, size, 3))
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:  # keras#16392
            layer.set_weights(
                [np.array(applications.MEAN), np.array(applications.DEVIATION), np.array(0)]
            )
    backbone.save(path)
    return path


@each(KINDS, "mobilenet", long=("efficientnet_b0",))
@pytest.mark.filterwarnings("ignore")
def test_features_are_those_of_keras_with_its_own_preprocessing_and_loading(
    name: str, keras_file: Callable[[str, Path], None], tmp_path: Path
) -> None:
    import keras

    size = FAMILIES[TABLE[name].family].smallest
    path = published_like(name, tmp_path / "published.h5")
    keras_file(name, path)
    reference = constructor(name, weights="imagenet", input_shape=(size, size, 3), pooling=None)
    home = inspect.getmodule(getattr(keras.applications, TABLE[name].constructor))
    maps = reference(home.preprocess_input(images(size)))  # type: ignore[union-attr]
    expected = keras.ops.convert_to_numpy(keras.ops.mean(maps, axis=(1, 2)))
    received = features(network(name, path).model, images(size))
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())


@each(TABLE)
@pytest.mark.filterwarnings("ignore")
def test_the_table_names_the_files_that_keras_asks_for(
    name: str, keras_file: Callable[[str, Path], None]
) -> None:
    keras_file(name, Path("nowhere"))
    with pytest.raises(InterruptedError):
        constructor(name, weights="imagenet")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """Serves `tmp_path` in the publisher's place, to an empty cache."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    monkeypatch.setattr(applications, "PUBLISHER", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_weights_are_downloaded_verified_and_loaded(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published_like(SMALL, tmp_path / "small.h5")
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    served = replace(TABLE[SMALL], weights="small.h5", md5=digest)
    batch = images(32)
    expected = features(network(SMALL, path).model, batch)
    path_of_download = partial(architectures._weights_file, served, "imagenet", 32)
    described = partial(architectures.weights, served, PretrainedParams(), image_size=32)
    origin = f"{applications.PUBLISHER}small.h5"
    assert described() == Weights(origin, "Apache-2.0", "ImageNet-1k", 224)
    built = build(served, PretrainedParams(), image_size=32, num_classes=3)
    np.testing.assert_array_equal(features(built.model, batch), expected)
    assert described().at_hand
    path.unlink()
    download = path_of_download()  # from the cache
    download.write_bytes(b"tampered with")
    with pytest.raises(InputError, match=re.escape(f"{applications.PUBLISHER}small.h5")):
        path_of_download()


@pytest.mark.parametrize(("image_size", "published"), [(160, 160), (100, 224)])
def test_mobilenet_takes_the_weights_of_its_image_size(
    image_size: int, published: int, server: ThreadingHTTPServer
) -> None:
    with pytest.raises(InputError, match=f"mobilenet_1_0_{published}_tf_no_top.h5"):
        network_at(image_size, "mobilenet")


def network_at(image_size: int, name: str) -> Network:
    return build(TABLE[name], PretrainedParams(), image_size=image_size, num_classes=2)


@pytest.mark.backend
def test_probabilities_sum_to_one_and_a_saved_network_is_the_same_and_gives_its_backbone(
    tmp_path: Path,
) -> None:
    import keras

    model, batch = network(SMALL).model, images(32)
    head = model.get_layer("head_dense")
    kernel, bias = head.get_weights()
    np.testing.assert_array_equal(kernel, 0)
    head.set_weights([np.random.default_rng(1).normal(size=kernel.shape), bias])
    probabilities = keras.ops.convert_to_numpy(model(batch))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.ops.convert_to_numpy(keras.models.load_model(tmp_path / "model.keras")(batch))
    np.testing.assert_allclose(again, probabilities, atol=1e-6)
    heir = network(SMALL, tmp_path / "model.keras", num_classes=9)
    np.testing.assert_allclose(
        features(heir.model, batch), features(model, batch), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("missing.weights.h5", "no such file"),
        ("weights.pth", "suffix .h5, .weights.h5 or .keras"),
        ("other.h5", r"Layer count mismatch .* expected \d+ layers, found 1"),
        ("other.weights.h5", r"Layer .*conv.* expected \d variables|expected shape|could not"),
        ("broken.keras", "not a zip file"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_weights_that_do_not_fit_are_one_clear_message(
    file: str, message: str, tmp_path: Path
) -> None:
    import keras

    inputs = keras.Input((32, 32, 3))
    other = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    if file == "other.h5":
        other.save(tmp_path / file)
    elif file == "other.weights.h5":
        other.save_weights(tmp_path / file)
    elif file != "missing.weights.h5":
        (tmp_path / file).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=message) as caught:
        network(SMALL, tmp_path / file)
    assert file in str(caught.value)
    assert len(str(caught.value)) < 700


def test_an_image_too_small_is_one_message() -> None:
    params = PretrainedParams(weights="none")
    with pytest.raises(InputError, match=r"xception: image_size = 64 .* minimum is 71 pixels"):
        build(TABLE["xception"], params, image_size=64, num_classes=2)


@pytest.mark.backend
def test_what_keras_cannot_build_on_a_backend_is_one_message() -> None:
    import keras

    if keras.backend.backend() != "torch":
        pytest.skip("every network builds here")
    with pytest.raises(InputError, match="nasnet_mobile: Keras cannot build it on torch"):
        network("nasnet_mobile")
