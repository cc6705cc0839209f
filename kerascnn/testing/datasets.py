"""The checks of a dataset: its splits, images, labels and fingerprints."""

import gc
import hashlib
import shutil
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np

from kerascnn.engine.data.images import read_image
from kerascnn.errors import InputError
from kerascnn.hookspecs import Source, Splits, kerascnn_datasets
from kerascnn.runtime.files import folder_bytes
from kerascnn.testing.checks import Check, CheckError, SkipError, Subject, check
from kerascnn.testing.other_processes import in_another_process

SPLITS = ("train", "validation", "test")
SAMPLED = 64  # images that are looked at in each split
GLANCED = 8  # the same for each of many builds
COMPARED = 5000  # images of all splits that are held against each other
BYTES_A_IMAGE = 1024  # for its path, label and hash; what a source may well keep in memory
LARGEST_COPY = 200_000_000  # bytes


class DatasetSubject(Subject):
    """A dataset."""

    kind = "dataset"

    def make(self) -> Splits:
        return self.build()

    def build(self, seed: int = 0) -> Splits:
        return self.bound.build(seed=seed)

    @cached_property
    def samples(self) -> dict[str, list[tuple[int, Any, Any]]]:
        """Of each split, spread over it: index, image and label."""
        return {
            name: [(index, *source[index]) for index in _spread(len(source), SAMPLED)]
            for name, source in _sources(self.made)
        }

    @property
    def sampled(self) -> Iterator[tuple[str, Any, Any]]:
        """Where each sample is, its image and its label."""
        for name, samples in self.samples.items():
            for index, image, label in samples:
                yield f"{name}[{index}]", image, label


@check(Splits)
def builds(subject: DatasetSubject) -> str:
    """The build returns a kerascnn.Splits of three sources, each with len(source) and
    source[i]."""
    for name, source in _sources(subject.made):
        if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
            raise CheckError(f"{name} is {type(source).__name__}")
    return f"{len(subject.made.class_names)} classes"


@check(Source)
def lengths(subject: DatasetSubject) -> str:
    """Each split holds at least one image, and source[i] gives (image, label) for every i from
    0 to len(source) - 1."""
    for name, source in _sources(subject.made):
        if not len(source):
            raise CheckError(f"len({name}) is 0")
        for index in (0, len(source) - 1):
            item = source[index]
            if not isinstance(item, tuple) or len(item) != 2:
                raise CheckError(f"{name}[{index}] is {_described(item)}")
    return ", ".join(f"{len(source):,} {name}" for name, source in _sources(subject.made))


@check(Splits)
def class_names(subject: DatasetSubject) -> str:
    """The class names are at least two texts, none empty and none twice."""
    names = list(subject.made.class_names)
    good = all(isinstance(name, str) and name for name in names)
    if not good or len(set(names)) < max(len(names), 2):
        raise CheckError(f"{names}")
    return ", ".join(names[:4]) + (", …" if names[4:] else "")


@check(Source)
def images(subject: DatasetSubject) -> str:
    """Each image is a path or bytes of an image that can be decoded, or uint8 [H, W, 3],
    [H, W, 1] or [H, W]."""
    sides = set()
    for place, image, _ in subject.sampled:
        try:
            sides.add(read_image(image).shape[:2])
        except (InputError, TypeError) as error:
            raise CheckError(f"{place} is {_described(image)}: {error}") from error
    heights, widths = zip(*sides, strict=True)
    return f"{_range(heights)} × {_range(widths)} pixels"


@check(Source)
def labels_within_classes(subject: DatasetSubject) -> str:
    """Each label is an int from 0 on, the index of its class name."""
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
    """Built again with the same seed, and read in another order, each split holds the same
    images and labels."""
    again = subject.build()
    for name, source in reversed(_sources(again)):
        if len(source) != len(getattr(subject.made, name)):
            raise CheckError(
                f"{name} holds {len(source)} instead of {len(getattr(subject.made, name))}"
            )
        for index, image, label in reversed(subject.samples[name]):
            if _digest(*source[index]) != _digest(image, label):
                raise CheckError(f"another image or label at {name}[{index}]")


@check(kerascnn_datasets)
def same_in_another_process(subject: DatasetSubject) -> None:
    """Another process sees the same images, labels and fingerprints: nothing depends on the
    order of a set, on hash() or on the clock."""
    here, there = _seen(subject), in_another_process(_seen, subject)
    for name in SPLITS:
        for what, one, other in zip(("images or labels", "fingerprint"), here, there, strict=True):
            if one[name] != other[name]:
                raise CheckError(f"another {what} of {name}")


def _seen(subject: DatasetSubject) -> tuple[dict[str, Any], dict[str, Any]]:
    return _glance(subject.made), _fingerprints(subject.made)


@check(Splits)
def splits_are_disjoint(subject: DatasetSubject) -> str:
    """No image stands in two splits."""
    total = sum(len(source) for _, source in _sources(subject.made))
    seen: dict[str, tuple[str, int]] = {}
    for name, source in _sources(subject.made):
        for index in _spread(len(source), max(1, COMPARED * len(source) // total)):
            first = seen.setdefault(_digest(source[index][0]), (name, index))
            if first[0] != name:
                raise CheckError(f"{name}[{index}] is the same as {first[0]}[{first[1]}]")
    return f"{len(seen):,} different images" + (f" of {total:,}" if total > COMPARED else "")


@check(kerascnn_datasets)
def builds_lazily(subject: DatasetSubject) -> str:
    """The build decodes no images and holds none in memory: source[i] reads when it is
    asked."""
    total = sum(len(source) for _, source in _sources(subject.made))
    decoded, kept = _cost_of_building(subject)
    if decoded > total / 2:
        raise CheckError(f"{decoded:,} of {total:,} images were decoded")
    held = total * np.mean([_bytes(image) for _, image, _ in subject.sampled])
    if held < 2 * total * BYTES_A_IMAGE:
        raise SkipError(f"images of {held / total:,.0f} bytes are too small to tell")
    if kept > held / 2:
        raise CheckError(f"{kept / 1e6:.1f} MB stay in memory of images of {held / 1e6:.1f} MB")
    return f"{kept / 1e6:.1f} MB for images of {held / 1e6:.1f} MB"


def _cost_of_building(subject: DatasetSubject) -> tuple[int, int]:
    """Images that Pillow decodes, and the bytes that stay in memory."""
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
    """Whether each call of Pillow's `load` had something left to decode."""
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


@check(Source)
def fingerprint_is_stable(subject: DatasetSubject) -> str:
    """The fingerprint is a text, the same whenever the images and labels are."""
    before = _own_fingerprints(subject.made)
    for name, value in before.items():
        if not isinstance(value, str) or not value:
            raise CheckError(f"{name}.fingerprint is {value!r}")
    again = subject.build()
    if _fingerprints(again) != before:
        raise CheckError("another fingerprint after another build")
    _glance(again)
    if _fingerprints(again) != before:
        raise CheckError("another fingerprint after images were read")
    fingerprint = before["train"]
    return fingerprint if len(fingerprint) <= 12 else f"{fingerprint[:12]}…"


@check(Source)
def fingerprint_is_sensitive(subject: DatasetSubject) -> str:
    """The fingerprint changes whenever any image or label does."""
    images, prints = _glance(subject.made), _own_fingerprints(subject.made)
    if len(set(prints.values())) < len(SPLITS):
        raise CheckError("splits of different images have the same fingerprint")
    seen = []
    for change, splits in _variants(subject):
        others, others_prints = _glance(splits), _fingerprints(splits)
        changed = [name for name in SPLITS if others[name] != images[name]]
        for name in changed:
            if others_prints[name] == prints[name]:
                raise CheckError(f"{name} has the same with {change}, and other images")
        seen += [change] if changed else []
    with tempfile.TemporaryDirectory() as folder:
        prints_of_both = list(_of_a_changed_copy(subject, Path(folder)))
    if prints_of_both:
        if prints_of_both[0] == prints_of_both[1]:
            raise CheckError("it stays the same when an image's file is changed")
        seen.append("a changed file")
    if not seen:
        raise SkipError("the kit found nothing that changes an image")
    return ", ".join(seen)


def _variants(subject: DatasetSubject) -> Iterator[tuple[str, Splits]]:
    """The dataset built with another seed, or with one parameter changed."""
    yield "another seed", subject.build(seed=1)
    for name, field in type(subject.bound.params).model_fields.items():
        for value in _others(getattr(subject.bound.params, name), field.annotation):
            try:
                splits = subject.with_params(**{name: value}).made
            except InputError:  # it is out of bounds
                continue
            yield f"{name} = {value}", splits
            break


def _others(value: Any, annotation: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value / 2, (value + 1) / 2]
    return [other for other in get_args(annotation) if isinstance(other, str) and other != value]


def _of_a_changed_copy(subject: DatasetSubject, place: Path) -> Iterator[dict[str, Any]]:
    """The fingerprints of a copy of the folder that a parameter names, before and after an image
    of it is changed; nothing where there is no such folder."""
    for name in type(subject.bound.params).model_fields:
        folder = getattr(subject.bound.params, name)
        if not isinstance(folder, Path) or not folder.expanduser().is_dir():
            continue
        folder = folder.expanduser().resolve()
        file = next((f for f in _image_files(subject) if f.is_relative_to(folder)), None)
        if file and folder_bytes(folder) <= LARGEST_COPY:
            copy = shutil.copytree(folder, place / "copy")
            yield _fingerprints(subject.with_params(**{name: str(copy)}).made)
            _invert(copy / file.relative_to(folder))
            yield _fingerprints(subject.with_params(**{name: str(copy)}).made)
            return


def _image_files(subject: DatasetSubject) -> Iterator[Path]:
    for _, image, _ in subject.samples["train"]:
        if isinstance(image, str | Path):
            yield Path(image).resolve()


def _invert(file: Path) -> None:
    from PIL import Image

    with Image.open(file) as image:
        kind = image.format
    Image.fromarray(255 - read_image(file)).save(file, kind)


def _glance(splits: Splits) -> dict[str, list[Any]]:
    """Of each split its length and the digests of a few images and labels."""
    return {
        name: [
            len(source),
            *(_digest(*source[index]) for index in _spread(len(source), GLANCED)),
        ]
        for name, source in _sources(splits)
    }


def _fingerprints(splits: Splits) -> dict[str, Any]:
    return {name: getattr(source, "fingerprint", None) for name, source in _sources(splits)}


def _own_fingerprints(splits: Splits) -> dict[str, Any]:
    prints = _fingerprints(splits)
    if set(prints.values()) == {None}:
        raise SkipError("it has none of its own: kerascnn hashes the images")
    return prints


def _sources(splits: Splits) -> list[tuple[str, Source]]:
    return [(name, getattr(splits, name)) for name in SPLITS]


def _spread(length: int, count: int) -> list[int]:
    """So many indices, evenly over the length."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int)).tolist()


def _digest(image: Any, label: Any = "") -> str:
    """SHA-256 of what an image and its label are."""
    if isinstance(image, np.ndarray):
        data = str((image.shape, image.dtype)).encode() + np.ascontiguousarray(image).tobytes()
    else:
        data = image if isinstance(image, bytes) else Path(image).read_bytes()
    return hashlib.sha256(data + f" {label}".encode()).hexdigest()


def _bytes(image: Any) -> int:
    """What an image would take in memory."""
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


DATASET_CHECKS: tuple[Check, ...] = (
    builds,
    lengths,
    class_names,
    images,
    labels_within_classes,
    same_for_a_seed,
    same_in_another_process,
    splits_are_disjoint,
    builds_lazily,
    fingerprint_is_stable,
    fingerprint_is_sensitive,
)
