"""Images in few files against a folder, and block order against a full shuffle.

Two parts in one line. The same images as a folder, tar shards, a zip archive and Parquet files:
the processor time of reading, packing and streaming them, in turn, as ratios to the folder. A small
CNN from scratch on rendered shapes, with a full shuffle and in block order. The images are in a
temporary folder (TMPDIR), which is removed afterwards.
"""

import io
import os
import shutil
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
from common import report, write_experiment
from PIL import Image
from rendered import PER_SHARD, splits_of, write_folder, write_shards

from kerascnn import Observer, load_experiment, run_experiment
from kerascnn.components.registry import load_registry
from kerascnn.engine.data.batches.blocks import Blocks
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.sources.files import content_of
from kerascnn.engine.data.store.pack import pack
from kerascnn.engine.data.store.packed import Packed
from kerascnn.hookspecs import Source

SIZE, BATCH_SIZE, WINDOW = 160, 64, 2000
STEPS = ("start", "start again", "read", "pack", "stream")


@click.command()
@click.option("--images", default=2000, help="In a folder and in few files.")
@click.option("--rounds", default=3, help="In turn; the medians are reported.")
@click.option("--seeds", default=6, help="With each order.")
@click.option("--shapes", default=3000, help="To train on.")
def main(images: int, rounds: int, seeds: int, shapes: int) -> None:
    """Compare both in turn."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        compared = _compared(root, images, rounds)
        orders = _orders(root, seeds, shapes)
    report("sources", {"images": images, **compared, "orders": orders})


def _write(root: Path, images: int) -> dict[str, Path]:
    """The same images in each form; the path of each dataset."""
    import pyarrow
    from pyarrow import parquet

    (root / "parquet").mkdir()
    for split, files in splits_of(images):
        write_folder(root / "folder", split, files)
    for split, files in splits_of(images):
        write_shards(root / "tar", split, files)
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for split, files in splits_of(images):
            for path, content in files:
                archive.writestr(f"{split}/{path}", content)
    for split, files in splits_of(images):
        rows = [{"image": content, "label": path[0]} for path, content in files]
        table = pyarrow.Table.from_pylist(rows)
        parquet.write_table(table, root / "parquet" / f"{split}.parquet", row_group_size=100)
    return {
        "image_folder": root / "folder",
        "tar_shards": root / "tar",
        "zip_file": root / "images.zip",
        "parquet": root / "parquet",
    }


def _compared(root: Path, images: int, rounds: int) -> dict[str, Any]:
    paths = _write(root, images)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in paths}
    for number in range(rounds):
        for name, path in paths.items():
            with _cache(root / f"cache {name} {number}"):
                taken[name].append(_steps(name, path))
    medians = {
        name: {step: statistics.median(of[step] for of in every) for step in STEPS}
        for name, every in taken.items()
    }
    folder = medians["image_folder"]
    return {
        "us_an_image": {step: round(folder[step] / images * 1e6, 1) for step in STEPS},
        "of_the_folder": {
            name: {step: round(of[step] / folder[step], 3) for step in STEPS}
            for name, of in medians.items()
        },
    }


@contextmanager
def _cache(folder: Path) -> Iterator[None]:
    with patch.dict(os.environ, KERASCNN_CACHE=str(folder)):
        yield
    shutil.rmtree(folder, ignore_errors=True)


def _steps(name: str, path: Path) -> dict[str, float]:
    """The processor seconds of each step."""
    dataset = load_registry().get("dataset", name).bind({"path": str(path)})

    def source() -> Source:
        return dataset.build(seed=0).train

    seconds = {"start": _processor(source), "start again": _processor(source)}
    train = source()
    order = np.random.default_rng(0).permutation(len(train)).tolist()
    seconds["read"] = _processor(lambda: [content_of(train[row][0]) for row in order])
    seconds["pack"] = _processor(lambda: pack(train, Preparation(SIZE)))
    streamed = pack(train, Preparation(SIZE + 1), stream_above=1)
    rows = Blocks(np.full(1, len(train)), WINDOW).order(np.random.default_rng(0))
    seconds["stream"] = _processor(lambda: _epoch(streamed, rows))
    return seconds


def _processor(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _epoch(packed: Packed, rows: np.ndarray) -> None:
    for first in range(0, len(rows), BATCH_SIZE):
        packed.images[rows[first : first + BATCH_SIZE]]


def _orders(root: Path, seeds: int, shapes: int) -> dict[str, Any]:
    """The validation accuracy with each order; the shards hold random images of all classes."""
    folder, cache = root / "shapes", root / "cache shapes"
    dataset = (
        load_registry()
        .get("dataset", "shapes")
        .bind({"train": shapes, "validation": shapes, "test": 50, "classes": 4})
    )
    drawn = dataset.build(seed=0)
    for split in ("train", "validation", "test"):
        write_shards(folder, split, _encoded(getattr(drawn, split)))
    accuracies: dict[str, list[float]] = {"full": [], "blocks": []}
    for seed in range(seeds):
        for order, found in accuracies.items():
            file = write_experiment(root, _experiment(f"{order} {seed}", seed, folder, order))
            with chdir(root), _cache(cache):
                result = run_experiment(load_experiment(file), Observer())
            found.append(result.stages[-1]["val_accuracy"])
    full, blocks = (np.array(found) for found in accuracies.values())
    return {
        "accuracy": {name: round(float(np.mean(found)), 4) for name, found in accuracies.items()},
        "deviation": {
            name: round(float(np.std(found, ddof=1)), 4) for name, found in accuracies.items()
        },
        "difference": round(float((blocks - full).mean()), 4),
        "standard_error": round(float((blocks - full).std(ddof=1) / seeds**0.5), 4),
    }


def _encoded(source: Source) -> Iterator[tuple[str, bytes]]:
    for row in range(len(source)):
        image, label = source[row]
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        yield f"{label}/{row:06d}.png", file.getvalue()


def _experiment(name: str, seed: int, folder: Path, order: str) -> dict[str, Any]:
    stage = {"name": "all", "unfreeze": "all", "epochs": 6, "learning_rate": 2e-3}
    training = {"image_size": 32, "keep": "last", "shuffle": order, "shuffle_window": PER_SHARD}
    return {
        "name": name,
        "seed": seed,
        "dataset": {"name": "tar_shards", "path": str(folder)},
        "architecture": {"name": "sequential_cnn", "depth": 2, "filters": 8},
        "training": training,
        "stages": [stage],
    }


if __name__ == "__main__":
    main()
