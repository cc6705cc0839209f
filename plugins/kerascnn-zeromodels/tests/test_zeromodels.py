import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerascnn import InputError

plugin = pytest.importorskip("kerascnn_zeromodels")
SIZE, CLASSES = 32, 3
MEAN, STD = [0.5, 0.4, 0.3], [0.25, 0.5, 0.2]
VIT = {"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2, "image_size": SIZE}
SIGLIP = {
    "patch_size": 8,
    "image_size": SIZE,
    "embed_dim": 16,
    "vision_hidden_dim": 16,
    "vision_num_layers": 2,
    "vision_num_heads": 2,
    "vision_mlp_dim": 32,
    "text_hidden_dim": 16,
    "text_num_layers": 1,
    "text_num_heads": 2,
    "text_mlp_dim": 16,
    "vocab_size": 20,
}
CONVNEXT = {"depths": (1, 1, 1, 1), "projection_dim": (8, 8, 8, 8), "image_size": SIZE}
SWIN = {
    "embed_dim": 8,
    "depths": (2, 2),
    "num_heads": (2, 2),
    "window_size": 4,
    "image_size": SIZE,
    "pretrain_size": SIZE,
}
# The class that a repository of the model declares, with a small configuration.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": ("ViTImageClassify", {**VIT, "num_classes": 4}),
    "dinov2": ("DinoV2Model", VIT),
    "dinov3": ("DinoV3ViTModel", VIT),
    "siglip2": ("SigLIP2Model", SIGLIP),
    "convnextv2": ("ConvNeXtV2ImageClassify", {**CONVNEXT, "num_classes": 4}),
    "mobilenetv4": ("MobileNetV4ImageClassify", {"image_size": SIZE, "num_classes": 4}),
    "swin": ("SwinImageClassify", {**SWIN, "num_classes": 4}),
}
QUICK = "dinov3"
KINDS = [kind if kind == QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in MODELS]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small model of a kind with its folder, as zeromodels writes one; each is made once."""
    import keras

    pytest.importorskip("zeromodels.models")
    from zeromodels.conversion.zm_config import write_zm_config

    made: dict[str, tuple[Any, Path]] = {}

    def folder_of(kind: str) -> tuple[Any, Path]:
        if kind not in made:
            name, config = MODELS[kind]
            model = keras.saving.get_registered_object(f"zeromodels>{name}")(**config)
            rng = np.random.default_rng(0)
            model.set_weights([w + rng.normal(0, 0.05, w.shape) for w in model.get_weights()])
            folder = tmp_path_factory.mktemp("models") / kind
            folder.mkdir()
            write_zm_config(str(folder), type(model), kind, model.config)
            preprocessor = {"image_processor": {"mean": MEAN, "std": STD}}
            (folder / "zm_preprocessor.json").write_text(json.dumps(preprocessor))
            model.save_weights(folder / "model.weights.h5")
            made[kind] = model, folder
        return made[kind]

    return folder_of


def built(folder: Path, image_size: int = SIZE, **params: Any) -> Any:
    component = plugin.kerascnn_architectures()[0]
    params = component.params(model=str(folder), **params)
    return component.build(params, image_size=image_size, num_classes=CLASSES)


def images(size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")


def values(tensor: Any) -> np.ndarray:
    import keras

    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.backend
@pytest.mark.parametrize("kind", ["dinov3", pytest.param("dinov2", marks=pytest.mark.slow)])
def test_the_features_are_the_model_s_of_rescaled_images(folders: Any, kind: str) -> None:
    import keras

    model, folder = folders(kind)
    network = built(folder).model
    given = keras.Model(network.input, network.get_layer("head_dropout").input)(images())
    rescaled = ((images() / 255 - MEAN) / STD).astype("float32")
    np.testing.assert_allclose(values(given), values(model(rescaled))[:, 0], rtol=1e-3, atol=1e-3)


@pytest.mark.backend
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_loaded_in_another_process_and_cut_at_every_block(
    folders: Any, kind: str, tmp_path: Path
) -> None:
    import keras

    network = built(folders(kind)[1])
    model = network.model
    expected = values(model(images()))
    model.save(file := tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images())
    code = (
        "import sys, keras, numpy as np; from pathlib import Path; "
        "from kerascnn.engine.network.saved import load_model; "
        "model = load_model(Path(sys.argv[1]), ()); images = np.load(sys.argv[2]); "
        "np.save(sys.argv[3], keras.ops.convert_to_numpy(model(images)))"
    )
    given = tmp_path / "images.npy"
    subprocess.run([sys.executable, "-c", code, file, given, tmp_path / "out.npy"], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-5)
    blocks = [block for block in network.blocks if block != "stem"]
    assert len(blocks) >= 2
    for block in blocks:
        first = next(layer for layer in model.layers if layer.name in network.blocks[block])
        tensor = first.input
        prefix, suffix = keras.Model(model.input, tensor), keras.Model(tensor, model.output)
        np.testing.assert_allclose(values(suffix(prefix(images()))), expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_loaded_for_another_image_size(folders: Any, kind: str) -> None:
    own, larger, random = (
        built(folders(kind)[1], size, weights=weights).model
        for size, weights in ((SIZE, "model"), (2 * SIZE, "model"), (SIZE, "none"))
    )
    assert values(larger(images(2 * SIZE))).shape == (2, CLASSES)
    equal = [
        np.array_equal(values(one), values(other))
        for one, other in zip(own.weights, larger.weights, strict=True)
        if one.shape == other.shape
    ]
    assert all(equal)
    pairs = zip(own.weights, random.weights, strict=True)
    assert not all(np.array_equal(values(one), values(other)) for one, other in pairs)


def test_a_size_that_is_not_a_multiple_of_the_patch_is_refused(folders: Any) -> None:
    with pytest.raises(InputError, match=r"image_size = 36 into patches of 8 .* choose 32 or 40"):
        built(folders(QUICK)[1], 36)


def test_the_licence_is_that_of_the_model_card(folders: Any) -> None:
    component, folder = plugin.kerascnn_architectures()[0], folders(QUICK)[1]
    (folder / "README.md").write_text('---\nlicense: "other"\n---\n')
    described = component.weights(component.params(model=str(folder)), image_size=SIZE)
    assert (described.licence, described.at_hand) == ("other", True)
    assert described.image_size == SIZE


def test_what_is_not_a_model_is_an_input_error(tmp_path: Path, folders: Any) -> None:
    config = json.loads((folders(QUICK)[1] / "zm_config.json").read_text())
    (tmp_path / "zm_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"neither model\.weights\.h5"):
        built(tmp_path)
    (tmp_path / "zm_config.json").write_text(json.dumps({**config, "model_class": "DinoV3Model"}))
    with pytest.raises(InputError, match='there is no class "DinoV3Model"'):
        built(tmp_path)
    (tmp_path / "zm_config.json").unlink()
    with pytest.raises(InputError, match=r"it has no zm_config\.json"):
        built(tmp_path)


def test_without_zeromodels_the_refusal_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "zeromodels.models", None)
    with pytest.raises(InputError, match="pip install zeromodels"):
        built(tmp_path)


def test_importing_the_plugin_imports_neither_keras_nor_zeromodels() -> None:
    code = (
        "import sys, kerascnn_zeromodels; "
        "print([m for m in ('keras', 'tensorflow', 'zeromodels') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.slow  # the whole contract of each takes a minute
@pytest.mark.backend
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.kerascnn("architecture", "zeromodels", image_size=SIZE)
def test_contract(kerascnn_check: Any, folders: Any, kind: str) -> None:
    kerascnn_check(model=str(folders(kind)[1]))
