"""The checks of a dataset: its splits, images and labels."""

import gc
import hashlib
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.decoding.images import read_image
from kerascnn.engine.data.decoding.preparation import resize_image
from kerascnn.errors import InputError
from kerascnn.hookspecs import Source, Splits, kerascnn_datasets
from kerascnn.testing.checks import CheckError, SkipError, Subject, check
from kerascnn.testing.other_processes import in_another_process

COMPARED = 5000  # images of all splits compared with each other
BYTES_A_IMAGE = 1024  # allowed in memory for its path, label and hash
SPLITS = ("train", "validation", "test")
SIDE = 160  # pixels; the limits of near copies were measured at it
SAMPLED = 64  # images examined in each split
GLANCED = 8  # images examined in each split of each further build


class DatasetSubject(Subject):
    kind = "dataset"

    def make(self) -> Splits:
        return self.build()

    def build(self, seed: int = 0) -> Splits:
        return self.bound.build(seed=seed)

    @cached_property
    def samples(self) -> dict[str, list[tuple[int, Any, Any]]]:
        """Index, image and label of images spread over each split."""
        return {
            name: [(index, *source[index]) for index in spread(len(source), SAMPLED)]
            for name, source in sources(self.made)
        }

    @cached_property
    def decoded(self) -> dict[str, list[tuple[int, tuple[int, int], np.ndarray]]]:
        """Index, height and width, and pixels uint8 [160, 160, 3] of the same images."""
        found: dict[str, list[tuple[int, tuple[int, int], np.ndarray]]] = {}
        for name, samples in self.samples.items():
            found[name] = []
            for index, image, _ in samples:
                try:
                    pixels = read_image(image)
                except (InputError, TypeError) as error:
                    raise CheckError(f"{name}[{index}] is {_described(image)}: {error}") from error
                found[name].append((index, pixels.shape[:2], resize_image(pixels, SIDE)))
        return found

    @property
    def sampled(self) -> Iterator[tuple[str, Any, Any]]:
        for name, samples in self.samples.items():
            for index, image, label in samples:
                yield f"{name}[{index}]", image, label


def glance(splits: Splits) -> dict[str, list[Any]]:
    """The length of each split, and the digests of a few of its images and labels."""
    return {
        name: [len(source), *(digest(*source[i]) for i in spread(len(source), GLANCED))]
        for name, source in sources(splits)
    }


def fingerprints(splits: Splits) -> dict[str, Any]:
    return {name: getattr(source, "fingerprint", None) for name, source in sources(splits)}


def sources(splits: Splits) -> list[tuple[str, Source]]:
    return [(name, getattr(splits, name)) for name in SPLITS]


def spread(length: int, count: int) -> list[int]:
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int)).tolist()


def digest(image: Any, label: Any = "") -> str:
    """SHA-256 of an image's content and its label."""
    if isinstance(image, np.ndarray):
        data = str((image.shape, image.dtype)).encode() + np.ascontiguousarray(image).tobytes()
    else:
        data = image if isinstance(image, bytes) else Path(image).read_bytes()
    return hashlib.sha256(data + f" {label}".encode()).hexdigest()


@check(Splits)
def builds(subject: DatasetSubject) -> str:
    """The builder returns a kerascnn.Splits of three sources, each with len(source) and
    source[i]."""
    for name, source in sources(subject.made):
        if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
            raise CheckError(f"{name} is {type(source).__name__}")
    return f"{len(subject.made.class_names)} classes"


@check(Source)
def lengths(subject: DatasetSubject) -> str:
    """Each split has at least one image, and source[i] returns (image, label) for every i from 0
    to len(source) - 1. The numbers in source.files, if it has them, add up to len(source)."""
    for name, source in sources(subject.made):
        if not len(source):
            raise CheckError(f"len({name}) is 0")
        files = getattr(source, "files", [len(source)])
        if min(files) < 0 or sum(files) != len(source):
            raise CheckError(f"sum({name}.files) is {sum(files)}, len({name}) {len(source)}")
        for index in (0, len(source) - 1):
            item = source[index]
            if not isinstance(item, tuple) or len(item) != 2:
                raise CheckError(f"{name}[{index}] is {_described(item)}")
    return ", ".join(f"{len(source):,} {name}" for name, source in sources(subject.made))


@check(Splits)
def class_names(subject: DatasetSubject) -> str:
    """There are at least two class names; they are distinct strings and not empty."""
    names = list(subject.made.class_names)
    good = all(isinstance(name, str) and name for name in names)
    if not good or len(set(names)) < max(len(names), 2):
        raise CheckError(f"{names}")
    return ", ".join(names[:4]) + (", …" if names[4:] else "")


@check(Source)
def images(subject: DatasetSubject) -> str:
    """Each image is the path or bytes of an image file that can be decoded, or a uint8 array
    [H, W, 3], [H, W, 1] or [H, W]."""
    sides = [side for decoded in subject.decoded.values() for _, side, _ in decoded]
    heights, widths = zip(*sides, strict=True)
    return f"{_range(heights)} × {_range(widths)} pixels"


@check(Source)
def labels_within_classes(subject: DatasetSubject) -> str:
    """Each label is an int, the index of its class name."""
    classes, seen = len(subject.made.class_names), set()
    for place, _, label in subject.sampled:
        if not isinstance(label, int | np.integer) or isinstance(label, bool):
            raise CheckError(f"{place} has the label {label!r}, which is {type(label).__name__}")
        if not 0 <= label < classes:
            raise CheckError(f"{place} has the label {label}; there are {classes} classes")
        seen.add(int(label))
    return f"{_range(seen)} of {classes} classes"


@check(kerascnn_datasets)
def same_for_a_seed(subject: DatasetSubject) -> None:
    """Built again with the same seed and read in another order, each split has the same images
    and labels."""
    again = subject.build()
    for name, source in reversed(sources(again)):
        if len(source) != (expected := len(getattr(subject.made, name))):
            raise CheckError(f"{name} has {len(source)} images instead of {expected}")
        for index, image, label in reversed(subject.samples[name]):
            if digest(*source[index]) != digest(image, label):
                raise CheckError(f"another image or label at {name}[{index}]")


@check(kerascnn_datasets)
def same_in_another_process(subject: DatasetSubject) -> None:
    """In another process the images, labels and fingerprints are the same: nothing depends on the
    order of a set, on hash() or on the clock."""
    here, there = _seen(subject), in_another_process(_seen, subject)
    for name in SPLITS:
        for what, one, other in zip(("images or labels", "fingerprint"), here, there, strict=True):
            if one[name] != other[name]:
                raise CheckError(f"another {what} of {name}")


def _seen(subject: DatasetSubject) -> tuple[dict[str, Any], dict[str, Any]]:
    return glance(subject.made), fingerprints(subject.made)


@check(Splits)
def splits_are_disjoint(subject: DatasetSubject) -> str:
    """No image is in two splits."""
    total = sum(len(source) for _, source in sources(subject.made))
    seen: dict[str, tuple[str, int]] = {}
    for name, source in sources(subject.made):
        for index in spread(len(source), max(1, COMPARED * len(source) // total)):
            first = seen.setdefault(digest(source[index][0]), (name, index))
            if first[0] != name:
                raise CheckError(f"{name}[{index}] is the same as {first[0]}[{first[1]}]")
    return f"{len(seen):,} different images" + (f" of {total:,}" if total > COMPARED else "")


@check(kerascnn_datasets)
def builds_lazily(subject: DatasetSubject) -> str:
    """The builder decodes no images and keeps none in memory: source[i] reads an image when it is
    called."""
    total = sum(len(source) for _, source in sources(subject.made))
    decoded, kept = _cost_of_building(subject)
    if decoded > total / 2:
        raise CheckError(f"the builder decoded {decoded:,} of {total:,} images")
    held = total * np.mean([_bytes(image) for _, image, _ in subject.sampled])
    if held < 2 * total * BYTES_A_IMAGE:
        raise SkipError(f"images of {held / total:,.0f} bytes are too small to tell")
    if kept > held / 2:
        raise CheckError(f"{kept / 1e6:.1f} MB of the images' {held / 1e6:.1f} MB stay in memory")
    return f"{kept / 1e6:.1f} MB in memory for {held / 1e6:.1f} MB of images"


def _cost_of_building(subject: DatasetSubject) -> tuple[int, int]:
    """The number of images that Pillow decodes, and the bytes that stay in memory."""
    gc.collect()
    tracemalloc.start()
    try:
        with _counting_decodes() as decoded:
            splits = subject.build()
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del splits
    return sum(decoded), kept


@contextmanager
def _counting_decodes() -> Iterator[list[bool]]:
    """Yields, for each call of Pillow's `load`, whether it had anything to decode."""
    from PIL.ImageFile import ImageFile

    decoded, load = list[bool](), ImageFile.load

    def counting(image: Any) -> Any:
        decoded.append(bool(image.tile))
        return load(image)

    ImageFile.load = counting  # type: ignore[method-assign, assignment]
    try:
        yield decoded
    finally:
        ImageFile.load = load  # type: ignore[method-assign]


def _bytes(image: Any) -> int:
    return len(image) if isinstance(image, bytes) else read_image(image).nbytes


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {value.dtype} {list(value.shape)}"
    if isinstance(value, str | Path):
        return f'"{value}"'
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return f"{type(value).__name__} {value!r:.60}"


def _range(numbers: Any) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"
