"""What an image costs a run besides its pixels: memory of every index, and time at every start.

Tiny images, no two alike, in tar shards (or a folder). For each number of images a process of its
own loads them twice, as two runs would: the second time all is found that the first has stored. The
memory and the seconds of each part are given an image, as the slope between two numbers of images,
so that what is loaded only once does not count. A million images in shards take 2 GB of disk, in
TMPDIR, and are removed afterwards.
"""

import ctypes
import gc
import json
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import HERE, document, report, write_experiment
from rendered import write_folder, write_shards
from store import processor_seconds, resident

SIDE, OTHERS, LABELS = 8, 50, 10


@click.command()
@click.option("--images", "counts", type=int, multiple=True, default=[20_000, 100_000])
@click.option("--kind", type=click.Choice(["tar_shards", "image_folder"]), default="tar_shards")
@click.option("--here", type=click.Path(path_type=Path), hidden=True)
def main(counts: tuple[int, ...], kind: str, here: Path | None) -> None:
    """Measure each number of images in processes of its own."""
    if here:
        click.echo(json.dumps({"parts": measure(here)}))
        return
    least, most = (loaded(count, kind) for count in (min(counts), max(counts)))
    between = max(counts) - min(counts)
    figures = {
        start: {
            part: {name: round((more[part][name] - of[name]) / between, 1) for name in of}
            for part, of in least[start].items()
        }
        for start, more in most.items()
    }
    report("scale", {"images": counts, "kind": kind, "an_image": figures})


def loaded(count: int, kind: str) -> dict[str, Any]:
    """Of that many images, what each part takes, the first time and then again."""
    write = write_shards if kind == "tar_shards" else write_folder
    with tempfile.TemporaryDirectory() as place:
        folder, first = Path(place), 0
        for split, images in {"train": count, "val": OTHERS, "test": OTHERS}.items():
            write(folder / "images", split, tiny(images, first))
            first += images
        write_experiment(folder, experiment(folder / "images", kind))
        call = [sys.executable, HERE / "scale.py", "--here", folder]
        cache = folder / "cache"
        return {start: document(call, folder, cache)["parts"] for start in ("first", "again")}


def experiment(images: Path, kind: str) -> dict[str, Any]:
    """Images are stored; those of the block order are read together."""
    return {
        "name": "scale",
        "dataset": {"name": kind, "path": str(images)},
        "architecture": {"name": "sequential_cnn"},
        "training": {"image_size": 32, "shuffle": "blocks", "stream_above_gb": 1e-6},
        "stages": [{"name": "all", "unfreeze": "all", "epochs": 1, "learning_rate": 1e-3}],
    }


def tiny(count: int, first: int) -> Iterator[tuple[str, bytes]]:
    """PNGs of noise."""

    def chunk(name: bytes, content: bytes) -> bytes:
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    size = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
    for number in range(first, first + count):
        noise = np.random.default_rng(number).integers(0, 256, (SIDE, 1 + 3 * SIDE), np.uint8)
        noise[:, 0] = 0  # no filter
        pixels = chunk(b"IDAT", zlib.compress(noise.tobytes(), 0))
        image = b"\x89PNG\r\n\x1a\n" + size + pixels + chunk(b"IEND", b"")
        yield f"class {number % LABELS}/{number:09d}.png", image


def measure(folder: Path) -> dict[str, Any]:
    """Does what a run does before it trains, and what it writes of its images, part by part."""
    from kerascnn import Observer, load_experiment
    from kerascnn.engine.data.batches.blocks import blocks_of
    from kerascnn.engine.data.batches.feed import shuffled
    from kerascnn.engine.data.splits.divided import Divided
    from kerascnn.engine.load import examine, load_data

    bound = load_experiment(folder / "scale.toml")
    parts = dict[str, dict[str, float]]()

    def part(name: str, work: Callable[[], Any]) -> Any:
        before = settled()
        Path("/proc/self/clear_refs").write_text("5")  # forgets the greatest so far
        start = processor_seconds()
        made = work()
        processor = processor_seconds() - start
        parts[name] = {
            "most_bytes": resident("VmHWM") - before,
            "kept_bytes": settled() - before,
            "processor_us": 1e6 * processor,
        }
        return made

    part("source", lambda: bound.dataset.build(seed=0))
    data = part("load", lambda: load_data(bound, Observer()))
    part("examine", lambda: examine(data, bound, Observer()))
    blocks = part("blocks", lambda: blocks_of(data.train, bound.training))
    part("order", lambda: shuffled(len(data.train), (0, 0), 1, blocks))
    part("images.npz", lambda: Divided.of(data.splits()).write(folder))
    return parts


def settled() -> int:
    """Bytes in memory once what is free has been given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident("VmRSS")


if __name__ == "__main__":
    main()
