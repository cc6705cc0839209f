"""Loads a dataset: packs its splits, checks labels, treats copies as asked, and examines images."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

import numpy as np

from kerascnn.engine.data.alongside import packed_alongside
from kerascnn.engine.data.balance import shortages
from kerascnn.engine.data.copies import copies, equal_groups
from kerascnn.engine.data.findings import (
    Examination,
    Findings,
    duplicates,
    findings_in,
    named,
    pairs_note,
)
from kerascnn.engine.data.folds import Folds
from kerascnn.engine.data.packed import Data, Packed, Pooled, sha256
from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.data.sources import Chained
from kerascnn.engine.data.store import BadImagesError, pack
from kerascnn.engine.kept import Kept
from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError, PluginError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.choices import DEFAULT_LOSS
from kerascnn.experiment.model import Training
from kerascnn.hookspecs import Source, Splits
from kerascnn.runtime.commands import setting
from kerascnn.runtime.files import GB
from kerascnn.runtime.text import counted, nfc

SPLITS = ("train", "validation", "test")

TRAINING_SPLITS = {"train": SPLITS[:1], "train+validation": SPLITS[:2], "all": SPLITS}
"""The splits that train, by `training.train_on`."""

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
    decides = [experiment.dataset.key, experiment.seed, settings]
    data = kept.once("data", decides, load) if kept else load()  # without Keras
    data = data if new else data.found_again()
    return replace(data, seconds=time.perf_counter() - start)


def _load(experiment: BoundExperiment, observer: Observer) -> Data:
    with _decoded_once(experiment.training):
        splits = experiment.dataset.build(seed=experiment.seed)
        sources = {name: getattr(splits, name) for name in SPLITS}
        packed = _pack(sources, experiment, observer)
    class_names = _class_names(splits)
    _check_labels(packed, class_names)
    packed = _without_copies(packed, class_names, experiment.training)
    return Data(**packed, class_names=class_names, ignored=splits.ignored, seconds=0.0)


def trained_on(data: Data, experiment: BoundExperiment, kept: Kept) -> Data:
    """The data with the images of all splits that train in the training split.

    The other splits keep theirs.
    """
    splits = TRAINING_SPLITS[experiment.training.train_on]
    if len(splits) == 1:
        return data
    parts = [data.splits()[name] for name in splits]

    def together() -> Packed:
        source = Chained([part.source for part in parts])
        return _pack({"train": source}, experiment, Observer())["train"]

    decides = [part.key for part in parts]
    return replace(data, train=kept.once("trained on", decides, together))


def load_pooled(experiment: BoundExperiment, observer: Observer) -> Pooled:
    """Packs all images of an experiment's dataset together, whatever split they are in.

    Copies are kept, also of images in two splits.

    Raises:
        InputError: Images that cannot be read, or none.
        PluginError: The dataset's labels or class names are wrong.
    """
    start = time.perf_counter()
    with _decoded_once(experiment.training):
        splits = experiment.dataset.build(seed=experiment.seed)
        sources = {name: getattr(splits, name) for name in SPLITS}
        images = _pack({"images": Chained(list(sources.values()))}, experiment, observer)["images"]
    class_names = _class_names(splits)
    _check_labels({"images": images}, class_names)
    train, validation = len(splits.train), len(splits.validation)
    return Pooled(
        images,
        class_names,
        splits.ignored,
        validation_share=validation / max(train + validation, 1),
        seconds=time.perf_counter() - start,
    )


def _class_names(splits: Splits) -> tuple[str, ...]:
    """The names of the classes in Unicode form NFC, in which they are compared everywhere."""
    names = tuple(map(nfc, splits.class_names))
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise PluginError(f'the dataset has the class "{twice}" twice; expected different names.')
    return names


def _pack(
    sources: Mapping[str, Source], experiment: BoundExperiment, observer: Observer
) -> dict[str, Packed]:
    """Packs the sources; the images that cannot be read are reported together."""
    training = experiment.training
    packed, faults = dict[str, Packed](), list[str]()
    for name, source in sources.items():
        try:
            packed[name] = pack(
                source,
                Preparation.of(training),
                partial(observer.progress, f"packing {name}"),
                stream_above=_stream_above(training),
                skip_bad=training.on_bad_image == "skip",
                dataset=experiment.dataset.registered,
            )
        except BadImagesError as bad:
            faults += bad.faults
    if faults:
        raise BadImagesError(
            faults,
            "Repair, replace or remove them, or leave them out with "
            f"{setting('training.on_bad_image', 'skip')}.",
        )
    return packed


def _decoded_once(training: Training) -> AbstractContextManager[None]:
    """Packs images when a dataset decodes them to draw its splits."""
    return packed_alongside(Preparation.of(training), stream_above=_stream_above(training))


def _stream_above(training: Training) -> float | None:
    """In bytes."""
    return None if training.stream_above_gb is None else training.stream_above_gb * GB


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
    _check_labels(packed, class_names)
    return packed


def _check_labels(packed: Mapping[str, Packed], class_names: tuple[str, ...]) -> None:
    classes = len(class_names)
    if classes < 2:
        raise InputError(f"the dataset has {counted(classes, 'class')}; at least 2 are needed.")
    for name, split in packed.items():
        if not len(split):
            left = " left" if split.skipped else ""
            raise InputError(f"the {name} split has no images{left}.")
        if split.labels.min() < 0 or split.labels.max() >= classes:
            raise PluginError(
                f"the {name} split has labels {split.labels.min()} to {split.labels.max()}; "
                f"with {classes} classes they must be 0 to {classes - 1}."
            )


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
