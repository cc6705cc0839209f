"""The checks of a dataset's own fingerprints."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from kerascnn.engine.data.decoding.images import read_image
from kerascnn.errors import InputError
from kerascnn.hookspecs import Source, Splits
from kerascnn.runtime.files import folder_bytes
from kerascnn.testing.checks import CheckError, SkipError, check
from kerascnn.testing.datasets import SPLITS, DatasetSubject, fingerprints, glance

LARGEST_COPY = 200_000_000  # bytes


@check(Source)
def fingerprint_is_stable(subject: DatasetSubject) -> str:
    """The fingerprint is a string, and the same as long as images and labels are the same."""
    before = _own_fingerprints(subject.made)
    for name, value in before.items():
        if not isinstance(value, str) or not value:
            raise CheckError(f"{name}.fingerprint is {value!r}")
    again = subject.build()
    if fingerprints(again) != before:
        raise CheckError("it changes with a second build")
    glance(again)
    if fingerprints(again) != before:
        raise CheckError("it changes when images are read")
    fingerprint = before["train"]
    return fingerprint if len(fingerprint) <= 12 else f"{fingerprint[:12]}…"


@check(Source)
def fingerprint_is_sensitive(subject: DatasetSubject) -> str:
    """The fingerprint changes when any image or label changes."""
    images, prints = glance(subject.made), _own_fingerprints(subject.made)
    if len(set(prints.values())) < len(SPLITS):
        raise CheckError("splits of different images have the same fingerprint")
    seen = []
    for change, splits in _variants(subject):
        others, others_prints = glance(splits), fingerprints(splits)
        changed = [name for name in SPLITS if others[name] != images[name]]
        for name in changed:
            if others_prints[name] == prints[name]:
                raise CheckError(f"{name} keeps it with {change}, which changes its images")
        seen += [change] if changed else []
    with tempfile.TemporaryDirectory() as folder:
        prints_of_both = list(_of_a_changed_copy(subject, Path(folder)))
    if prints_of_both:
        if prints_of_both[0] == prints_of_both[1]:
            raise CheckError("it stays the same when an image file changes")
        seen.append("a changed file")
    if not seen:
        raise SkipError("the kit found no parameter or file that changes an image")
    return ", ".join(seen)


def _variants(subject: DatasetSubject) -> Iterator[tuple[str, Splits]]:
    """The dataset built with another seed, or with one parameter changed."""
    yield "another seed", subject.build(seed=1)
    for name, field in type(subject.bound.params).model_fields.items():
        for value in _others(getattr(subject.bound.params, name), field.annotation):
            try:
                splits = subject.with_params(**{name: value}).made
            except InputError:  # out of range
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
    """The fingerprints of a copy of the folder that a parameter names, before and after one of its
    images is changed; none if no parameter names a folder."""
    for name in type(subject.bound.params).model_fields:
        folder = getattr(subject.bound.params, name)
        if not isinstance(folder, Path) or not folder.expanduser().is_dir():
            continue
        folder = folder.expanduser().resolve()
        file = next((f for f in _image_files(subject) if f.is_relative_to(folder)), None)
        if file and folder_bytes(folder) <= LARGEST_COPY:
            copy = shutil.copytree(folder, place / "copy")
            yield fingerprints(subject.with_params(**{name: str(copy)}).made)
            _invert(copy / file.relative_to(folder))
            yield fingerprints(subject.with_params(**{name: str(copy)}).made)
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


def _own_fingerprints(splits: Splits) -> dict[str, Any]:
    prints = fingerprints(splits)
    if set(prints.values()) == {None}:
        raise SkipError("it has none: kerascnn hashes the images")
    return prints
