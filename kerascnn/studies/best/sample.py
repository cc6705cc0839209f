"""A sample of a folder that has more images than there is time for."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from kerascnn.engine.data.decoding.images import read_image
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.runtime.devices import available_cores
from kerascnn.runtime.image_files import has_image_suffix

SHARE = 0.4
"""Of the time: for reading all images and running one network over them."""
NETWORK_SECONDS = 0.01
"""For each image, frozen, on a few cores; an accelerator is faster, so that more would fit."""
TIMED = 16
READS = 2
"""How often an image is decoded: to find near copies, and to pack it."""


def sampled(
    experiment: BoundExperiment, minutes: float, warned: Callable[[str], None]
) -> BoundExperiment:
    """The experiment, of a sample of its folder if all images would take too much of the time."""
    params = experiment.dataset.params
    if experiment.dataset.name != "image_folder" or getattr(params, "sample", None):
        return experiment
    root = Path(str(getattr(params, "path", ""))).expanduser()
    files = list(image_paths(root))
    each = NETWORK_SECONDS + READS * _decoding_seconds(files) / available_cores()
    count = int(SHARE * 60 * minutes / each)
    if len(files) <= count:
        return experiment
    warned(
        f"{len(files):,} images are too many for {minutes:g} min: a sample of {count:,} is used. "
        "A new study with more --minutes takes more of them."
    )
    return experiment.with_overrides({"dataset.sample": count})


def image_paths(root: Path) -> Iterator[Path]:
    """The image files below a folder."""
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in names if has_image_suffix(name))


def _decoding_seconds(files: list[Path]) -> float:
    """The time to decode an image on one core, the mean of a few."""
    start, read = time.perf_counter(), 0
    for file in files[:: max(1, len(files) // TIMED)]:
        with suppress(InputError):  # it is reported when it is packed
            read_image(file)
            read += 1
    return (time.perf_counter() - start) / max(1, read)
