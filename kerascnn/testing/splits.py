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
SAMPLED = 64  # images that are looked at in each split
GLANCED = 8  # the same for each of many builds


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
            name: [(index, *source[index]) for index in spread(len(source), SAMPLED)]
            for name, source in sources(self.made)
        }

    @property
    def sampled(self) -> Iterator[tuple[str, Any, Any]]:
        """Where each sample is, its image and its label."""
        for name, samples in self.samples.items():
            for index, image, label in samples:
                yield f"{name}[{index}]", image, label


def glance(splits: Splits) -> dict[str, list[Any]]:
    """Of each split its length and the digests of a few images and labels."""
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
    """So many indices, evenly over the length."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int)).tolist()


def digest(image: Any, label: Any = "") -> str:
    """SHA-256 of what an image and its label are."""
    if isinstance(image, np.ndarray):
        data = str((image.shape, image.dtype)).encode() + np.ascontiguousarray(image).tobytes()
    else:
        data = image if isinstance(image, bytes) else Path(image).read_bytes()
    return hashlib.sha256(data + f" {label}".encode()).hexdigest()
