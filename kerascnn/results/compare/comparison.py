"""Runs side by side: their metrics, which is better, and how certain that is."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

import kerascnn
from kerascnn.engine.metrics.calibration import calibration_interval, expected_calibration_error
from kerascnn.engine.metrics.score import macro_f1_interval
from kerascnn.engine.metrics.significance import (
    by_image,
    grouped_difference,
    holm,
    mcnemar,
    paired_interval,
    repeated_test,
)
from kerascnn.engine.result.outcome import Outcome
from kerascnn.engine.result.run import PREDICTIONS
from kerascnn.errors import InputError
from kerascnn.results.compare.choice import advice
from kerascnn.results.compare.images import Judged, difference, noun_of, refusal, rows_as_in
from kerascnn.results.compare.metrics import Drawings, draw_metrics
from kerascnn.results.compare.results import LEAST_SEEDS, Compared, Flip, Group, Pair, summary
from kerascnn.results.compare.seeds import groups_by_seed
from kerascnn.results.compare.settings import differing, settings_of
from kerascnn.results.predictions import Predictions
from kerascnn.results.report.gather import calibrated_predictions
from kerascnn.runtime.files import folder_bytes
from kerascnn.runtime.screen import accuracy, first_rows, screen

if TYPE_CHECKING:
    from kerascnn.results.compare.elsewhere import Elsewhere


@dataclass(frozen=True)
class Comparison:
    """Runs, or studies of folds, side by side; everything is computed on first access.

    Args:
        results: The runs or studies, the most accurate first.
        reference: The run whose test images all runs must have been evaluated on.
        by_seed: Whether groups of runs that differ only in the seed are compared, not runs.
        elsewhere: Predictions for other images, if the runs are evaluated on those instead.
    """

    results: tuple[Outcome, ...]
    reference: Outcome | None
    by_seed: bool = False
    elsewhere: "Elsewhere | None" = None

    @property
    def noun(self) -> str:
        """What the results are of: "study" (of folds), or "run"."""
        return noun_of(self.results)

    @property
    def kind(self) -> str:
        """What is compared: "group", or the `noun`."""
        return "group" if self.by_seed else self.noun

    @cached_property
    def runs(self) -> tuple[Compared, ...]:
        """Each run with its metrics, the most accurate first."""
        settings = [settings_of(result) for result in self.results]
        names = differing(settings)
        return tuple(
            self._compared(result, {name: table.get(name) for name in names})
            for result, table in zip(self.results, settings, strict=True)
        )

    def _compared(self, result: Outcome, settings: dict[str, Any]) -> Compared:
        said = self.predictions[result.run_id]
        return Compared(
            run_id=result.run_id,
            name=result.name,
            settings=settings,
            test_accuracy=result.test_accuracy,
            interval=result.test_accuracy_interval,
            macro_f1=result.test["macro_f1"],
            macro_f1_interval=macro_f1_interval(said.probabilities, said.labels, said.repeats),
            calibration_error=expected_calibration_error(said.probabilities, said.labels),
            calibration_interval=calibration_interval(
                said.probabilities, said.labels, said.repeats
            ),
            parameters=result.parameters,
            seconds=result.seconds,
            size_bytes=folder_bytes(result.folder / "model"),
            test_images=len(said) // said.repeats,
            same_test_images=result.run_id not in self._strangers,
            metrics=self.metrics.measured(result.run_id),
        )

    @cached_property
    def metrics(self) -> Drawings:
        """The metrics that the runs list, on the test images in one order if they are the same."""
        rows = {} if self.refusal or not self.results else self._order
        return draw_metrics(self.results, self.predictions, rows)

    @cached_property
    def predictions(self) -> dict[str, Predictions]:
        """The predictions of each run for its test images, or for those it is evaluated on."""
        if self.elsewhere:
            return self.elsewhere.predictions
        return {result.run_id: _predictions(result) for result in self.results}

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The runs grouped by their settings without the seed, the best mean accuracy first."""
        return groups_by_seed(self.results, self.runs)

    @property
    def entrants(self) -> Sequence[Compared | Group]:
        """What is compared: runs or groups."""
        return self.groups if self.by_seed else self.runs

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs of runs or groups, those with the most accurate one first.

        Raises:
            InputError: Not all were evaluated on the same test images.
        """
        if self.refusal:
            raise InputError(self.refusal)
        if self.by_seed:
            return _corrected([self._pair_of_groups(*two) for two in combinations(self.groups, 2)])
        return _corrected([self._pair_of_runs(*two) for two in combinations(self.runs, 2)])

    @property
    def against_best(self) -> tuple[Pair, ...]:
        """The pairs with the most accurate run, or the most accurate group that is tested."""
        if tested := [pair for pair in self.pairs if pair.p_value is not None]:
            return tuple(pair for pair in tested if pair.first == tested[0].first)
        return self.pairs[: max(0, len(self.entrants) - 1)]

    @property
    def untested(self) -> tuple[Group, ...]:
        """The groups with too few seeds, if others are tested."""
        if not self.by_seed or all(pair.p_value is None for pair in self.pairs):
            return ()
        return tuple(group for group in self.groups if len(group.seeds) < LEAST_SEEDS)

    @property
    def summary(self) -> str:
        """Which run or group is best and how certain that is, in a sentence; "" if there is one."""
        said = summary(self.against_best)
        if not self.untested:
            return said
        names = ", ".join(group.name for group in self.untested)
        return f"{said}; not tested, fewer than {LEAST_SEEDS} seeds: {names}"

    @property
    def advice(self) -> str:
        """Which of those that cannot be distinguished to choose, and what the images can show."""
        return advice(self.entrants, self.against_best, self.runs[0].test_images)

    def _pair_of_runs(self, first: Compared, second: Compared) -> Pair:
        one, other = self._shares[first.run_id], self._shares[second.run_id]
        once = self.predictions[first.run_id].repeats == 1
        alone = (int((one > other).sum()), int((other > one).sum())) if once else None
        return Pair(
            first.run_id,
            second.run_id,
            difference=float((one - other).mean()),
            interval=paired_interval(other, one),
            p_value=mcnemar(*alone) if alone else repeated_test(one - other),
            first_alone=alone[0] if alone else None,
            second_alone=alone[1] if alone else None,
            metrics=self.metrics.leads(first.run_id, second.run_id),
        )

    def _pair_of_groups(self, first: Group, second: Group) -> Pair:
        one, other = (
            np.stack([self._shares[run_id] for run_id in group.run_ids])
            for group in (first, second)
        )
        if min(len(one), len(other)) < LEAST_SEEDS:
            difference = first.test_accuracy.mean - second.test_accuracy.mean
            return Pair(first.name, second.name, difference, None, None)
        return Pair(first.name, second.name, *grouped_difference(one, other))

    @cached_property
    def _right(self) -> dict[str, np.ndarray]:
        """For each run, whether each prediction is right, in one order: bool [N]."""
        return {
            run_id: (said.predicted == said.labels)[self._order[run_id]]
            for run_id, said in self.predictions.items()
        }

    @cached_property
    def _shares(self) -> dict[str, np.ndarray]:
        """For each run, the share of its predictions for each image that are right: float [M]."""
        return {
            run_id: by_image(right, self.predictions[run_id].repeats)
            for run_id, right in self._right.items()
        }

    @cached_property
    def _order(self) -> dict[str, np.ndarray]:
        """For each run, its rows in the order of the most accurate run: int64 [N]."""
        first = self._judged(self.results[0])
        return {run.run_id: rows_as_in(first, self._judged(run)) for run in self.results}

    @cached_property
    def _strangers(self) -> dict[str, str]:
        """The runs that were evaluated on other test images, and how these differ."""
        if self.reference is None:
            return {}
        reference = self._judged(self.reference)
        texts = {run.run_id: difference(self._judged(run), reference) for run in self.results}
        return {run_id: text for run_id, text in texts.items() if text}

    def _judged(self, result: Outcome) -> Judged:
        return result, self.predictions[result.run_id]

    @property
    def refusal(self) -> str:
        """Why these runs cannot be tested against each other; "" if they can."""
        if not self._strangers or self.reference is None:
            return ""
        return refusal(self.results, self.reference, self._strangers)

    @cached_property
    def flips(self) -> tuple[Flip, ...]:
        """The test images that some runs classify correctly and others do not."""
        if self.refusal:
            raise InputError(self.refusal)
        if not self.results:
            return ()
        rights = np.stack(list(self._right.values()))  # [runs, N]
        rows = np.flatnonzero(rights.any(0) & ~rights.all(0)).tolist()
        return tuple(self._flip(row) for row in rows)

    def _flip(self, row: int) -> Flip:
        best = self.results[0]
        said = self.predictions[best.run_id]
        predicted, probability = {}, {}
        for result in self.results:
            probabilities = self.predictions[result.run_id].probabilities
            of_image = probabilities[self._order[result.run_id][row]]
            predicted[result.run_id] = result.class_names[of_image.argmax()]
            probability[result.run_id] = float(of_image.max())
        label = best.class_names[said.labels[row]]
        return Flip(row, said.names[row], label, predicted, probability)

    def flipped(self, first: str, second: str) -> Iterator[Flip]:
        """The images on which the first run alone is right."""
        return (flip for flip in self.flips if flip.right(first) and not flip.right(second))

    def to_json(self) -> dict[str, Any]:
        tested = not self.refusal
        return {
            "data": self.elsewhere.data if self.elsewhere else None,
            "runs": [asdict(run) for run in self.runs],
            "groups": [asdict(group) for group in self.groups] if self.by_seed else None,
            "refusal": self.refusal or None,
            "summary": self.summary if tested else None,
            "advice": self.advice if tested and self.runs else None,
            "metrics_left_out": self.metrics.left_out,
            "pairs": [pair.to_json() for pair in self.pairs] if tested else None,
            "flipped": [asdict(flip) for flip in self.flips] if tested else None,
        }

    def __repr__(self) -> str:
        if not self.results:
            return "nothing to compare"
        rows = [
            (result.run_id[:8], accuracy(result.test_accuracy, result.test_accuracy_interval))
            for result in self.results
        ]
        try:
            headline = self.refusal or self.summary
        except InputError as error:  # a run's predictions are missing
            headline = str(error)
        return screen(headline or f"one {self.noun}", first_rows(rows))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return kerascnn.as_html(self)


def _predictions(result: Outcome) -> Predictions:
    file = result.folder / PREDICTIONS
    if not file.is_file():
        raise InputError(
            f"{file} is missing: {noun_of([result])} {result.run_id[:8]} cannot be compared "
            "without its predictions. Name the others to compare those."
        )
    return calibrated_predictions(result)


def _corrected(pairs: list[Pair]) -> tuple[Pair, ...]:
    """The pairs with p-values corrected for the number of tests."""
    p_values = [pair.p_value for pair in pairs if pair.p_value is not None]
    corrected = iter(holm(p_values))
    return tuple(
        pair
        if pair.p_value is None
        else replace(pair, p_value_holm=next(corrected), pairs=len(p_values))
        for pair in pairs
    )
