"""The packed store: building it and reading an epoch out of it, for many sizes of dataset.

Images of noise are rendered at 64 px. Each size has a process of its own, with the backend
loaded as in a run, and a cache in the folder that KERASCNN_CACHE names, removed afterwards: a
million images take 12.4 GB. A line is printed for each size, and one that compares the greatest
with 10,000.
"""

import json
import math
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import click
import numpy as np
from common import HERE, KERASCNN, document, report

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.pack import pack
from kerascnn.engine.data.store.packed import Packed
from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.cache import cache_folder
from kerascnn.runtime.files import folder_bytes

SIZE, BATCH_SIZE, CLASSES = 64, 64, 10
FLAT = (
    "build_resident_bytes",
    "start_resident_bytes",
    "epoch_resident_bytes",
    "us_a_image",
    "build_us_a_image",
)


class Rendered:
    """Images of noise, each keyed by its index."""

    def __init__(self, count: int) -> None:
        self.count, self.fingerprint = count, f"rendered {count}"
        self.seconds, self.lock = 0.0, Lock()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        start = time.thread_time()
        noise = np.random.default_rng(index).bytes(SIZE * SIZE * 3)
        image = np.frombuffer(noise, np.uint8).reshape(SIZE, SIZE, 3)
        with self.lock:
            self.seconds += time.thread_time() - start
        return image, index % CLASSES


@click.command()
@click.option("--size", "sizes", multiple=True, type=int, default=[1000, 10_000, 100_000, 10**6])
@click.option("--streamed", is_flag=True, help="Store no images; render each batch anew.")
@click.option("--here", is_flag=True, hidden=True)
def main(sizes: tuple[int, ...], streamed: bool, here: bool) -> None:
    """Measure each size in a process of its own."""
    if here:
        click.echo(json.dumps(measure(sizes[0], streamed)))
        return
    figures = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=cache_folder("benchmarks")) as cache:
            command = [KERASCNN[0], HERE / "store.py", "--here", "--size", size]
            figures[size] = document([*command, *["--streamed"] * streamed], HERE, Path(cache))
        report("store", {"streamed": streamed, **figures[size]})
    most, least = max(sizes), 10_000 if 10_000 in sizes else min(sizes)
    ratios = {name: figures[most][name] / figures[least][name] for name in FLAT}
    report("store", {"streamed": streamed, "images": most, "against": least, "ratios": ratios})


def measure(count: int, streamed: bool) -> dict[str, Any]:
    """Packs and reads images in this process."""
    start_backend()
    above, source, packed = 1 if streamed else math.inf, Rendered(count), list[Packed]()
    read(pack(Rendered(200), Preparation(SIZE), stream_above=above))  # what is loaded only once
    before = resident("VmRSS")
    built = spent(lambda: packed.append(pack(source, Preparation(SIZE), stream_above=above)))
    rendering = source.seconds / built["processor_seconds"]
    epoch = spent(lambda: read(packed[0]))
    found = list[Packed]()
    start = spent(lambda: found.append(pack(source, Preparation(SIZE), stream_above=above)))
    stored = folder_bytes(cache_folder("packed"))
    return {
        "images": count,
        "us_a_image": 1e6 * (built["processor_seconds"] + epoch["processor_seconds"]) / count,
        "build_images_per_second": count / built["seconds"],
        "build_us_a_image": 1e6 * built["processor_seconds"] / count,
        "rendering_share": rendering,
        "build_resident_bytes": built["resident_bytes"],
        "build_bytes_above_before": built["resident_bytes"] - before,
        "disk_bytes_a_image": stored / (count + 200),
        "start_seconds": start["seconds"],
        "start_resident_bytes": start["resident_bytes"],
        "epoch_seconds": epoch["seconds"],
        "epoch_ms_a_batch": 1e3 * epoch["seconds"] / math.ceil(count / BATCH_SIZE),
        "epoch_us_a_image": 1e6 * epoch["processor_seconds"] / count,
        "epoch_resident_bytes": epoch["resident_bytes"],
        "epoch_bytes_above_before": epoch["resident_bytes"] - before,
    }


def read(packed: Packed) -> None:
    """An epoch: all images and labels in random batches."""
    order = np.random.default_rng(0).permutation(len(packed))
    for first in range(0, len(order), BATCH_SIZE):
        chosen = order[first : first + BATCH_SIZE]
        packed.images[chosen], packed.labels[chosen]


def spent(work: Callable[[], Any]) -> dict[str, float]:
    """What the work took: seconds, processor seconds of all threads, greatest resident memory."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the greatest so far
    start, before = time.perf_counter(), processor_seconds()
    work()
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": processor_seconds() - before,
        "resident_bytes": resident("VmHWM"),
    }


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident(field: str) -> int:
    """Bytes in memory, pages of files included, as Linux tells them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
