import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerascnn import InputError

plugin = pytest.importorskip("kerascnn_kerashub")
SIZE, CLASSES = 32, 3
SCALE, OFFSET = [0.02, 0.01, 0.03], [-1.0, 0.5, 0.0]


def small_resnet() -> Any:
    from keras_hub.models import ResNetBackbone

    return ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 2],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
    )


def save(backbone: Any, kind: str, folder: Path) -> Path:
    """Writes a preset as its users do: a classifier with its preprocessor."""
    hub = pytest.importorskip("keras_hub")
    converter = getattr(hub.layers, f"{kind}ImageConverter")(scale=SCALE, offset=OFFSET)
    preprocessor = getattr(hub.models, f"{kind}ImageClassifierPreprocessor")(converter)
    task = getattr(hub.models, f"{kind}ImageClassifier")
    task(backbone=backbone, num_classes=7, preprocessor=preprocessor).save_to_preset(folder)
    return folder


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small backbone with statistics of its own, and its preset."""
    pytest.importorskip("keras_hub")
    backbone, rng = small_resnet(), np.random.default_rng(0)
    weights = backbone.get_weights()  # kernels, and the vectors of BatchNorm
    backbone.set_weights([w + rng.uniform(0, 0.1, w.shape) * (w.ndim == 1) for w in weights])
    return backbone, save(backbone, "ResNet", tmp_path_factory.mktemp("preset") / "resnet")


def built(folder: Path, **params: Any) -> Any:
    component = plugin.kerascnn_architectures()[0]
    params = component.params(preset=str(folder), **params)
    return component.build(params, image_size=SIZE, num_classes=CLASSES)


def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype("float32")


@pytest.mark.backend
def test_the_features_are_the_backbone_s_of_rescaled_images(resnet: Any) -> None:
    import keras

    backbone, folder = resnet
    model = built(folder).model
    given = keras.Model(model.input, model.get_layer("head_pool").input)(images())
    expected = backbone(images() * np.float32(SCALE) + np.float32(OFFSET))
    np.testing.assert_allclose(
        *map(keras.ops.convert_to_numpy, (given, expected)), rtol=1e-4, atol=1e-4
    )


@pytest.mark.backend
@pytest.mark.kerascnn("architecture", "kerashub", image_size=SIZE)
def test_contract(kerascnn_check: Any, resnet: Any) -> None:
    kerascnn_check(preset=str(resnet[1]))


def test_blocks_are_those_of_the_paper(resnet: Any) -> None:
    blocks = built(resnet[1]).blocks
    assert list(blocks) == ["stem", "stack0_block0", "stack1_block0", "stack1_block1"]


def test_without_its_weights_the_network_is_random(resnet: Any) -> None:
    backbone, folder = resnet
    kernel = backbone.get_layer("conv1_conv").get_weights()[0]
    kept, random = (
        built(folder, weights=weights).model.get_layer("conv1_conv").get_weights()[0]
        for weights in ("preset", "none")
    )
    np.testing.assert_array_equal(kept, kernel)
    assert not np.allclose(random, kernel)


@pytest.mark.parametrize("preset", ["resnet_50_imagnet", "empty"])
def test_a_preset_that_is_not_there_is_an_input_error(tmp_path: Path, preset: str) -> None:
    pytest.importorskip("keras_hub")
    (tmp_path / "empty").mkdir()
    name = str(tmp_path / preset) if preset == "empty" else preset
    with pytest.raises(InputError, match="expected a folder written by save_to_preset"):
        built(Path(name))


def test_without_kerashub_the_refusal_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(InputError, match="pip install keras-hub"):
        built(tmp_path)


def test_importing_the_plugin_imports_neither_keras_nor_kerashub() -> None:
    code = (
        "import sys, kerascnn_kerashub; "
        "print([m for m in ('keras', 'tensorflow', 'keras_hub') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
