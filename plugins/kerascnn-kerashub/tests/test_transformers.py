"""KerasHub's transformers: built from presets, for other sizes, saved, loaded and cut."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerascnn import InputError

plugin = pytest.importorskip("kerascnn_kerashub")
models = pytest.importorskip("keras_hub").models
SIZE, CLASSES = 32, 3
SCALE, OFFSET = [0.02, 0.01, 0.03], [-1.0, 0.5, 0.0]
SHAPE = (SIZE, SIZE, 3)
ENCODER = {"patch_size": 8, "num_layers": 2, "hidden_dim": 16, "num_heads": 2}
VISION = {**ENCODER, "intermediate_dim": 32, "image_shape": SHAPE}


def swin() -> Any:
    return models.SwinTransformerBackbone(
        SHAPE, embed_dim=8, depths=(2, 2), num_heads=(2, 2), window_size=4, patch_size=4
    )


def mit() -> Any:
    return models.MiTBackbone(
        layerwise_depths=[1, 1],
        num_layers=2,
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        max_drop_path_rate=0.1,
        image_shape=SHAPE,
        hidden_dims=[8, 16],
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
    )


def text(kind: str) -> Any:
    return getattr(models, f"{kind}TextEncoder")(20, 16, 16, 1, 2, 16)


MAKE: dict[str, Callable[[], Any]] = {
    "ViT": lambda: models.ViTBackbone(SHAPE, (8, 8), 2, 2, 16, 32, dropout_rate=0.1),
    "DeiT": lambda: models.DeiTBackbone(SHAPE, (8, 8), 2, 2, 16, 32),
    "SwinTransformer": swin,
    "MiT": mit,
    "DINOV2": lambda: models.DINOV2Backbone(
        **VISION, num_register_tokens=2, position_embedding_shape=(64, 64, 3)
    ),
    "DINOV3": lambda: models.DINOV3Backbone(**VISION),
    "SigLIP": lambda: models.SigLIPBackbone(models.SigLIPVisionEncoder(**VISION), text("SigLIP")),
    "CLIP": lambda: models.CLIPBackbone(
        models.CLIPVisionEncoder(**VISION), text("CLIP"), projection_dim=8
    ),
}
QUICK = "ViT"
KINDS = [kind if kind == QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in MAKE]
BLOCKS = {
    "ViT": ["transformer_block_1", "transformer_block_2"],
    "SwinTransformer": [f"stage_{s}_blocks_{b}" for s in (0, 1) for b in (0, 1)],
    "DINOV2": ["layers_0", "layers_1"],
    "SigLIP": ["encoder_block_0", "encoder_block_1"],
}


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Path]]:
    """A small backbone of a kind, and the folder of its preset; each is made once."""
    import keras_hub

    made: dict[str, tuple[Any, Path]] = {}

    def preset(kind: str) -> tuple[Any, Path]:
        if kind not in made:
            backbone, folder = MAKE[kind](), tmp_path_factory.mktemp("preset") / kind
            converter = getattr(keras_hub.layers, f"{kind}ImageConverter")
            backbone.save_to_preset(folder)
            converter(scale=SCALE, offset=OFFSET).save_to_preset(folder)
            made[kind] = backbone, folder
        return made[kind]

    return preset


def built(folder: Path, image_size: int = SIZE, **params: Any) -> Any:
    component = plugin.kerascnn_architectures()[0]
    params = component.params(preset=str(folder), **params)
    return component.build(params, image_size=image_size, num_classes=CLASSES)


def images(size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")


def values(tensor: Any) -> np.ndarray:
    import keras

    return keras.ops.convert_to_numpy(tensor)


def features_of(backbone: Any, batch: np.ndarray) -> np.ndarray:
    """What the library's own backbone gives for the token of the class, or on average."""
    backbone = getattr(backbone, "vision_encoder", backbone)
    named = isinstance(backbone.input, dict)
    rescaled = batch * np.float32(SCALE) + np.float32(OFFSET)
    given = values(backbone(dict.fromkeys(backbone.input, rescaled) if named else rescaled))
    if given.ndim == 3:
        return given.mean(1) if hasattr(backbone, "window_size") else given[:, 0]
    return given.mean((1, 2)) if given.ndim == 4 else given


@pytest.mark.backend
@pytest.mark.parametrize("kind", KINDS)
def test_the_features_are_the_library_s(presets: Any, kind: str) -> None:
    import keras

    backbone, folder = presets(kind)
    network = built(folder)
    given = keras.Model(network.model.input, network.model.get_layer("head_dropout").input)
    np.testing.assert_allclose(
        values(given(images())), features_of(backbone, images()), rtol=1e-4, atol=1e-4
    )
    assert [*network.blocks][1:] == BLOCKS.get(kind, [*network.blocks][1:])


@pytest.mark.backend
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_loaded_in_another_process_and_cut_at_every_block(
    presets: Any, kind: str, tmp_path: Path
) -> None:
    import keras

    network = built(presets(kind)[1])
    model = network.model
    for weight in model.weights:  # as training does
        if "int" not in weight.dtype:
            weight.assign(weight - 0.01)
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
    for layers in network.blocks.values():
        last = [name for name in layers if not name.startswith(("head", "get_item"))][-1]
        tensor = model.get_layer(last).output
        prefix, suffix = keras.Model(model.input, tensor), keras.Model(tensor, model.output)
        np.testing.assert_allclose(values(suffix(prefix(images()))), expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_other_image_sizes_keep_what_does_not_depend_on_the_size(presets: Any, kind: str) -> None:
    own, larger = (built(presets(kind)[1], size).model for size in (SIZE, 2 * SIZE))
    assert larger.count_params() >= own.count_params()
    assert values(larger(images(2 * SIZE))).shape == (2, CLASSES)
    same = [
        np.array_equal(values(one), values(other))
        for one, other in zip(own.weights, larger.weights, strict=True)
        if one.shape == other.shape and "position_ids" not in one.path
    ]
    assert all(same)
    assert len(same) > len(own.weights) - 3


def test_position_embeddings_are_interpolated() -> None:
    import keras
    from kerascnn_kerashub.sizes import fitted

    ramp = np.arange(4.0)[:, None] + np.zeros((4, 4))  # brighter from row to row
    tokens = np.concatenate([[9.0], ramp.ravel()])[None, :, None]  # [1, 1 + 16, 1]
    fitted = fitted(keras.Variable(tokens, dtype="float32"), (1, 1 + 64, 1))
    assert fitted.shape == (1, 65, 1)
    assert fitted[0, 0, 0] == 9.0
    rows = fitted[0, 1:, 0].reshape(8, 8).mean(1)
    assert (np.diff(rows) > 0).all()


@pytest.mark.parametrize(("size", "sizes"), [(36, "32 or 40"), (4, "8 or 16")])
def test_a_size_without_a_grid_is_refused_with_those_that_work(
    presets: Any, size: int, sizes: str
) -> None:
    with pytest.raises(InputError, match=f"image_size = {size} .* choose {sizes}.* size is 32"):
        built(presets(QUICK)[1], size)


def test_the_licence_is_that_of_the_model_card(presets: Any) -> None:
    component, folder = plugin.kerascnn_architectures()[0], presets(QUICK)[1]
    params = component.params(preset=str(folder))
    assert component.weights(params, image_size=SIZE).licence == ""
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model")
    described = component.weights(params, image_size=SIZE)
    assert (described.licence, described.at_hand) == ("apache-2.0", True)
    assert described.image_size == SIZE
    assert component.weights(params.model_copy(update={"weights": "none"}), image_size=SIZE) is None


@pytest.mark.slow  # the whole contract of each takes a minute
@pytest.mark.backend
@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.kerascnn("architecture", "kerashub", image_size=SIZE)
def test_contract(kerascnn_check: Any, presets: Any, kind: str) -> None:
    kerascnn_check(preset=str(presets(kind)[1]))
