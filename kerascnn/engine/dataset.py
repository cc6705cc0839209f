"""Finds and packs the images of an experiment's dataset, and those that an update adds."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

import kerascnn
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.hygiene.corrections import corrected, read_corrections
from kerascnn.engine.data.sources.source import Chained
from kerascnn.engine.data.splits.divided import SPLITS
from kerascnn.engine.data.splits.renewed import Gathered, Renewed, renew
from kerascnn.engine.data.store.alongside import packed_alongside
from kerascnn.engine.data.store.pack import BadImagesError, pack
from kerascnn.engine.data.store.packed import Packed
from kerascnn.engine.folder_images import joined_names, labelled_by, read_folder
from kerascnn.engine.observer import Observer
from kerascnn.errors import InputError, PluginError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.training import Training
from kerascnn.experiment.update import Update
from kerascnn.hookspecs import Source, Splits
from kerascnn.runtime.commands import setting
from kerascnn.runtime.files import GB
from kerascnn.runtime.text import counted, nfc


@dataclass(frozen=True)
class Found:
    """The packed images of an experiment.

    Args:
        splits: Of its dataset, or as an update divides them.
        class_names: Of an update those of its run, and then the new ones.
        ignored: What else was found.
        renewed: The images of an update.
    """

    splits: dict[str, Packed]
    class_names: tuple[str, ...]
    ignored: Mapping[str, int]
    renewed: Renewed | None = None


def find_images(experiment: BoundExperiment, observer: Observer) -> Found:
    """Packs the splits of an experiment, with corrected labels."""
    with decoded_once(experiment.training):
        splits = experiment.dataset.build(seed=experiment.seed)
        sources = {name: getattr(splits, name) for name in SPLITS}
        if experiment.settings.update:
            return _updated(experiment, experiment.settings.update, splits, sources, observer)
        packed = pack_all(sources, experiment, observer)
    names = class_names_of(splits)
    return Found(labelled(packed, names, experiment), names, splits.ignored)


def _updated(
    experiment: BoundExperiment,
    update: Update,
    splits: Splits,
    sources: dict[str, Source],
    observer: Observer,
) -> Found:
    """The images of the dataset and of the folders of an update, divided as in its run."""
    before, own = kerascnn.images_before(experiment), class_names_of(splits)
    names = joined_names(before.class_names, own, experiment.dataset.name)
    ignored = Counter[str](splits.ignored)
    more = {str(folder): read_folder(folder, experiment) for folder in update.data}
    for folder, of in more.items():
        names = joined_names(names, of.class_names, folder)
        ignored.update(of.ignored)
    sources = {name: labelled_by(of, own, names) for name, of in sources.items()}
    sources |= {
        folder: labelled_by(of.source, of.class_names, names) for folder, of in more.items()
    }
    packed = labelled(pack_all(sources, experiment, observer), names, experiment)
    sizes = list(map(len, packed.values()))
    gathered = Gathered(
        together(packed.values(), experiment),
        np.repeat(np.arange(len(sizes)), sizes),
        tuple(more),
        names,
        getattr(experiment.dataset.params, "split_seed", 0),
    )
    renewed = renew(gathered, before)
    divided = renewed.splits()
    check_labels(divided, names)
    made = {name: packed[name].made for name in SPLITS}
    made["train"] += sum(packed[folder].made for folder in more)  # whatever split they are in
    divided = {name: replace(split, made=made[name]) for name, split in divided.items()}
    return Found(divided, names, ignored, renewed)


def together(packed: Iterable[Packed], experiment: BoundExperiment) -> Packed:
    """Images that are packed, as one split."""
    parts = list(packed)
    source = Chained([one.source for one in parts])
    whole = pack_all({"images": source}, experiment, Observer())["images"]
    return whole.relabelled(np.concatenate([one.labels for one in parts]))


def class_names_of(splits: Splits) -> tuple[str, ...]:
    """The names of the classes in Unicode form NFC, in which they are compared everywhere."""
    names = tuple(map(nfc, splits.class_names))
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise PluginError(f'the dataset has the class "{twice}" twice; expected different names.')
    return names


def pack_all(
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
                stream_above=stream_above(training),
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


def decoded_once(training: Training) -> AbstractContextManager[None]:
    """Packs images when a dataset decodes them to draw its splits."""
    return packed_alongside(Preparation.of(training), stream_above=stream_above(training))


def stream_above(training: Training) -> float | None:
    """In bytes."""
    return None if training.stream_above_gb is None else training.stream_above_gb * GB


def labelled(
    packed: dict[str, Packed], class_names: tuple[str, ...], experiment: BoundExperiment
) -> dict[str, Packed]:
    """Checks the labels of a dataset and corrects them."""
    check_labels(packed, class_names)
    file = experiment.settings.dataset.corrections
    if file is None:
        return packed
    packed = corrected(packed, class_names, read_corrections(file.expanduser()))
    check_labels(packed, class_names)
    return packed


def corrections_of(experiment: BoundExperiment) -> str:
    """What the table of corrected labels holds."""
    file = experiment.settings.dataset.corrections
    return str(file and read_corrections(file.expanduser()).rows)


def check_labels(packed: Mapping[str, Packed], class_names: tuple[str, ...]) -> None:
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
