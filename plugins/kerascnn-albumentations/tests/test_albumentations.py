import pickle
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from kerascnn import InputError

plugin = pytest.importorskip("kerascnn_albumentations")
pytest.importorskip("albumentations")
SIZE = 48
IMAGE = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
Tables = list[dict[str, Any]]


def build(tables: Tables | None = None) -> Any:
    params = plugin.Transforms(**({} if tables is None else {"transforms": tables}))
    return plugin.build(params, image_size=SIZE, num_classes=2).apply


def augmented(apply: Any, seed: int = 0) -> np.ndarray:
    return apply(IMAGE, np.random.default_rng(seed))


def fault(tables: Tables) -> str:
    found = plugin.check(plugin.Transforms(transforms=tables), image_size=SIZE)
    assert found.keys() <= {"transforms"}
    if found:
        with pytest.raises(InputError) as caught:
            build(tables)
        assert str(caught.value).rstrip(".") == found["transforms"]
    return found.get("transforms", "")


def test_transforms_are_applied_in_order() -> None:
    flip, invert = {"name": "HorizontalFlip", "p": 1}, {"name": "InvertImg", "p": 1}
    np.testing.assert_array_equal(augmented(build([flip])), IMAGE[:, ::-1])
    np.testing.assert_array_equal(augmented(build([flip, invert])), 255 - IMAGE[:, ::-1])


def test_all_that_is_drawn_follows_from_the_generator() -> None:
    apply, again = build(), build()
    first = [augmented(apply, seed) for seed in range(8)]
    random.seed(1)
    for seed in reversed(range(8)):  # whatever was drawn before
        np.testing.assert_array_equal(augmented(again, seed), first[seed])
    assert len({image.tobytes() for image in first}) == 8


def test_another_process_makes_it_from_the_tables() -> None:
    apply = build()
    np.testing.assert_array_equal(augmented(pickle.loads(pickle.dumps(apply))), augmented(apply))


def test_transforms_nest() -> None:
    flips = [{"name": "HorizontalFlip", "p": 1}, {"name": "VerticalFlip", "p": 1}]
    apply = build([{"name": "OneOf", "p": 1, "transforms": flips}])
    made = {augmented(apply, seed).tobytes() for seed in range(8)}
    assert made == {IMAGE[:, ::-1].tobytes(), IMAGE[::-1].tobytes()}
    some = {"name": "SomeOf", "n": 2, "transforms": flips}
    apply = build([{"name": "Sequential", "p": 1, "transforms": [some]}])
    np.testing.assert_array_equal(augmented(apply), IMAGE[::-1, ::-1])


def test_constants_of_opencv_have_names() -> None:
    table = {"name": "Affine", "translate_px": 20, "p": 1}
    assert (augmented(build([table])) == 0).all(axis=2).any()
    assert not (augmented(build([{**table, "border_mode": "BORDER_WRAP"}])) == 0).all(axis=2).any()


@pytest.mark.parametrize("name", ["RandomResizedCrop", "RandomCrop", "Resize"])
def test_sizes_are_those_of_the_images(name: str) -> None:
    apply = build([{"name": "RandomScale", "scale_limit": [0.5, 1], "p": 1}, {"name": name}])
    assert augmented(apply).shape == IMAGE.shape


FAULTS: dict[str, tuple[Tables, str]] = {
    "an unknown name": (
        [{"name": "InvertImg"}, {"name": "HorizntalFlip"}],
        "transforms.1: Albumentations 2.0.8 has no transform 'HorizntalFlip'. "
        'Did you mean "HorizontalFlip"?',
    ),
    "no name": (
        [{"p": 1}],
        "transforms.0: the key name, a transform of Albumentations, is missing",
    ),
    "an unknown argument": (
        [{"name": "HorizontalFlip", "prob": 1}],
        'transforms.0: HorizontalFlip has no argument "prob". It has p',
    ),
    "an unknown argument in a nested table": (
        [{"name": "OneOf", "transforms": [{"name": "Rotate", "limits": 1}]}],
        'transforms.0.transforms.0: Rotate has no argument "limits". Did you mean "limit"?',
    ),
    "a missing argument": ([{"name": "GridElasticDeform"}], "needs magnitude and num_grid_xy"),
    "a wrong value": ([{"name": "Posterize", "p": 3}], "Posterize: p = 3: Input should be less"),
    "no tables": ([{"name": "OneOf", "transforms": 3}], "are not an array of tables"),
    "another class": ([{"name": "Compose", "transforms": []}], "has no transform 'Compose'"),
    "boxes": ([{"name": "RandomCropNearBBox"}], "needs masks, boxes or a function"),
    "other images": ([{"name": "FDA"}], "FDA needs fda_metadata with every image"),
    "three dimensions": ([{"name": "CubicSymmetry"}], "has no transform 'CubicSymmetry'"),
    "floats": ([{"name": "Normalize"}], "Normalize returns float32, and images stay uint8"),
    "another size": (
        [{"name": "InvertImg"}, {"name": "RandomScale", "scale_limit": [1, 1], "p": 0.9}],
        'instead of 48 by 48 pixels, because of RandomScale: end with { name = "Resize" }',
    ),
    "too small images": (
        [{"name": "Crop", "x_max": 900}],
        "Crop fails on an image of 48 by 48 pixels: ",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_reported_before_anything_else_is_done(name: str) -> None:
    tables, message = FAULTS[name]
    assert message in fault(tables)


@pytest.mark.long  # all transforms of the library: some take seconds
def test_each_transform_either_fits_or_is_refused_with_its_reason() -> None:
    from kerascnn_albumentations.chain import UNFIT, _transforms

    names, reasons = _transforms(), {}
    assert len(names) > 80
    for name in [*names, *UNFIT]:
        reason = fault([{"name": name}])
        if reason:
            reasons[name] = reason
            continue
        apply, before = build([{"name": name, "p": 1}]), IMAGE.copy()
        for seed in range(3):
            assert augmented(apply, seed).shape == IMAGE.shape, name
            np.testing.assert_array_equal(IMAGE, before, err_msg=name)
            np.testing.assert_array_equal(augmented(apply, seed), augmented(apply, seed), name)
    assert {*UNFIT} < {*reasons}
    expected = {"FDA", "Normalize", "ToFloat", "FromFloat", "RandomScale", "Mosaic", "TextImage"}
    assert expected < {*reasons}
    assert len(names) + len(UNFIT) - len(reasons) > 70


@pytest.mark.kerascnn("augmentation", "albumentations")
def test_contract(kerascnn_check: Any) -> None:
    kerascnn_check()


def test_without_albumentations_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "kerascnn_albumentations.chain", raising=False)
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(InputError, match=r"pip install albumentations==2\.0\.8"):
        build()


def test_importing_the_plugin_imports_neither_keras_nor_albumentations() -> None:
    code = (
        "import sys, kerascnn_albumentations; "
        "print([m for m in ('keras', 'albumentations', 'cv2') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
