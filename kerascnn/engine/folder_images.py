"""Where an update has its images from: the dataset, and folders with one folder per class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerascnn.engine.data.sources.source import Relabelled
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.hookspecs import Source, Splits
from kerascnn.runtime.text import nfc


@dataclass(frozen=True)
class FolderImages:
    """The images of a folder.

    Args:
        source: With labels by the names of its own classes.
        class_names: These.
        ignored: What else was found.
    """

    source: Source
    class_names: tuple[str, ...]
    ignored: Mapping[str, int]


def read_folder(folder: Path, experiment: BoundExperiment) -> FolderImages:
    """Finds the images in a folder, as `image_folder` does; splits that it has do not count.

    Args:
        experiment: Links out of the folder are followed if its dataset follows them.

    Raises:
        InputError: No such folder, or no folders of classes in it.
    """
    follow = getattr(experiment.dataset.params, "follow_links", False)
    dataset = experiment.registry.get("dataset", "image_folder")
    read = dataset.bind({"path": str(folder), "follow_links": follow, "only_test": True})
    splits: Splits = read.build(seed=0)
    return FolderImages(splits.test, tuple(map(nfc, splits.class_names)), splits.ignored)


def joined_names(class_names: Sequence[str], found: Sequence[str], place: str) -> tuple[str, ...]:
    """The names of classes, and then those that are new.

    Args:
        place: Where `found` was found, for messages.

    Raises:
        InputError: A new name differs from another in case only.
    """
    known = {name.casefold(): name for name in class_names}
    for name in found:
        if known.get(name.casefold(), name) != name:
            raise InputError(
                f'"{place}" has the class "{name}", which differs from "{known[name.casefold()]}" '
                "in case only; give both the same name."
            )
    return (*class_names, *(name for name in found if name not in class_names))


def labelled_by(source: Source, own: Sequence[str], class_names: Sequence[str]) -> Source:
    """A source with labels by other class names."""
    index_of = [class_names.index(name) for name in own]
    if index_of == list(range(len(own))):
        return source
    return Relabelled(source, [index_of[source[row][1]] for row in range(len(source))])
