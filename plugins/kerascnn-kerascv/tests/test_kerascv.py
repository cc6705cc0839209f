import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kerascnn import InputError

plugin = pytest.importorskip("kerascnn_kerascv")
SIZE, COUNT, CLASSES = 32, 8, 2
on_tensorflow = pytest.mark.usefixtures("tensorflow_alone")
SINGLE = [component.name for component in plugin.kerascnn_augmentations()[:-1]]

Apply = Callable[..., tuple[np.ndarray, np.ndarray]]


@pytest.fixture
def tensorflow_alone() -> None:
    pytest.importorskip("tensorflow", reason="KerasCV runs on TensorFlow alone")
    import keras

    if keras.config.backend() != "tensorflow":
        pytest.skip("KerasCV runs on TensorFlow alone")


@pytest.fixture
def augmented(tensorflow_alone: None) -> Apply:
    """Applies a component to images that are black or white, as their class is 0 or 1."""
    pytest.importorskip("keras_cv")
    import keras

    def apply(name: str, images: Any = None, seed: int = 0, **params: Any) -> Any:
        component = next(c for c in plugin.kerascnn_augmentations() if c.name == name)
        policy = component.build(component.params(**params), image_size=SIZE, num_classes=CLASSES)
        rng = np.random.default_rng(seed)
        arrays = policy.draw(rng, COUNT)
        classes = np.arange(COUNT) % 2
        if images is None:
            images = np.zeros((COUNT, SIZE, SIZE, 3)) + 255 * classes[:, None, None, None]
        batch = {"images": images, "labels": np.eye(CLASSES)[classes]}

        def tensors(arrays: Any) -> Any:
            return {k: keras.ops.convert_to_tensor(np.float32(v)) for k, v in arrays.items()}

        images, labels = policy.apply(tensors(batch), tensors(arrays)).values()
        if policy.mix:
            examples = {"inputs": images, "labels": labels}
            mixed = policy.mix.apply(examples, tensors(policy.mix.draw(rng, COUNT)))
            images, labels = mixed["inputs"], mixed["labels"]
        return keras.ops.convert_to_numpy(images), keras.ops.convert_to_numpy(labels)

    return apply


def noise(low: int = 0, high: int = 256) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.integers(low, high, (COUNT, SIZE, SIZE, 3)).astype("float32")


@pytest.mark.parametrize("name", ["fourier_mix", "mosaic"])
def test_labels_are_the_shares_that_the_images_have(augmented: Apply, name: str) -> None:
    images, labels = augmented(name)
    white = images.mean(axis=(1, 2, 3)) / 255
    # interpolation at the seams of the mosaic, one pixel of the mask
    np.testing.assert_allclose(labels[:, 1], white, atol=0.03)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert len(np.unique(labels[:, 1].round(3))) > 2


def test_the_rate_is_the_share_of_images_that_change(augmented: Apply) -> None:
    runs = [
        augmented("grid_mask", noise(1), seed, rate=0.25, ratio=(0.5, 0.5)) for seed in range(8)
    ]
    changed = [(images != noise(1)).any(axis=(1, 2, 3)) for images, _ in runs]
    assert 0.1 < np.mean(changed) < 0.4


def test_grid_mask_hides_and_leaves_the_rest(augmented: Apply) -> None:
    images, _ = augmented("grid_mask", noise(0, 200), ratio=(0.5, 0.5), fill=255)
    hidden = (images == 255).all(axis=3)
    np.testing.assert_array_equal(images[~hidden], noise(0, 200)[~hidden])
    assert 0.05 < hidden.mean() < 0.6


def test_channel_shuffle_keeps_each_image_s_channels(augmented: Apply) -> None:
    images, _ = augmented("channel_shuffle", noise())
    np.testing.assert_array_equal(np.sort(images, axis=3), np.sort(noise(), axis=3))
    assert not np.array_equal(images, noise())


def test_channel_shift_is_bounded_and_one_number_a_channel(augmented: Apply) -> None:
    images, _ = augmented("channel_shift", noise(60, 190), shift=0.2)
    shifts = images - noise(60, 190)
    assert np.ptp(shifts, axis=(1, 2)).max() < 1e-3
    assert 25 < abs(shifts).max() <= 0.2 * 255 + 1e-3
    assert len(np.unique(shifts[:, 0, 0].round(2))) == 3 * COUNT


def test_jpeg_of_the_best_quality_is_nearly_the_image(augmented: Apply) -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, SIZE)[:, None], (COUNT, SIZE, SIZE, 3))
    fine, _ = augmented("jpeg_quality", smooth, quality=(100, 100))
    coarse, _ = augmented("jpeg_quality", smooth, quality=(1, 1))
    assert abs(fine - smooth).mean() < 2 < 5 < abs(coarse - smooth).mean()


def test_a_scale_of_one_and_a_factor_of_one_change_nothing(augmented: Apply) -> None:
    for name, one in {"jittered_resize": "scale", "aspect_ratio": "factor"}.items():
        images, _ = augmented(name, noise(), **{one: (1, 1)})
        np.testing.assert_allclose(images, noise(), atol=1e-2)


def test_what_is_drawn_for_a_image_does_not_depend_on_the_others(augmented: Apply) -> None:
    other = noise()
    other[1:] = 0
    for name in {*SINGLE} - {*plugin.MIXING}:
        np.testing.assert_array_equal(augmented(name, noise())[0][0], augmented(name, other)[0][0])


def test_the_pipeline_applies_what_it_names_and_no_more(augmented: Apply) -> None:
    flipped, _ = augmented("kerascv", noise(), horizontal_flip={"rate": 1.0})
    np.testing.assert_array_equal(flipped, noise()[:, :, ::-1])
    unchanged, _ = augmented("kerascv", noise())
    np.testing.assert_array_equal(unchanged, noise())


@on_tensorflow
@pytest.mark.kerascnn("augmentation", "kerascv")
def test_contract(kerascnn_check: Any) -> None:
    """All of them at once: what one breaks, the whole does."""
    pytest.importorskip("keras_cv")
    kerascnn_check(**{name: {"rate": 0.5} for name in ("horizontal_flip", *SINGLE)})


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("grid_mask", {"ratio": [0.5, 0.2]}),
        ("grid_mask", {"ratio": [0.5, 1.5]}),
        ("jpeg_quality", {"quality": [0, 50]}),
        ("mosaic", {"rate": 0}),
        ("kerascv", {"mosaics": {}}),
    ],
)
def test_parameters_out_of_bounds_are_refused(name: str, given: dict[str, Any]) -> None:
    component = next(c for c in plugin.kerascnn_augmentations() if c.name == name)
    with pytest.raises(ValueError, match=next(iter(given))):
        component.params(**given)


@pytest.mark.backend
def test_another_backend_is_refused_with_what_to_do() -> None:
    import keras

    if keras.config.backend() == "tensorflow":
        pytest.skip("TensorFlow is the one that is not refused")
    with pytest.raises(InputError, match="--backend tensorflow, or a built-in"):
        plugin.build(plugin.Pipeline(), image_size=SIZE, num_classes=CLASSES)


@on_tensorflow
def test_without_kerascv_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    with pytest.raises(InputError, match=r"pip install keras-cv==0\.9\.0"):
        plugin.build(plugin.Pipeline(), image_size=SIZE, num_classes=CLASSES)


def test_importing_the_plugin_imports_neither_keras_nor_kerascv() -> None:
    code = (
        "import sys, kerascnn_kerascv; "
        "print([m for m in ('keras', 'tensorflow', 'keras_cv') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
