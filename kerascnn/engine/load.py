"""Loads a dataset: packs its splits, checks them, and examines their images."""

import hashlib
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping

from kerascnn.engine.data.balance import shortages
from kerascnn.engine.data.hygiene import Findings, copies, examine
from kerascnn.engine.data.packed import Packed
from kerascnn.engine.data.splits import Data, count_classes
from kerascnn.engine.data.store import BadImagesError, pack
from kerascnn.engine.data.windows import packed_size
from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError, PluginError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.model import Training
from kerascnn.hookspecs import Splits
from kerascnn.runtime.commands import setting
from kerascnn.runtime.files import GB


def load_data(experiment: BoundExperiment, observer: Observer) -> Data:
    """Packs the three splits of the experiment's dataset and checks them."""
    start = time.perf_counter()
    splits = experiment.dataset.build(seed=experiment.seed)
    packed = _pack(splits, experiment, observer)
    class_names = _class_names(splits)
    _check_labels(packed, class_names)
    packed, findings = _examine(packed, class_names, splits.ignored, experiment.training)
    notes = (*findings.notes(), *_shortages(packed, class_names, experiment))
    observer.data_noted(notes, _state(packed, notes))
    seconds = time.perf_counter() - start
    return Data(**packed, class_names=class_names, seconds=seconds, findings=findings, notes=notes)


def _shortages(
    packed: Mapping[str, Packed], class_names: tuple[str, ...], experiment: BoundExperiment
) -> Iterator[str]:
    return shortages(
        count_classes(packed, class_names),
        class_names,
        [stage.name for stage in experiment.stages],
        weighted=any(stage.class_weights is not None for stage in experiment.settings.stages),
        batch_size=max(stage.batch_size for stage in experiment.stages),
    )


def _class_names(splits: Splits) -> tuple[str, ...]:
    """The names of the classes in Unicode's form NFC, in which they are compared everywhere."""
    names = tuple(unicodedata.normalize("NFC", name) for name in splits.class_names)
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise PluginError(f'the dataset has the class "{twice}" twice; expected different names.')
    return names


def _state(packed: Mapping[str, Packed], notes: tuple[str, ...]) -> str:
    """SHA-256 of the data and of what there is to note about them."""
    parts = [*(split.fingerprint for split in packed.values()), *notes]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _pack(splits: Splits, experiment: BoundExperiment, observer: Observer) -> dict[str, Packed]:
    """Packs the splits; all images that cannot be read are told at once."""
    training = experiment.training
    size = packed_size(training.image_size, training.crop_margin)
    gigabytes = training.stream_above_gb
    stream_above = None if gigabytes is None else gigabytes * GB
    packed, faults = dict[str, Packed](), list[str]()
    for name in ("train", "validation", "test"):

        def progress(done: int, total: int, name: str = name) -> None:
            observer.progress(f"packing {name}", done, total)

        try:
            packed[name] = pack(
                getattr(splits, name),
                size,
                training.resize,
                progress,
                stream_above=stream_above,
                what=f"{experiment.name}, {name}",
                skip_bad=training.on_bad_image == "skip",
                value_range=training.value_range,
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


def _examine(
    packed: dict[str, Packed],
    class_names: tuple[str, ...],
    ignored: Mapping[str, int],
    training: Training,
) -> tuple[dict[str, Packed], Findings]:
    """Looks for images that stand twice, and does with them as the experiment says."""
    findings = examine(packed, class_names, ignored)
    if not findings.duplicates or training.on_duplicate == "allow":
        return packed, findings
    if training.on_duplicate == "error":
        raise InputError(
            f"{findings.note('duplicates')}\nRemove one of each pair, or keep only the one that "
            f"judges with {setting('training.on_duplicate', 'skip')}, or both with "
            f"{setting('training.on_duplicate', 'allow')}."
        )
    for name, rows in copies(packed).items():
        here = packed[name]
        reasons = [f"{here.name(row)}: it stands in {split} too" for row, split in rows.items()]
        packed[name] = here.without(rows, reasons)
    _check_labels(packed, class_names)
    return packed, examine(packed, class_names, ignored)


def _check_labels(packed: Mapping[str, Packed], class_names: tuple[str, ...]) -> None:
    classes = len(class_names)
    if classes < 2:
        raise InputError(f"the dataset has {classes} class; at least 2 are needed.")
    for name, split in packed.items():
        left = " left" if split.skipped else ""
        if not len(split):
            raise InputError(f"the {name} split holds no images{left}.")
        if split.labels.min() < 0 or split.labels.max() >= classes:
            raise PluginError(
                f"the {name} split has labels {split.labels.min()} to {split.labels.max()}; "
                f"with {classes} classes they must be 0 to {classes - 1}."
            )
