"""Splits decided by the content of images, for datasets that lack some of their own."""

import os
from collections.abc import Collection, Container, Mapping, Sequence
from pathlib import Path

from pydantic import Field, model_validator

from kerascnn.engine.data.sources.files import ContentHash, content_of, hash_content
from kerascnn.engine.data.sources.reading import read_all
from kerascnn.engine.data.sources.source import (
    ImageFiles,
    Known,
    Subset,
    hash_files,
    image_files,
    whole_of,
)
from kerascnn.engine.data.splits.splitting import draw_splits
from kerascnn.errors import InputError
from kerascnn.hookspecs import Params, Source, Splits


class SplitParams(Params):
    """How images are divided where no split is given."""

    validation_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of each class drawn for validation where no split is given, to within "
        "one image. A hash of the content decides, so the same images always give the same "
        "splits. Copies stay together, including mirrored, resized or re-saved ones, and go to "
        "training if there are enough other images. Adding an image moves at most two others of "
        "its class, with their copies. Every split gets an image of each class that has three "
        "different ones.",
    )
    test_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of each class drawn for testing, in the same way."
    )
    split_seed: int = Field(
        0,
        ge=0,
        description="Another number draws other splits. The experiment's `seed` does not, so that "
        "runs with different seeds can be compared.",
    )

    @model_validator(mode="after")
    def _leaves_images_to_train_on(self) -> "SplitParams":
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction + test_fraction must be below 1")
        return self

    def shares(self, given: Container[str]) -> dict[str, float]:
        """The splits to draw, those that are not given, each with its share."""
        shares = {"test": self.test_fraction, "validation": self.validation_fraction}
        return {split: share for split, share in shares.items() if split not in given}


def split_source(
    source: Source, params: SplitParams, given: Collection[str] = ()
) -> dict[str, Subset]:
    """Divides the images of a source by their content, as `image_folder` divides those of a folder.

    Each image is read once for the hash of its content, and decoded once to find near copies
    (`near_copies`), which stay together.

    Args:
        source: The images, with the labels to be divided evenly.
        params: The shares of validation and test, and the seed of the draw.
        given: The names of the splits that the dataset has already, besides "train".

    Returns:
        The name of each split that is not given, "train" among them, and its images.
    """
    hashes, labels, files = list[ContentHash](), list[int](), list[bool]()
    for image, label in read_all(source):
        hashes.append(hash_content(content_of(image)))
        labels.append(label)
        files.append(isinstance(image, str | os.PathLike))
    known = Known(whole_of(hashes), labels, files)
    made = dict[str, Subset]()
    for split, rows in drawn_rows(source, hashes, labels, params, given).items():
        here = known.at(rows)
        made[split] = Subset(source, rows, here.fingerprint, here)
    return made


def drawn_rows(
    source: Source,
    hashes: Sequence[ContentHash],
    labels: Sequence[int],
    params: SplitParams,
    given: Collection[str] = (),
) -> dict[str, list[int]]:
    """As `split_source`, of images whose hashes are known: their indices, in order, by split."""
    shares = params.shares(given)
    drawn = _draw(source, hashes, list(map(str, labels)), shares, params.split_seed)
    names = ("train", *shares)
    return {split: [row for row, name in enumerate(drawn) if name == split] for split in names}


def split_files(
    folder: Path,
    images: Mapping[str, Sequence[tuple[Path, str]]],
    params: SplitParams,
    *,
    follow_links: bool = False,
    ignored: Mapping[str, int] | None = None,
) -> Splits:
    """Makes a dataset of image files; splits that are missing are drawn from "train".

    Args:
        folder: Contains the files; an absolute path without links, as `Path.resolve` gives it.
        images: By split, the path and the class name of each image. Under "train" all that are to
            be divided; "validation" and "test" where the dataset has them.
        params: The shares of validation and test, and the seed of the draw.
        follow_links: Whether links out of the folder are followed; see `image_files`.
        ignored: See `Splits`.

    Returns:
        The splits, with the class names in alphabetical order.

    Raises:
        InputError: A split would have no images.
    """
    class_names = sorted({label for found in images.values() for _, label in found})
    indices = {name: index for index, name in enumerate(class_names)}
    paths = (path for found in images.values() for path, _ in found)
    hashes = hash_files(paths, folder, follow_links)
    splits: dict[str, Sequence[tuple[Path, str]]]
    splits = {"train": [], "validation": [], "test": []} | dict(images)
    if "train" in images:
        splits |= _divided(folder, images, hashes, params, follow_links)
        check_filled(splits, f'"{folder}" has ')
    sources = {
        split: image_files(
            folder,
            [(path, indices[name]) for path, name in found],
            follow_links=follow_links,
            hashes=hashes,
        )
        for split, found in splits.items()
    }
    return Splits(**sources, class_names=class_names, ignored=dict(ignored or {}))


def _divided(
    folder: Path,
    images: Mapping[str, Sequence[tuple[Path, str]]],
    hashes: Mapping[Path, ContentHash],
    params: SplitParams,
    follow_links: bool,
) -> dict[str, list[tuple[Path, str]]]:
    """The images of "train" and of each split that is drawn from it."""
    shares, train = params.shares(images), images["train"]
    paths = [path for path, _ in train]
    source = ImageFiles(paths, [0] * len(paths), "", folder, follow_links)
    labels = [label for _, label in train]
    drawn = _draw(source, [hashes[path] for path in paths], labels, shares, params.split_seed)
    return {
        split: [image for image, name in zip(train, drawn, strict=True) if name == split]
        for split in ("train", *shares)
    }


def _draw(
    source: Source,
    hashes: Sequence[ContentHash],
    labels: Sequence[str],
    shares: Mapping[str, float],
    split_seed: int,
) -> list[str]:
    if not shares:
        return ["train"] * len(labels)
    from kerascnn.engine.data.splits.near import near_copies  # here, as it imports NumPy

    both = list(zip(hashes, labels, strict=True))
    # near copies are known by whole files, as EXIF data may say that an image is to be turned
    near = near_copies(source, [(own.whole, label) for own, label in both])
    image = dict(hashes)
    drawn = draw_splits(
        [(own.image, label) for own, label in both],
        shares,
        split_seed,
        [(image[one], image[other]) for one, other in near],
    )
    return [drawn[own.image] for own in hashes]


def check_filled(splits: Mapping[str, Collection[object]], where: str = "") -> None:
    """Raises InputError if a split has no images.

    Args:
        where: The beginning of the message, such as '"photos" has '.
    """
    for split, images in splits.items():
        if not len(images):
            count = sum(map(len, splits.values()))
            raise InputError(
                f"{where}too few images: of {count}, none are in the {split} split. "
                "Add images: each class needs at least three different ones."
            )
