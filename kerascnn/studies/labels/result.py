"""What a check of labels found."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kerascnn.runtime.screen import first_rows, screen
from kerascnn.runtime.text import counted


@dataclass(frozen=True)
class JudgedLabel:
    """An image, its label and how suspicious that is.

    Args:
        image: Its path, or the first digits of the hash of its content.
        split: "train", "validation" or "test".
        label: The class that it is labelled.
        suggested: The likeliest other class.
        score: 0 to 1, the most suspicious highest.
        wrong: Whether the label is counted as wrong.
    """

    image: str
    split: str
    label: str
    suggested: str
    score: float
    wrong: bool


@dataclass(frozen=True)
class LookedAt:
    """Images to look at for one reason, such as "blurred", in groups that belong together."""

    kind: str
    title: str
    groups: list[list[str]]


@dataclass(frozen=True)
class LabelCheck:
    """The labels of an experiment's images, the most suspicious first.

    Args:
        name: Of the experiment.
        architecture: Whose features were compared.
        labels: All images.
        looks: Other images to look at.
        stored: Number of images whose features the cache had.
        seconds: Time of the check.
        page: The page with the images.
        table: The table to edit.
    """

    name: str
    architecture: str
    labels: list[JudgedLabel]
    looks: list[LookedAt]
    stored: int
    seconds: float
    page: str
    table: str

    @property
    def wrong(self) -> list[JudgedLabel]:
        """Those that are counted as wrong."""
        return [one for one in self.labels if one.wrong]

    @property
    def verdict(self) -> str:
        """How many labels look wrong, in words."""
        wrong, total = len(self.wrong), counted(len(self.labels), "label")
        return f"{wrong or 'none'} of {total} {'looks' if wrong == 1 else 'look'} wrong"

    def __repr__(self) -> str:
        rows: Sequence[tuple[str, str]] = [
            (one.image, f"{one.label}, looks like {one.suggested} ({one.score:.2f})")
            for one in self.wrong
        ]
        return screen(f"labels of {self.name}: {self.verdict}", first_rows(rows))

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"wrong": len(self.wrong)}
