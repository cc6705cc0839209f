"""A dataset under check, and what its splits hold."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.hookspecs import Source, Splits
from kerascnn.testing.checks import Subject

SPLITS = ("train", "validation", "test")
SAMPLED = 64  # images examined in each split
GLANCED = 8  # images examined in each split of each further build


class DatasetSubject(Subject):
    """A dataset."""

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

    @property
    def sampled(self) -> Iterator[tuple[str, Any, Any]]:
        """Each sample's place, image and label."""
        for name, samples in self.samples.items():
            for index, image, label in samples:
                yield f"{name}[{index}]", image, label


def glance(splits: Splits) -> dict[str, list[Any]]:
    """The length of each split, and the digests of a few of its images and labels."""
    return {
        name: [
            len(source),
            *(digest(*source[index]) for index in spread(len(source), GLANCED)),
        ]
        for name, source in sources(splits)
    }


def fingerprints(splits: Splits) -> dict[str, Any]:
    return {name: getattr(source, "fingerprint", None) for name, source in sources(splits)}


def sources(splits: Splits) -> list[tuple[str, Source]]:
    return [(name, getattr(splits, name)) for name in SPLITS]


def spread(length: int, count: int) -> list[int]:
    """Up to `count` indices, spread evenly."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int)).tolist()


def digest(image: Any, label: Any = "") -> str:
    """SHA-256 of an image's content and its label."""
    if isinstance(image, np.ndarray):
        data = str((image.shape, image.dtype)).encode() + np.ascontiguousarray(image).tobytes()
    else:
        data = image if isinstance(image, bytes) else Path(image).read_bytes()
    return hashlib.sha256(data + f" {label}".encode()).hexdigest()
