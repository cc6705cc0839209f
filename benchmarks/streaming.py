"""Training on more images than may be stored: tar shards in block order, decoded in every epoch.

Rendered JPEGs of `--gb` are written as tar shards into a temporary folder (TMPDIR), which is
removed afterwards, and a small CNN is trained on them by a whole run in a process of its own. Its
greatest resident memory is what the system says, its bytes read what it asked the system for, from
the cache of the disk or not. Prints one line.
"""

import json
import shutil
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import Any

import click
from common import HERE, document, report, write_experiment
from rendered import SIDE, rendered, splits_of, write_shards
from store import processor_seconds, resident

from kerascnn import Observer, load_experiment, run_experiment
from kerascnn.runtime.files import GB

OTHERS = 200  # validation images, and test images


@click.command()
@click.option("--gb", default=1.0, show_default=True, help="Of images to train on.")
@click.option("--image-size", default=96, show_default=True, help="Pixels.")
@click.option("--window", default=2000, show_default=True, help="Of the block order, in images.")
@click.option("--epochs", default=1, show_default=True)
@click.option("--backend", default="auto", show_default=True)
@click.option("--here", type=click.Path(path_type=Path), hidden=True)
def main(gb: float, here: Path | None, **options: Any) -> None:
    """Write the shards, train on them, report."""
    if here:
        click.echo(json.dumps(trained(here, **options)))
        return
    (_, one), *_ = rendered(1)
    images = max(OTHERS, round(gb * GB / len(one)))
    with tempfile.TemporaryDirectory() as place:
        folder, start = Path(place), time.perf_counter()
        require_room(folder, gb)
        sizes = [
            write_shards(folder / "shards", split, files)
            for split, files in splits_of(images, OTHERS)
        ]
        written = time.perf_counter() - start
        words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        call = [sys.executable, HERE / "streaming.py", "--here", folder, *words]
        figures = document(call, folder, folder / "cache")
    for epoch in figures["epochs"]:
        epoch["of_the_images"] = round(epoch.pop("bytes_read") / (sizes[0] + sizes[1]), 3)
        epoch["images_per_second"] = round(images / epoch["seconds"], 1)
    size = {"gb": round(sizes[0] / GB, 2), "images": images, "side": SIDE}
    report("streaming", {**size, **options, "write_seconds": round(written), **figures})


def require_room(folder: Path, gb: float) -> None:
    left = shutil.disk_usage(folder).free / GB
    if left < 1.2 * gb + 1:
        raise click.UsageError(f"{folder} has {left:.0f} GB left: set TMPDIR, or a smaller --gb.")


class Watch(Observer):
    """Notes what a run has taken by the end of each part of it."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {"epochs": []}
        self._start()

    def _start(self) -> None:
        self._since = time.perf_counter(), processor_seconds(), bytes_read()

    def _taken(self) -> dict[str, float]:
        seconds, processor, read = self._since
        taken = {
            "seconds": round(time.perf_counter() - seconds, 1),
            "processor_seconds": round(processor_seconds() - processor, 1),
            "bytes_read": bytes_read() - read,
            "resident_mb": round(resident("VmHWM") / 1e6),
        }
        self._start()
        return taken

    def prepared(self, *_: object) -> None:
        self.parts["first_pass"] = self._taken()

    def stage_started(self, *_: object) -> None:
        self._start()

    def epoch(self, *_: object) -> None:
        self.parts["epochs"].append(self._taken())

    def ended(self, *_: object) -> None:
        self.parts["rest"] = self._taken()


def trained(folder: Path, image_size: int, window: int, epochs: int, backend: str) -> dict:
    """The whole run in this process, from shards that it has not seen."""
    training = {"shuffle": "blocks", "shuffle_window": window, "stream_above_gb": 1e-6}
    experiment = {
        "name": "streaming",
        "dataset": {"name": "tar_shards", "path": str(folder / "shards")},
        "architecture": {"name": "sequential_cnn", "depth": 2, "filters": 8},
        "training": {
            "image_size": image_size,
            "batch_size": 64,
            "keep": "last",
            "backend": backend,
            **training,
        },
        "stages": [{"name": "all", "unfreeze": "all", "epochs": epochs, "learning_rate": 1e-3}],
    }
    watch = Watch()
    with chdir(folder):
        run_experiment(load_experiment(write_experiment(folder, experiment)), watch)
    return {**watch.parts, "resident_mb": round(resident("VmHWM") / 1e6)}


def bytes_read() -> int:
    """That this process asked the system for, as Linux tells it."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(lines[0].partition(": ")[2])  # rchar


if __name__ == "__main__":
    main()
