"""Loads a dataset: packs its splits, checks labels, treats copies as asked, and examines images."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from kerascnn.engine.data.hygiene.balance import shortages
from kerascnn.engine.data.hygiene.copies import copies, equal_groups
from kerascnn.engine.data.hygiene.findings import (
    Examination,
    Findings,
    duplicates,
    findings_in,
    named,
    pairs_note,
)
from kerascnn.engine.data.splits.folds import Folds
from kerascnn.engine.data.splits.training_splits import TRAINING_SPLITS
from kerascnn.engine.data.store.packed import Data, Packed, Pooled, sha256
from kerascnn.engine.dataset import check_labels, corrections_of, find_images, together
from kerascnn.engine.kept import Kept
from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.choices import DEFAULT_LOSS
from kerascnn.experiment.training import Training
from kerascnn.runtime.commands import setting

OF_IMAGES = ("resize", "value_range", "on_bad_image", "on_duplicate")
"""Settings of `[training]` that decide which images are loaded and how, whatever their size."""

_OF_DATA = {"image_size", "crop_margin", "stream_above_gb", *OF_IMAGES}


def load_data(experiment: BoundExperiment, observer: Observer, kept: Kept | None = None) -> Data:
    """Packs the three splits of an experiment's dataset; `examine` is a step of its own.

    Args:
        kept: Has the splits if they were loaded with it before; default nothing is kept.

    Raises:
        InputError: Images that cannot be read, an empty split, or images that are in two splits,
            unless the experiment says what to do with them.
        PluginError: The dataset's labels or class names are wrong.
    """
    start, new = time.perf_counter(), list[Data]()

    def load() -> Data:
        new.append(_load(experiment, observer))
        return new[0]

    settings = experiment.training.model_dump(mode="json", include=_OF_DATA)
    decides = [experiment.dataset.key, experiment.seed, settings, experiment.settings.update]
    decides.append(corrections_of(experiment))
    data = kept.once("data", decides, load) if kept else load()  # without Keras
    data = data if new else data.found_again()
    return replace(data, seconds=time.perf_counter() - start)


def _load(experiment: BoundExperiment, observer: Observer) -> Data:
    found = find_images(experiment, observer)
    packed = _without_copies(found.splits, found.class_names, experiment.training)
    return Data(
        **packed,
        class_names=found.class_names,
        ignored=found.ignored,
        seconds=0.0,
        changes=found.renewed.changes if found.renewed else None,
    )


def trained_on(data: Data, experiment: BoundExperiment, kept: Kept) -> Data:
    """The data with the images of all splits that train in the training split.

    The other splits keep theirs.
    """
    splits = TRAINING_SPLITS[experiment.training.train_on]
    if len(splits) == 1:
        return data
    parts = [data.splits()[name] for name in splits]
    decides = [part.key for part in parts]
    train = kept.once("trained on", decides, lambda: together(parts, experiment))
    return replace(data, train=train)


def load_pooled(experiment: BoundExperiment, observer: Observer) -> Pooled:
    """Packs all images of an experiment's dataset together, whatever split they are in.

    Copies are kept, also of images in two splits.

    Raises:
        InputError: Images that cannot be read, or none.
        PluginError: The dataset's labels or class names are wrong.
    """
    start = time.perf_counter()
    found = find_images(experiment, observer)
    images = found.renewed.images if found.renewed else together(found.splits.values(), experiment)
    train, validation = len(found.splits["train"]), len(found.splits["validation"])
    return Pooled(
        images,
        found.class_names,
        found.ignored,
        validation_share=validation / max(train + validation, 1),
        seconds=time.perf_counter() - start,
    )


def _without_copies(
    packed: dict[str, Packed], class_names: tuple[str, ...], training: Training
) -> dict[str, Packed]:
    """Treats images that are in two splits as `training.on_duplicate` says."""
    pairs = duplicates(equal_groups(packed))
    if not pairs or training.on_duplicate == "allow":
        return packed
    if training.on_duplicate == "error":
        note = pairs_note("duplicates", named(pairs, packed, class_names), len(pairs))
        raise InputError(
            f"{note}\nRemove one of each pair, keep only the one used for evaluation with "
            f"{setting('training.on_duplicate', 'skip')}, or keep both with "
            f"{setting('training.on_duplicate', 'allow')}."
        )
    for name, rows in copies(packed).items():
        here = packed[name]
        reasons = [f"{here.name(row)}: also in {split}" for row, split in rows.items()]
        packed[name] = here.without(rows, reasons)
    check_labels(packed, class_names)
    return packed


def examine(
    data: Data, experiment: BoundExperiment, observer: Observer, kept: Kept | None = None
) -> Examination:
    """Examines the data of an experiment and reports what is noted to the observer.

    Near duplicates, which take longest to find, are searched once per process and pair of splits.
    """
    splits = data.splits()
    identity = [(split.fingerprint, split.key) for split in splits.values()]
    findings = (kept or Kept()).once(
        "findings",
        [identity, data.class_names, dict(data.ignored)],
        lambda: findings_in(splits, data.class_names, data.ignored),
    )
    scarce = _shortages(data.class_counts(), data.class_names, experiment)
    return _examined(findings, [*_seen(experiment), *scarce], splits, observer)


def _seen(experiment: BoundExperiment) -> Iterator[str]:
    """A note on the splits that judge the network, but train it too."""
    if seen := TRAINING_SPLITS[experiment.training.train_on][1:]:
        yield (
            f"the {' and '.join(seen)} images are trained on too (training.train_on): figures on "
            "them say nothing about other images."
        )


def examine_folds(
    folds: Folds, every: Sequence[Data], experiment: BoundExperiment, observer: Observer
) -> Examination:
    """The same for images in folds; `every` are the splits of each fold."""
    pooled = folds.pooled
    findings = findings_in({"images": pooled.images}, pooled.class_names, pooled.ignored)
    tested = np.bincount(pooled.images.labels, minlength=len(pooled.class_names))
    train = np.max([data.class_counts()["train"] for data in every], axis=0)
    counts = {"train": train, "validation": tested, "test": tested}
    scarce = _shortages(counts, pooled.class_names, experiment)
    return _examined(findings, [*folds.notes, *scarce], {"images": pooled.images}, observer)


def _shortages(
    counts: Mapping[str, np.ndarray], class_names: Sequence[str], experiment: BoundExperiment
) -> Iterator[str]:
    return shortages(
        counts,
        class_names,
        [stage.name for stage in experiment.stages],
        weighted=any(
            stage.class_weights is not None or stage.loss != DEFAULT_LOSS
            for stage in experiment.settings.stages
        ),
        batch_size=max((stage.batch_size for stage in experiment.stages), default=0),
    )


def _examined(
    findings: Findings, others: Iterable[str], splits: Mapping[str, Packed], observer: Observer
) -> Examination:
    notes = (*findings.notes(), *others)
    state = [*(split.fingerprint for split in splits.values()), *notes]
    observer.data_noted(notes, sha256("\n".join(state).encode()))
    return Examination(findings, notes)
