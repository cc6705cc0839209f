"""What is known of the images that are still missing."""

from dataclasses import asdict, dataclass
from typing import Any

import kerascnn
from kerascnn.engine.metrics.learning_curve import LEVEL, Estimate, Needed
from kerascnn.runtime.screen import first_rows, screen


@dataclass(frozen=True)
class Point:
    """The accuracy expected of a head that learns from a number of images."""

    images: int
    accuracy: Estimate


@dataclass(frozen=True)
class ClassNeed:
    """What more images would do for one class, if all classes grow by the same factor.

    Args:
        images: Training and validation images of the class.
        recall: Expected of a head that learns from all of them.
        doubled: With twice as many.
        gain: The difference.
        needed: Images of the class until its recall is the wished accuracy.
    """

    name: str
    images: int
    recall: Estimate
    doubled: Estimate
    gain: Estimate
    needed: Needed


@dataclass(frozen=True)
class NextImage:
    """An image to label next.

    Args:
        image: Its path.
        suggested: The class that the head takes it for.
        probability: Of that class, 0 to 1.
    """

    image: str
    suggested: str
    probability: float


@dataclass(frozen=True)
class MoreResult:
    """How many images a wished accuracy takes, by a linear head on the network's frozen features.

    Args:
        images: Training and validation images.
        stored: Number of them whose features the cache had.
        wished: The accuracy asked about.
        measured: Numbers of images, 10% to 100% of four fifths of them, each with the accuracy
            of heads that learned from it.
        curve: The accuracy expected from the smallest number of images up to the horizon.
        now: The accuracy expected with all images.
        horizon: The same with the most images that may be asked about.
        needed: The images that the wished accuracy takes.
        classes: Those that profit most come first.
        profits: Probability that the first class profits most.
        next: Images of a folder without labels to label next, in order; None without a folder.
        copies: Images of the folder that were left out as copies.
        artifacts: The run's folder, with `more.html`, `more.json`, `more.png` and `next.csv`.
    """

    run_id: str
    name: str
    device: str
    architecture: str
    images: int
    stored: int
    wished: float
    measured: list[tuple[int, float]]
    curve: list[Point]
    now: Estimate
    horizon: Point
    needed: Needed
    classes: list[ClassNeed]
    profits: float
    next: list[NextImage] | None
    copies: int
    seconds: float
    artifacts: str

    def __repr__(self) -> str:
        rows = [(one.name, f"recall {bounded(one.recall)}") for one in self.classes]
        title = f"more {self.run_id[:8]} · {self.name} · {self.device}: {self.answer}"
        return screen(title, first_rows(rows))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return kerascnn.as_html(self)

    @property
    def answer(self) -> str:
        """How many images the wished accuracy takes, or why no number is given, in words."""
        needed, wished = self.needed, f"an accuracy of {self.wished:g}"
        if needed.images is not None:
            images, missing = about(needed.images), needed.images - self.images
            more = (
                f"{about(missing)} more than there are"
                if missing > 0
                else (f"there are {self.images:,}")
            )
            return f"{wished} takes about {images} images {self.span(needed)}; {more}."
        most = (
            f"{self.horizon.images:,} images, {self.horizon.images / self.images:.3g} times as "
            "many as there are"
        )
        expected = f"{bounded(self.horizon.accuracy)} is expected there"
        if needed.probability > (1 - LEVEL) / 2:
            return f"{wished} probably takes more than {most}, too far to foresee; {expected}."
        return f"{wished} is not reached with {most}, too far to foresee more; {expected}."

    @property
    def profit(self) -> str:
        """Which class profits most from more images, in words."""
        first, *others = self.classes
        gain = f"recall {first.gain.value:+.3f} {_span(first.gain)} with twice as many images"
        if not others or self.profits >= LEVEL:
            return f"{first.name} profits most: {gain}."
        return (
            f"{first.name} may profit most, with a probability of {self.profits:.2f}: {gain}; "
            f"then {others[0].name} {others[0].gain.value:+.3f} {_span(others[0].gain)}."
        )

    def span(self, needed: Needed, share: float = 1) -> str:
        """The interval of a number of images; `share` is that of the images of one class."""
        beyond = f"more than {about(round(share * self.horizon.images))}"
        low, high = (beyond if end is None else about(end) for end in (needed.low, needed.high))
        return f"[{low}, {high}]"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"answer": self.answer, "profit": self.profit}


def about(images: int) -> str:
    """A number of images to two digits, such as 2,700."""
    return f"{round(images, 2 - len(str(images))):,}"


def bounded(estimate: Estimate) -> str:
    """Such as 0.917 [0.901, 0.930]."""
    return f"{estimate.value:.3f} {_span(estimate)}"


def _span(estimate: Estimate) -> str:
    return f"[{estimate.low:.3f}, {estimate.high:.3f}]"
