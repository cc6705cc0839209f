"""The result of a probe by blocks: the accuracy that each depth of a network allows."""

from dataclasses import asdict, dataclass
from typing import Any

import kerascnn
from kerascnn.engine.metrics.reach import few
from kerascnn.runtime.screen import accuracy, first_rows, screen
from kerascnn.studies.probe.behind import Behind


@dataclass(frozen=True)
class ProbedBlock:
    """A linear probe on the features at the end of a block.

    Args:
        block: Its name.
        unfreeze: What a stage trains that keeps this block and those before it frozen.
        boundary: The layer whose output is probed.
        features: Features per image, pooled over height and width.
        accuracy: Of the probe on training and validation images, out of fold.
        interval: 95% interval of the accuracy (Wilson).
        loss: Mean cross-entropy of the same predictions.
        behind: How far it is behind the most accurate block; None for that one.
    """

    block: str
    unfreeze: str
    boundary: str
    features: int
    accuracy: float
    interval: tuple[float, float]
    loss: float
    behind: Behind | None


@dataclass(frozen=True)
class BlocksResult:
    """The blocks of a network, from the input on, and the run that records them.

    Args:
        device: The device that computed.
        images: Number of training and validation images.
        stored: Number of them whose features the cache had.
        seconds: Time of the probe, without loading the images.
        artifacts: The run's folder, with `blocks.json` and `blocks.png`.
    """

    run_id: str
    name: str
    device: str
    architecture: str
    images: int
    stored: int
    blocks: list[ProbedBlock]
    seconds: float
    artifacts: str

    @property
    def best(self) -> ProbedBlock:
        """The block with the most accurate probe."""
        return next(block for block in self.blocks if block.behind is None)

    @property
    def enough(self) -> ProbedBlock:
        """The first block that the paired test cannot tell from the best."""
        return next(
            block for block in self.blocks if not (block.behind and block.behind.told_apart)
        )

    @property
    def verdict(self) -> str:
        """Where the features stop improving, in words."""
        best, enough = self.best.block, self.enough.block
        if enough == best:
            return f"{best}, more accurate than all earlier blocks"
        level = f"{enough}, which cannot be distinguished from {best}, the most accurate block"
        return f"{level}{few(self.images)}"

    def __repr__(self) -> str:
        deepest = [(one.block, accuracy(one.accuracy, one.interval)) for one in self.blocks[::-1]]
        title = f"blocks of {self.architecture} {self.run_id[:8]} · {self.name} · {self.device}"
        return screen(f"{title}: enough is {self.verdict}", first_rows(deepest))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return kerascnn.as_html(self)

    def to_json(self) -> dict[str, Any]:
        chosen = {"best": self.best.block, "enough": self.enough.block}
        return asdict(self) | chosen | {"unfreeze": self.enough.unfreeze}


def blocks_figure(probed: BlocksResult) -> Any:
    """A matplotlib figure: the accuracy by block, and the cut after the first that is enough."""
    from kerascnn.results.canvas import Figure

    blocks, cut = probed.blocks, probed.blocks.index(probed.enough)
    figure = Figure(figsize=(max(6, 1.5 + 0.45 * len(blocks)), 4.5), dpi=140, layout="constrained")
    axes = figure.subplots()
    intervals = zip(*(block.interval for block in blocks), strict=True)
    axes.vlines(range(len(blocks)), *intervals, color="#a9c4e0", zorder=1)
    axes.plot([block.accuracy for block in blocks], color="#2b6cb0", lw=1, zorder=1)
    for label, told_apart, face in (
        ("cannot be distinguished from the best", False, "#2b6cb0"),
        ("less accurate", True, "white"),
    ):
        points = [
            (at, block.accuracy)
            for at, block in enumerate(blocks)
            if bool(block.behind and block.behind.told_apart) is told_apart
        ]
        if points:
            places, accuracies = zip(*points, strict=True)
            axes.scatter(places, accuracies, s=26, fc=face, ec="#2b6cb0", label=label)
    label = f'cut of unfreeze = "{probed.enough.unfreeze}"'
    axes.axvline(cut + 0.5, color="#888888", lw=1, ls="--", label=label)
    names = [block.block for block in blocks]
    axes.set_xticks(range(len(blocks)), names, rotation=45, ha="right")
    axes.set(ylabel="accuracy of linear probe", title=f"{probed.architecture}, by block")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False)
    return figure
