"""Datasets of the Hugging Face Hub, or local ones that the library `datasets` can read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from kerascnn import (
    Component,
    InputError,
    SplitParams,
    Splits,
    did_you_mean,
    hookimpl,
    pip_install,
    split_source,
)

if TYPE_CHECKING:
    import numpy as np

Datasets = Mapping[str, Any]  # of the library, by the name of the split


class HuggingFaceParams(SplitParams):
    """A dataset of labelled images; splits that it lacks are drawn from `train`."""

    path: str = Field(
        description="A name on the Hub such as uoft-cs/cifar10, or a folder: one "
        "written by `save_to_disk`, an imagefolder, or Parquet files."
    )
    subset: str | None = Field(
        None, description="The configuration on the Hub, if there are several."
    )
    revision: str | None = Field(
        None, description="A commit or tag on the Hub, which pins the dataset."
    )
    cache_folder: Path | None = Field(
        None, description="Folder of the library's downloads and converted files; default its own."
    )
    image: str | None = Field(None, description="The column of images; default the only one.")
    label: str | None = Field(None, description="The column of classes; default the only one.")
    train: str = Field("train", description="The split to train on.")
    validation: str | None = Field(
        None, description='The validation split; default "validation" if there is one.'
    )
    test: str | None = Field(None, description='The test split; default "test" if there is one.')
    validation_fraction: float = Field(
        0.15,
        gt=0,
        lt=0.5,
        description="Share of each class of `train` drawn for validation if there is no such "
        "split. A hash of the content decides, and copies stay together, including mirrored, "
        "resized or re-saved ones.",
    )
    test_fraction: float = Field(
        0.15,
        gt=0,
        lt=0.5,
        description="Share of each class of `train` drawn for testing, in the same way.",
    )


@hookimpl
def kerascnn_datasets() -> list[Component]:
    summary = "labelled images of the Hugging Face Hub, or local ones in its formats"
    return [Component("huggingface", build, HuggingFaceParams, summary)]


@dataclass(frozen=True)
class Images:
    """A source: `source[i]` is the image's encoded bytes, or its path, and its label.

    It has no fingerprint, as the library's own depends on names and times of files, not on their
    content: kerascnn hashes the images.

    Args:
        images: A column of the library's, not decoded.
        labels: int64 [N], their labels.
    """

    images: Any
    labels: "np.ndarray"

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int, /) -> tuple[bytes | Path, int]:
        image = self.images[index]
        return image["bytes"] or Path(image["path"]), int(self.labels[index])


def build(params: HuggingFaceParams, *, seed: int) -> Splits:
    """Opens the dataset; its splits do not depend on the experiment's seed.

    Raises:
        InputError: The dataset, a split or a column does not exist, or a class is unknown.
    """
    datasets = _chosen(_load(params), params)
    image, label = _columns(datasets["train"].features, params)
    class_names = _class_names(datasets["train"], label)
    sources = {
        split: _source(dataset, split, image, label, class_names)
        for split, dataset in datasets.items()
    }
    if len(sources) < 3:
        sources |= split_source(sources["train"], params, given=sources)
    return Splits(**sources, class_names=class_names)


def _load(params: HuggingFaceParams) -> Datasets:
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"cannot import the library datasets ({error}); install it with "
            f"`{pip_install('datasets')}`."
        ) from error
    folder = Path(params.path).expanduser()
    path = str(folder) if folder.is_dir() else params.path
    cache = params.cache_folder and str(params.cache_folder.expanduser())
    try:
        if any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
            found = datasets.load_from_disk(path)
        else:
            found = datasets.load_dataset(
                path, params.subset, revision=params.revision, cache_dir=cache
            )
    except Exception as error:  # its builders and downloaders raise all kinds
        raise InputError(
            f'path = "{params.path}": expected a dataset of the Hub, or a folder '
            "written by save_to_disk, of class folders, or of Parquet files. The library reports: "
            f"{str(error).strip() or type(error).__name__}"
        ) from error
    return found if isinstance(found, dict) else {"train": found}


def _chosen(found: Datasets, params: HuggingFaceParams) -> Datasets:
    """The existing splits, by kerascnn's names."""
    named = {"train": params.train, "validation": params.validation, "test": params.test}
    wanted = {
        split: name or split
        for split, name in named.items()
        if name or (split in found and split not in named.values())
    }
    for split, name in wanted.items():
        if name not in found:
            raise InputError(
                f'{split} = "{name}": "{params.path}" has no such split.'
                f"{did_you_mean(name, found)} Its splits are {', '.join(found)}."
            )
    if len(set(wanted.values())) < len(wanted):
        raise InputError(f"expected three different splits, got {wanted}.")
    return {split: found[name] for split, name in wanted.items()}


def _columns(features: Mapping[str, Any], params: HuggingFaceParams) -> tuple[str, str]:
    """The columns of images and of classes: as given, or the only ones of their type."""
    import datasets

    def column(option: str, named: str | None, kind: type) -> str:
        fitting = [name for name, feature in features.items() if isinstance(feature, kind)]
        if named is not None and named in features:
            return named
        if named is None and len(fitting) == 1:
            return fitting[0]
        came = f'got "{named}"' if named else f"and {len(fitting)} are {kind.__name__}"
        raise InputError(
            f"{option}: expected the name of one of the columns {', '.join(features)}; {came}."
            f"{did_you_mean(named or '', features)}"
        )

    image = column("image", params.image, datasets.Image)
    return image, column("label", params.label, datasets.ClassLabel)


def _class_names(train: Any, label: str) -> list[str]:
    """The dataset's class names, or else the sorted values of the column."""
    names = getattr(train.features[label], "names", None)
    return names or [str(value) for value in sorted(train.unique(label))]


def _source(dataset: Any, split: str, image: str, label: str, class_names: Sequence[str]) -> Images:
    import datasets
    import numpy as np

    feature = dataset.features[label]
    named = isinstance(feature, datasets.ClassLabel)
    index = {name: number for number, name in enumerate(class_names)}
    values = dataset[label][:]
    labels = np.array([v if named else index.get(str(v), -1) for v in values], np.int64)
    if (named and feature.names != class_names) or (labels < 0).any():
        raise InputError(
            f'the split "{split}" has unknown classes in "{label}", as test splits on the Hub '
            "often do; use another split, or another column."
        )
    images = dataset.cast_column(image, datasets.Image(decode=False))[image]
    return Images(images, labels)
