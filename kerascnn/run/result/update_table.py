"""Holds an update against the run that it updates."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from kerascnn.engine.data.hygiene.findings import LISTED
from kerascnn.engine.data.sources.source import Subset
from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.metrics.significance import equally_accurate, holm, paired_interval
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result.ensemble import Decision
from kerascnn.engine.result.run import PREDICTIONS, Result
from kerascnn.engine.result.update import ClassSide, Side, UpdateTable
from kerascnn.results.before import run_before
from kerascnn.results.inference.images import packed_for
from kerascnn.results.inference.predict import outputs_of
from kerascnn.results.leaks import images_of
from kerascnn.results.predictions import read_predictions

SURE = 0.05


def update_table(
    prepared: Prepared, predicted: np.ndarray, decisions: Sequence[Decision]
) -> UpdateTable | None:
    """Compares an update with its run, image by image; None for other experiments.

    Args:
        predicted: The new network's class for each test image, int [N].
        decisions: Why it was started so.
    """
    data, update = prepared.data, prepared.experiment.settings.update
    if update is None or data.changes is None:
        return None
    result, changes, labels = run_before(prepared.experiment), data.changes, data.test.labels
    before, after = predicted_before(result, data) == labels, predicted == labels
    old = ~changes.new_tests
    by_class = _by_class(result, labels, before, after, old)
    return UpdateTable(
        run=result.run_id,
        start=update.start,
        new={name: dict(of) for name, of in changes.new.items()},
        classes=list(changes.classes),
        relabelled=[asdict(one) for one in changes.relabelled[:LISTED]],  # type: ignore[misc]
        relabelled_count=len(changes.relabelled),
        gone=changes.gone,
        old_tests=_side(before[old], after[old]) if old.any() else None,
        by_class=by_class,
        new_tests=_side(before[~old], after[~old]) if not old.all() else None,
        all_tests=_side(before, after),
        worse=[one["name"] for one in by_class if one["difference"] < 0 and _sure(one)],
        decisions=list(decisions),
    )


def _sure(one: ClassSide) -> bool:
    return one["p_corrected"] < SURE


def predicted_before(result: Result, data: Data) -> np.ndarray:
    """The class that an updated run gives each test image, int [N].

    Its own test images are in its predictions; it is asked about the others.
    """
    images, said = (
        images_of(result),
        read_predictions(result.folder / PREDICTIONS, result.class_names),
    )
    row_of = {bytes.fromhex(digest): row for row, digest in enumerate(said.digests)}
    found = images.find(data.test)
    rows = [row_of.get(images.digests[at].tobytes(), -1) if at >= 0 else -1 for at in found]
    predicted = said.predicted[np.array(rows)]
    unknown = [row for row, at in enumerate(rows) if at < 0]
    if unknown:
        packed = packed_for(result, Subset(data.test.source, unknown), Observer())
        probabilities, *_ = outputs_of(result, packed.images, "auto", Observer().warned)
        predicted[unknown] = probabilities.argmax(1)
    return predicted


def _by_class(
    result: Result, labels: np.ndarray, before: np.ndarray, after: np.ndarray, old: np.ndarray
) -> list[ClassSide]:
    """The classes of the run that have old test images; the first labels are those of the run."""
    rows = {name: old & (labels == at) for at, name in enumerate(result.class_names)}
    sides = {name: _side(before[of], after[of]) for name, of in rows.items() if of.any()}
    corrected = holm([side["p_value"] for side in sides.values()])
    return [
        ClassSide(**side, name=name, p_corrected=p)
        for (name, side), p in zip(sides.items(), corrected, strict=True)
    ]


def _side(before: np.ndarray, after: np.ndarray) -> Side:
    return Side(
        images=len(before),
        before=float(before.mean()),
        after=float(after.mean()),
        difference=float(after.mean() - before.mean()),
        interval=paired_interval(before, after),
        p_value=equally_accurate(after, before),
    )
