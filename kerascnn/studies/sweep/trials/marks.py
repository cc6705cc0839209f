"""How trials do on each validation image: kept in their folders, read by all workers."""

import shutil
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from kerascnn.engine.metrics.choice import (
    Entrants,
    best_of,
    interval,
    not_told_apart,
    optimism,
    optimism_of_named,
)
from kerascnn.engine.metrics.named import build_metrics
from kerascnn.engine.metrics.race import Curve, Marks, Scoring
from kerascnn.run.trial import LABELS, VALIDATION
from kerascnn.runtime.files import whole_file
from kerascnn.studies.sweep.folder import trial_folder
from kerascnn.studies.sweep.plan.load import Planned
from kerascnn.tracking.journal import TRIALS

LOOKS = "looks"  # the folder in a trial's


def board_of(planned: Planned, class_names: Sequence[str], folder: Path) -> "Board":
    return Board(scoring_of(planned, class_names), folder, planned.settings.seeds)


def scoring_of(planned: Planned, class_names: Sequence[str]) -> Scoring:
    metric = planned.settings.metric
    named = build_metrics(planned.experiment.metrics, class_names)
    return Scoring(metric, next((one for one in named if f"val_{one.name}" == metric), None))


class Board:
    """What the trials of a sweep have shown, read from this host's folders.

    Args:
        scoring: Marks predictions by the sweep's metric.
        folder: The sweep's folder.
        seeds: Of each trial.
    """

    def __init__(self, scoring: Scoring, folder: Path, seeds: int) -> None:
        self.scoring = scoring
        self._folder = folder
        self._seeds = seeds
        self._ends: dict[int, list[Marks]] = {}
        self._looks: dict[Path, tuple[int, Marks]] = {}

    def keep(self, number: int, seed: int, epoch: int, epochs: int, marks: Marks) -> None:
        """Keeps the marks after an epoch of the last stage, for the other workers."""
        folder = trial_folder(self._folder, number, seed) / LOOKS
        folder.mkdir(exist_ok=True)
        with whole_file(folder / f"{epoch}.npz") as new, new.open("wb") as file:
            np.savez(file, value=marks.value, parts=marks.parts, epochs=epochs)

    def forget(self, number: int) -> None:
        """Removes the looks of a trial that has failed."""
        for seed in range(self._seeds):
            shutil.rmtree(trial_folder(self._folder, number, seed) / LOOKS, ignore_errors=True)

    def curves(self) -> dict[int, list[Curve]]:
        """The curves of each trial's seeds, by its number."""
        found: dict[int, list[Curve]] = {}
        folders = sorted((self._folder / TRIALS).glob(f"*/{LOOKS}"), key=_order)
        for folder in folders:
            looks = {int(file.stem): self._read(file) for file in folder.glob("*.npz")}
            shown = {epoch: look for epoch, look in looks.items() if look}
            if shown:
                epochs = next(iter(shown.values()))[0]
                curve = Curve(epochs, {epoch: marks for epoch, (_, marks) in shown.items()})
                found.setdefault(_order(folder)[0], []).append(curve)
        return found

    def _read(self, file: Path) -> tuple[int, Marks] | None:
        with suppress(OSError, ValueError, KeyError):  # forgotten meanwhile
            if file not in self._looks:
                found = np.load(file)
                marks = Marks(float(found["value"]), found["parts"])
                self._looks[file] = int(found["epochs"]), marks
            return self._looks[file]
        return None

    def end(self, number: int) -> list[Marks]:
        """The marks that a trial has ended with, one for each seed; none if they are not here."""
        if number not in self._ends:
            marks = [self.scoring.marks(*predicted) for predicted in self._predictions(number)]
            self._ends[number] = [one for one in marks if one]
        return self._ends[number]

    def _predictions(self, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
        folders = [trial_folder(self._folder, number, seed) for seed in range(self._seeds)]
        return [
            (np.load(folder / VALIDATION), np.load(folder / LABELS))
            for folder in folders
            if (folder / VALIDATION).is_file() and (folder / LABELS).is_file()
        ]

    def interval(self, number: int) -> tuple[float, float] | None:
        """The 95% interval of a trial's value."""
        marks = self.end(number)
        return interval(self.scoring, marks) if marks else None

    def entrants(self, complete: Iterable[int]) -> Entrants:
        """The complete trials whose predictions are here."""
        marks = {number: self.end(number) for number in complete}
        return {number: seeds for number, seeds in marks.items() if len(seeds) == self._seeds}

    def alike(self, complete: Collection[int], best: int) -> list[int]:
        """The trials that the paired test cannot tell from the best.

        It has no say about those whose predictions are on another host.
        """
        entrants = self.entrants(complete)
        apart: set[int] = set()
        if best in entrants and best_of(entrants) == best:
            apart = entrants.keys() - not_told_apart(self.scoring, entrants)
        return [number for number in complete if number not in {best, *apart}]

    def optimism(self, complete: Collection[int], best: int) -> float | None:
        """By how much the best trial's value exceeds its true value; see `choice.optimism`.

        None where the predictions of a trial are on another host.
        """
        entrants = self.entrants(complete)
        if len(entrants) < len(complete):
            return None
        if not self.scoring.named:
            return optimism(self.scoring, entrants)
        predicted = {number: self._predictions(number) for number in entrants}
        labels = predicted[best][0][1]
        probabilities = {number: [one for one, _ in seeds] for number, seeds in predicted.items()}
        return optimism_of_named(self.scoring.named, labels, probabilities, best)


def _order(looks: Path) -> tuple[int, int]:
    """The number and the seed of a trial, from its folder's name."""
    number, _, seed = looks.parent.name.partition("-")
    return int(number), int(seed)
