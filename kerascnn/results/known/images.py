"""Images of a run with their features: those it was trained on, and those that set thresholds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kerascnn.engine.data.store.packed import Packed
from kerascnn.engine.metrics.neighbours import nearest
from kerascnn.engine.result.run import FEATURES, KNOWN_IMAGES, Result
from kerascnn.errors import InputError
from kerascnn.runtime.commands import command
from kerascnn.runtime.csv_files import read_csv, write_csv

TRAIN = "train"
_HEAD = ("image", "sha256", "label", "split")


@dataclass(frozen=True)
class Nearest:
    """A known image that is similar to another.

    Args:
        image: Its path at the time of the run, or its number in its split.
        sha256: Of its content: its file, or its pixels if it has none.
        label: Its class.
        similarity: The cosine of the angle between the features, -1 to 1.
    """

    image: str
    sha256: str
    label: str
    similarity: float


@dataclass(frozen=True)
class KnownImages:
    """The training images of a run, then those held out, as its network sees them.

    Args:
        names: The path of each at the time of the run, or its number in its split.
        contents: SHA-256 of what each was prepared from: uint8 [N, 32].
        labels: int64 [N], in the order of `class_names`.
        splits: "train" for those that the network was trained on, else "validation" or "test": str
            [N].
        features: Of unit length, as in `engine.network.outputs.Said`: float16 [N, F].
        class_names: K.
    """

    names: Sequence[str]
    contents: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    features: np.ndarray
    class_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def trained(self) -> np.ndarray:
        """Whether the network was trained on each: bool [N]."""
        return self.splits == TRAIN

    @classmethod
    def of(
        cls,
        parts: Mapping[str, tuple[Packed, np.ndarray]],
        class_names: Sequence[str],
    ) -> "KnownImages":
        """Those of some splits, each with its features [N, F]."""
        splits = [split for split, _ in parts.values()]
        return cls(
            names=[split.name(row) for split in splits for row in range(len(split))],
            contents=np.concatenate([split.contents for split in splits]),
            labels=np.concatenate([split.labels for split in splits]),
            splits=np.repeat([*parts], [*map(len, splits)]),
            features=np.concatenate([of for _, of in parts.values()]).astype(np.float16),
            class_names=class_names,
        )

    @classmethod
    def read(cls, run: Result) -> "KnownImages":
        """Those that a run keeps in its folder.

        Raises:
            InputError: It keeps none.
        """
        try:
            features = np.load(run.folder / FEATURES)
            rows = read_csv(run.folder / KNOWN_IMAGES)
        except FileNotFoundError as error:
            again = command("run", str(run.folder / "experiment.toml"), "--fresh")
            raise InputError(
                f"run {run.run_id[:8]} keeps no features of its training images: {error.filename} "
                f"is missing; `{again}` trains it again."
            ) from error
        index = {name: number for number, name in enumerate(run.class_names)}
        return cls(
            names=[name for name, *_ in rows],
            contents=np.array([[*bytes.fromhex(sha256)] for _, sha256, _, _ in rows], np.uint8),
            labels=np.array([index[label] for _, _, label, _ in rows]),
            splits=np.array([split for *_, split in rows]),
            features=features,
            class_names=run.class_names,
        )

    def write(self, folder: Path) -> None:
        """Writes them to a run's folder."""
        np.save(folder / FEATURES, self.features)
        columns = zip(self.names, self.contents, self.labels, self.splits, strict=True)
        rows = (
            (name, sha256.tobytes().hex(), self.class_names[label], split)
            for name, sha256, label, split in columns
        )
        write_csv(folder / KNOWN_IMAGES, _HEAD, rows)

    def at(self, rows: np.ndarray) -> "KnownImages":
        """Those of these rows, int [M]."""
        return replace(
            self,
            names=[self.names[row] for row in rows],
            **{of: getattr(self, of)[rows] for of in ("contents", "labels", "splits", "features")},
        )

    def nearest(self, features: np.ndarray, count: int = 5) -> list[list[Nearest]]:
        """The training images most similar to other images, the most similar first.

        Args:
            features: Of the others, of unit length: float32 [Q, F].
            count: How many for each, at least 1.
        """
        rows = np.flatnonzero(self.trained)
        similarities, places = nearest(self.features[rows], features, count)
        return [
            [
                Nearest(
                    image=self.names[row],
                    sha256=self.contents[row].tobytes().hex(),
                    label=self.class_names[self.labels[row]],
                    similarity=float(similarity),
                )
                for row, similarity in zip(rows[of_one], own, strict=True)
            ]
            for of_one, own in zip(places, similarities, strict=True)
        ]
