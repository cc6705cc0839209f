"""The splits of a dataset, ready to train on: images, labels, hashes and origin."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from kerascnn.engine.data.decoding.depth import ValueRange
from kerascnn.engine.data.sources.files import shown
from kerascnn.engine.data.sources.source import Subset
from kerascnn.engine.data.store.changes import Changes
from kerascnn.engine.data.store.stored import Stored
from kerascnn.engine.data.store.stream import Images, StreamedImages
from kerascnn.hookspecs import Source


@dataclass(frozen=True)
class Packed:
    """One split, ready to train on."""

    images: Images  # uint8 [N, P, P, 3], from the cache, or decoded whenever they are used
    labels: np.ndarray  # int64 [N]
    stored: Stored = field(repr=False)
    fingerprint: str  # that of the source, whatever the preparation
    key: str  # hash of everything that determines images and labels
    source: Source = field(repr=False)
    files: np.ndarray = field(repr=False)  # bool [N], whether an image comes from a file
    value_range: ValueRange | None = None  # of black and white
    made: int = 0  # images that were prepared now; the others had been stored before
    skipped: tuple[str, ...] = ()  # the images that are left out, each with the reason
    uncorrected: np.ndarray | None = None  # int64 [N], the dataset's labels; None: `labels`

    @property
    def given(self) -> np.ndarray:
        """The labels of the dataset, before they were corrected: int64 [N]."""
        return self.labels if self.uncorrected is None else self.uncorrected

    @cached_property
    def digests(self) -> np.ndarray:
        """SHA-256 of each prepared image: uint8 [N, 32]."""
        return self.stored.every("digest")

    @cached_property
    def contents(self) -> np.ndarray:
        """SHA-256 of the content that each image was prepared from: uint8 [N, 32]."""
        return self.stored.contents()

    @cached_property
    def hashes(self) -> np.ndarray:
        """Perceptual hash of each image: uint64 [N, 8]."""
        return self.stored.every("hash")

    @cached_property
    def peaks(self) -> np.ndarray:
        """The greatest value in each image's file, 0 if it has 8 bits a value: float64 [N]."""
        return self.stored.every("peak")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def streamed(self) -> bool:
        """Whether the images are decoded whenever they are used."""
        images = self.images
        while isinstance(images, ChosenImages):
            images = images.images
        return isinstance(images, StreamedImages)

    def name(self, index: int) -> str:
        """The name of an image by its source, its path, or its index in the source."""
        if hasattr(self.source, "image_name"):
            return shown(self.source.image_name(int(index)))
        return shown(self.source[int(index)][0] if self.files[index] else str(index))

    def at(self, rows: np.ndarray) -> "Packed":
        """The images of these rows, int [M], as a split of their own; none is copied."""
        chosen = hashlib.sha256(np.asarray(rows, np.int64).tobytes()).hexdigest()
        return replace(
            self,
            images=ChosenImages(self.images, rows),
            labels=self.labels[rows],
            uncorrected=None if self.uncorrected is None else self.uncorrected[rows],
            files=self.files[rows],
            stored=self.stored.at(rows),
            source=Subset(self.source, rows.tolist()),
            fingerprint=sha256(f"{self.fingerprint} at {chosen}".encode()),
            key=sha256(f"{self.key} at {chosen}".encode()),
        )

    def relabelled(self, labels: np.ndarray) -> "Packed":
        """The same images with these labels, int64 [N]."""
        if np.array_equal(labels, self.labels):
            return self
        said = hashlib.sha256(np.asarray(labels, np.int64).tobytes()).hexdigest()
        return replace(
            self,
            labels=labels,
            uncorrected=self.given,
            fingerprint=sha256(f"{self.fingerprint} labelled {said}".encode()),
            key=sha256(f"{self.key} labelled {said}".encode()),
        )

    def without(self, rows: Iterable[int], reasons: Iterable[str]) -> "Packed":
        """The split without these rows, as if the source had never had them."""
        kept = np.delete(np.arange(len(self)), sorted(map(int, rows)))
        return replace(self.at(kept), skipped=(*self.skipped, *reasons))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class ChosenImages(Images):
    def __init__(self, images: Images, rows: np.ndarray) -> None:
        super().__init__((len(rows), *images.shape[1:]))
        self.images, self._rows = images, rows

    def _read(self, rows: np.ndarray) -> np.ndarray:
        return self.images[self._rows[rows]]


@dataclass(frozen=True)
class Data:
    """The packed splits and their classes."""

    train: Packed
    validation: Packed
    test: Packed
    class_names: tuple[str, ...]  # in Unicode form NFC, in the order of the labels
    ignored: Mapping[str, int]  # what else the dataset found, and how often
    seconds: float  # time to find, decode and pack the images, or to find them packed
    changes: Changes | None = None  # in an update: what its run did not have

    def class_counts(self) -> dict[str, np.ndarray]:
        """The number of images of each class in each split: int64 [K]."""
        return {
            name: np.bincount(packed.labels, minlength=len(self.class_names))
            for name, packed in self.splits().items()
        }

    def splits(self) -> dict[str, Packed]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def found_again(self) -> "Data":
        """The same images, none of which is packed now."""
        return replace(
            self,
            train=replace(self.train, made=0),
            validation=replace(self.validation, made=0),
            test=replace(self.test, made=0),
        )


@dataclass(frozen=True)
class Pooled:
    """The images of all splits together, and their classes.

    Args:
        images: Those to train on, then those of the validation and of the test split.
        class_names: In Unicode form NFC, in the order of the labels.
        ignored: What else the dataset found, and how often.
        validation_share: Of those that are not tested, the share that the dataset validates by.
        seconds: Time to find, decode and pack the images, or to find them packed.
    """

    images: Packed
    class_names: tuple[str, ...]
    ignored: Mapping[str, int]
    validation_share: float
    seconds: float

    @property
    def fingerprint(self) -> str:
        """Hash of all images and their labels, in their order, whatever their preparation."""
        digest = hashlib.sha256("\n".join(self.class_names).encode())
        digest.update(self.images.contents.tobytes() + self.images.labels.tobytes())
        return digest.hexdigest()
