"""An order of examples that is nearly sequential where they are stored, and still mixes them."""

from dataclasses import dataclass, field

import numpy as np

from kerascnn.engine.data.store.packed import Packed
from kerascnn.errors import SourceError
from kerascnn.experiment.training import Training

_EQUAL = 512  # examples of a block where the source names no files


@dataclass(frozen=True)
class Blocks:
    """Consecutive examples that are read together.

    Args:
        lengths: The number of examples in each block, in the order of the source: int64 [M].
        window: The places by which an example may move from where the order of the blocks has it.
    """

    lengths: np.ndarray = field(repr=False)
    window: int

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """The blocks in random order, their examples shuffled within the window: int64 [N].

        At any time only examples of the blocks within one window are due, so that each block is
        read once an epoch.
        """
        starts = np.cumsum(self.lengths) - self.lengths
        chosen = rng.permutation(len(self.lengths))
        lengths = self.lengths[chosen]
        places = np.arange(lengths.sum())
        rows = places + np.repeat(starts[chosen] - (np.cumsum(lengths) - lengths), lengths)
        return rows[np.argsort(places + rng.uniform(0, self.window, len(rows)), kind="stable")]


def blocks_of(split: Packed, training: Training) -> Blocks | None:
    """The blocks of a split, a file each if its source names files; None for a full shuffle.

    Raises:
        SourceError: The files do not add up to the source.
    """
    if training.shuffle == "full":
        return None
    count, files = len(split), getattr(split.source, "files", None)
    if files is None:
        lengths = np.diff([*range(0, count, _EQUAL), count])
    else:
        lengths = np.array(files, np.int64)
    if lengths.sum() != count or (lengths < 0).any():
        raise SourceError(f"source.files add up to {lengths.sum()}; the source has {count} images.")
    return Blocks(lengths, training.shuffle_window)
