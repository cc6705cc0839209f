"""How a run's model does on other pictures."""

import os
from functools import partial
from pathlib import Path

import numpy as np

from kerascnn.arguments import expect
from kerascnn.data.store import Packed, pack
from kerascnn.data.windows import packed_size
from kerascnn.errors import InputError, did_you_mean
from kerascnn.hookspecs import Splits
from kerascnn.metrics import Metrics, measure
from kerascnn.observer import Observer, default_observer
from kerascnn.plugins import Registry, load_registry
from kerascnn.predict import probabilities_of
from kerascnn.process import contained
from kerascnn.runs import SEEN, Result, find_run


@contained()
def evaluate_run(
    run: str | Result,
    data: str | Path,
    *,
    backend: str = "auto",
    registry: Registry | None = None,
    observer: Observer | None = None,
) -> Metrics:
    """Evaluates a run's model on a folder of class folders.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result.
        data: The folder, laid out as for the dataset `image_folder`; all its pictures count. Links
            out of it are followed if the run's own dataset followed such links.
        backend: "tensorflow", "jax", "torch", or "auto": any.
        registry: The components; default all that are installed.
        observer: Receives notes on images that the run has seen; default they are shown,
            `Observer()` shows nothing.

    Raises:
        InputError: No such run or folder, a class that the model does not know, bad pictures.
    """
    expect(data, (str, os.PathLike), "data", " A folder of class folders is asked for.")
    result = find_run(run)
    follow_links = result.experiment["dataset"].get("follow_links", False)
    registered = (registry or load_registry()).get("dataset", "image_folder")
    folder = registered.bind({"path": str(data), "follow_links": follow_links, "only_test": True})
    splits: Splits = folder.build(seed=0)
    index_of = _indices(splits, result, data)
    training = result.training
    size = packed_size(training.image_size, training.crop_margin)
    observer = observer or default_observer()
    progress = partial(observer.progress, "packing")
    packed = pack(splits.test, size, training.resize, progress, what=str(data))
    probabilities = probabilities_of(result, packed.images, backend)
    labels, names = index_of[packed.labels], tuple(result.class_names)
    seen = _seen(result, packed)
    if seen.any():
        told = f"{seen.sum():,} of these {len(seen):,} pictures the run was trained or validated on"
        if not seen.all():
            others = measure(probabilities[~seen], labels[~seen], names)
            low, high = others.interval
            told += f"; on the others its accuracy is {others.accuracy:.3f} [{low:.3f}, {high:.3f}]"
        observer.warned(told)
    return measure(probabilities, labels, names)


def _seen(result: Result, packed: Packed) -> np.ndarray:
    """Which of the pictures, prepared as for the run, it was trained or validated on: bool [N]."""
    file = result.folder / SEEN
    seen = {digest.tobytes() for digest in np.load(file)} if file.is_file() else set()
    return np.array([digest.tobytes() in seen for digest in packed.digests])


def _indices(splits: Splits, result: Result, data: str | Path) -> np.ndarray:
    """The model's index of each of the folder's classes: int64 [classes of the folder]."""
    known = result.class_names
    for name in splits.class_names:
        if name not in known:
            raise InputError(
                f'{data}: the model of run {result.run_id[:8]} knows no class "{name}".'
                f"{did_you_mean(name, known)} It knows {', '.join(known[:20])}."
            )
    return np.array([known.index(name) for name in splits.class_names])
