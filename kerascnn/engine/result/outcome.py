"""What a run and a study of folds have in common."""

from pathlib import Path
from typing import Any, Protocol

from kerascnn.experiment.training import Training


class Outcome(Protocol):
    """What a run and a study of folds have in common: how well networks do on which images."""

    @property
    def run_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def experiment(self) -> dict[str, Any]: ...
    @property
    def class_names(self) -> list[str]: ...
    @property
    def parameters(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def history(self) -> list[dict[str, Any]]: ...
    @property
    def temperature(self) -> float: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def folder(self) -> Path: ...
    @property
    def training(self) -> Training: ...
    @property
    def test_accuracy(self) -> float: ...
    @property
    def test_accuracy_interval(self) -> tuple[float, float]: ...
    @property
    def test(self) -> dict[str, Any]:
        """All metrics of the tested images, as in `engine.metrics.score.Metrics`."""

    @property
    def tested(self) -> str:
        """What identifies the tested images and their order."""

    @property
    def repeats(self) -> int:
        """How often each image was tested."""

    @property
    def divided(self) -> str:
        """The folds of a study, in words; "" for a run, which tests one split."""
