"""Splits decided by the content of the images, and the source of images in files."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pydantic import Field, model_validator

from kerascnn import InputError, Params, Splits, draw_splits

_PIECE = 64  # files that a thread is handed at once: handing over costs as much as a small one

FOLLOWED = (
    "is followed only with `follow_links = true` (--set dataset.follow_links=true; for init, "
    "--follow-links)"
)

Labelled = tuple[Path, str]


class SplitParams(Params):
    """How images without a given split are divided."""

    validation_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of each class drawn for validation where no split is given, to within "
        "one image. A hash of their content orders the images of a class. Copies stay together, "
        "also mirrored, resized or re-saved ones, which are used for training if there are enough "
        "other images. An added image moves at most two others of its class, with their copies. "
        "Every split gets an image of each class that has three different ones.",
    )
    test_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of each class drawn for testing, in the same way."
    )
    split_seed: int = Field(
        0,
        ge=0,
        description="Another number draws another split. The experiment's `seed` does not, so "
        "that runs with different seeds can be compared.",
    )

    @model_validator(mode="after")
    def _leaves_images_to_train_on(self) -> "SplitParams":
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction + test_fraction must stay below 1")
        return self


@dataclass(frozen=True)
class ImageFiles:
    """A source of paths, none of which may lead out of the folder `within`.

    The images are read by whom it gives them to.
    """

    paths: Sequence[Path]
    labels: Sequence[int]
    fingerprint: str
    within: Path

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> tuple[Path, int]:
        path = self.paths[index]
        if path.is_symlink() and leads_out(path, self.within):
            raise InputError(
                f'"{path}" is a link that leads out of "{self.within}", which {FOLLOWED}'
            )
        return path, self.labels[index]


def split_images(
    root: Path,
    within: Path,
    found: Mapping[str, Sequence[Labelled]],
    params: SplitParams,
    ignored: Mapping[str, int],
) -> Splits:
    """Draws the splits that `found` lacks from its "train", if it has one, and checks them.

    Files below `root` may be links to what lies within `within`.
    """
    class_names = sorted({label for images in found.values() for _, label in images})
    indices = {name: index for index, name in enumerate(class_names)}
    files = hash_files((path for images in found.values() for path, _ in images), within)
    hashes = {path: own for path, (own, _) in files.items()}
    same = {path: without_notes for path, (_, without_notes) in files.items()}
    wanted = {"test": params.test_fraction, "validation": params.validation_fraction}
    to_split = found.get("train", ())
    shares = {split: share for split, share in wanted.items() if split not in found}
    drawn = draw_splits(
        [(same[path], label) for path, label in to_split],
        shares,
        params.split_seed,
        _near(to_split, files, within) if to_split and shares else (),
    )
    splits: dict[str, list[Labelled]] = {"train": [], "validation": [], "test": []}
    for path, label in to_split:
        splits[drawn[same[path]]].append((path, label))
    for split in found.keys() - {"train"}:
        splits[split] = list(found[split])
    if "train" in found:
        _check_splits(root, splits)
    sources = {
        split: image_files(root, within, [(path, indices[name]) for path, name in images], hashes)
        for split, images in splits.items()
    }
    return Splits(**sources, class_names=class_names, ignored=dict(ignored))


def _near(
    images: Sequence[Labelled], files: Mapping[Path, tuple[str, str]], within: Path
) -> list[tuple[str, str]]:
    """The near copies among images, as pairs of the hashes that ignore EXIF data and comments.

    They are looked up by whole files: EXIF data may say that an image is to be turned.
    """
    from kerascnn import near_copies  # here, as it imports NumPy

    source = ImageFiles([path for path, _ in images], [0] * len(images), "", within)
    same = dict(files.values())
    pairs = near_copies(source, [(files[path][0], label) for path, label in images])
    return [(same[one], same[other]) for one, other in pairs]


def content_hashes(paths: Iterable[Path], within: Path) -> dict[Path, str]:
    """The SHA-256 of each file; of one that cannot be read, which will be told, of its name."""
    return {path: own for path, (own, _) in hash_files(paths, within).items()}


def hash_files(paths: Iterable[Path], within: Path) -> dict[Path, tuple[str, str]]:
    """The SHA-256 of each file, and of the image in it without what is said about it."""
    from concurrent.futures import ThreadPoolExecutor

    paths = list(paths)
    pieces = [paths[first : first + _PIECE] for first in range(0, len(paths), _PIECE)]
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(lambda piece: [_file_hashes(path, within) for path in piece], pieces)
        return dict(zip(paths, chain.from_iterable(hashes), strict=True))


def _file_hashes(path: Path, within: Path) -> tuple[str, str]:
    content = b"unreadable " + os.fsencode(path)
    outside = path.is_symlink() and leads_out(path, within)
    if path.is_file() and not outside:  # to open a pipe would wait for its writer
        with suppress(OSError):
            content = path.read_bytes()
    own, image = hashlib.sha256(content).hexdigest(), _without_notes(content)
    return own, own if image is content else hashlib.sha256(image).hexdigest()


def _without_notes(content: bytes) -> bytes:
    """A JPEG without EXIF, thumbnails and comments, which programs change in copies of it."""
    at = 2
    while content[:2] == b"\xff\xd8" and content[at : at + 1] == b"\xff":
        marker = content[at + 1 : at + 2]
        if not (b"\xe0" <= marker <= b"\xef" or marker == b"\xfe"):  # APP0 to APP15, COM
            return content[at:]
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return content


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path means a place that is not in a folder."""
    return not Path(os.path.realpath(path)).is_relative_to(folder)


def image_files(
    root: Path, within: Path, images: Sequence[tuple[Path, int]], hashes: Mapping[Path, str]
) -> ImageFiles:
    """A source, whose fingerprint covers the names, the contents and the labels, in order."""
    digest = hashlib.sha256()
    for path, label in images:
        name = os.fsencode(path.relative_to(root).as_posix())  # which may be no UTF-8
        digest.update(name + f"\0{hashes[path]}\0{label}\n".encode())
    paths, labels = [path for path, _ in images], [label for _, label in images]
    return ImageFiles(paths, labels, digest.hexdigest(), within)


def _check_splits(root: Path, splits: Mapping[str, Sequence[Labelled]]) -> None:
    for split, images in splits.items():
        if not images:
            count = sum(map(len, splits.values()))
            raise InputError(
                f'"{root}" has too few images: of {count}, none came into the {split} split. '
                "Add images: each class wants at least three different ones."
            )
