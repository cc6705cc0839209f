import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerascnn import InputError, Splits, read_image

plugin = pytest.importorskip("kerascnn_huggingface")
COUNT = 40


def image_folder(folder: Path, count: int = COUNT, seed: int = 0) -> Path:
    """Images of noise in two folders, as PNG files."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    for number in range(count):
        file = folder / ("red", "blue")[number % 2] / f"{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), "uint8")).save(file)
    return folder


def table(folder: Path, **options: Any) -> Any:
    """The same as a dataset of the library, whose images are bytes."""
    datasets = pytest.importorskip("datasets")
    files = sorted(image_folder(folder, **options).glob("*/*.png"))
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["red", "blue"])}
    )
    rows = {
        "image": [{"bytes": file.read_bytes(), "path": None} for file in files],
        "label": [file.parent.name for file in files],
    }
    return datasets.Dataset.from_dict(rows, features)


def saved_to_disk(folder: Path) -> Path:
    table(folder / "images").save_to_disk(folder / "saved")
    return folder / "saved"


def parquet(folder: Path) -> Path:
    images = table(folder / "images")
    (folder / "parquet").mkdir()
    images.to_parquet(folder / "parquet" / "train.parquet")
    return folder / "parquet"


def folders(folder: Path) -> Path:
    return image_folder(folder / "train").parent


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Splits]:
    pytest.importorskip("datasets")

    def build(path: Path | str, **params: Any) -> Splits:
        component = plugin.kerascnn_datasets()[0]
        params = component.params(path=str(path), cache_folder=tmp_path / "cache", **params)
        return component.build(params, seed=0)

    return build


def contents(splits: Splits, *names: str) -> list[tuple[bytes, str]]:
    """The pixels and the class of every image, in an order of their own."""
    sources = [getattr(splits, name) for name in names or ("train", "validation", "test")]
    pairs = [source[i] for source in sources for i in range(len(source))]
    return sorted((read_image(p).tobytes(), splits.class_names[label]) for p, label in pairs)


@pytest.mark.parametrize("layout", [saved_to_disk, parquet, folders])
def test_every_image_comes_out_once_with_its_class(
    build: Callable[..., Splits], tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    expected = [
        (read_image(file).tobytes(), file.parent.name)
        for file in image_folder(tmp_path / "expected").glob("*/*.png")
    ]
    assert contents(build(layout(tmp_path))) == sorted(expected)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_to_disk(tmp_path_factory.mktemp("images"))


@pytest.mark.kerascnn("dataset", "huggingface")
def test_contract(kerascnn_check: Callable[..., None], saved: Path) -> None:
    kerascnn_check(path=str(saved))


def two_splits(folder: Path, held_back: bool = False) -> Path:
    """A dataset with splits of its own; the test's labels may be held back, as on the Hub."""
    datasets = pytest.importorskip("datasets")
    train, test = table(folder / "train"), table(folder / "test", count=8, seed=1)
    if held_back:
        test = test.map(lambda row: {"label": -1}, features=test.features)
    datasets.DatasetDict(train=train, test=test).save_to_disk(folder / "saved")
    return folder / "saved"


def test_splits_of_its_own_are_kept_and_only_the_rest_is_drawn(
    build: Callable[..., Splits], tmp_path: Path
) -> None:
    splits = build(two_splits(tmp_path), validation_fraction=0.25)
    own = sorted((tmp_path / "test").glob("*/*.png"))
    assert contents(splits, "test") == sorted(
        (read_image(file).tobytes(), file.parent.name) for file in own
    )
    assert len(splits.train) + len(splits.validation) == COUNT
    assert 4 <= len(splits.validation) <= 16


def test_another_split_seed_draws_others_and_copies_stay_together(
    build: Callable[..., Splits], tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    once = table(tmp_path / "images")
    datasets.concatenate_datasets([once, once]).save_to_disk(tmp_path / "twice")
    first, second = (build(tmp_path / "twice", split_seed=seed) for seed in (0, 1))
    assert contents(first, "validation") != contents(second, "validation")
    for name in ("train", "validation", "test"):
        found = contents(first, name)
        assert found[::2] == found[1::2]


def test_classes_may_be_texts(build: Callable[..., Splits], tmp_path: Path) -> None:
    images = table(tmp_path / "images").rename_column("image", "photo")
    texts = images.remove_columns("label").add_column(
        "kind", ["rose" if label else "daisy" for label in images["label"]]
    )
    texts.save_to_disk(tmp_path / "texts")
    splits = build(tmp_path / "texts", label="kind")
    assert splits.class_names == ["daisy", "rose"]
    assert {name for _, name in contents(splits)} == {"daisy", "rose"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"image": "photo"}, 'image: expected the name of .* image, label; got "photo"'),
        ({"label": "labels"}, 'Did you mean "label"'),
        ({"validation": "tst"}, 'no such split. Did you mean "test".* Its splits are train, test'),
        ({"validation": "test", "test": "test"}, "expected three different splits"),
    ],
)
def test_a_wrong_name_is_an_input_error(
    build: Callable[..., Splits], tmp_path: Path, params: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build(two_splits(tmp_path), **params)


def test_labels_that_are_held_back_are_an_input_error(
    build: Callable[..., Splits], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match='"test" has unknown classes in "label"'):
        build(two_splits(tmp_path, held_back=True))


def test_what_cannot_be_had_is_an_input_error(
    build: Callable[..., Splits], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    import huggingface_hub

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for path in (tmp_path / "nothing", tmp_path, "nobody/nothing"):
        with pytest.raises(InputError, match="expected a dataset of the Hub, or a folder"):
            build(path)


def test_without_the_library_the_refusal_says_what_to_install(
    build: Callable[..., Splits], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="pip install datasets"):
        build(tmp_path)


def test_importing_the_plugin_imports_neither_keras_nor_the_library() -> None:
    code = (
        "import sys, kerascnn_huggingface; "
        "print([m for m in ('keras', 'datasets', 'pyarrow', 'pandas') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
