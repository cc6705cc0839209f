"""The store of rows: filling it, finding and reading rows of it, for many numbers of rows.

Also what it takes to claim rows while other processes hold claims, which one does at a time.
Rows of 256 bytes, as of a pooled feature vector, are stored in pieces of 32, as activations are,
and read in random order. Each number of rows has a process of its own, with the backend loaded as
in a run, and a cache in the folder that KERASCNN_CACHE names, removed afterwards: a million rows
take 288 MB. Prints one line for all.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import HERE, KERASCNN, document, report
from store import spent

from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.cache import cache_folder
from kerascnn.runtime.rows.claims import Claims
from kerascnn.runtime.rows.store import RowStore

PIECE, VALUES, LOOKUPS = 32, 64, 200
FLAT = ("processor_us_a_row", "us_a_row", "fill_resident_bytes", "read_resident_bytes")


@click.command()
@click.option("--rows", "counts", multiple=True, type=int, default=[10_000, 100_000, 10**6])
@click.option("--here", is_flag=True, hidden=True)
def main(counts: tuple[int, ...], here: bool) -> None:
    """Measure each number of rows in a process of its own."""
    if here:
        click.echo(json.dumps(measure(counts[0])))
        return
    figures = {}
    for count in counts:
        with tempfile.TemporaryDirectory(dir=cache_folder("benchmarks")) as cache:
            command = [KERASCNN[0], HERE / "rows.py", "--here", "--rows", count]
            figures[count] = document(command, HERE, Path(cache))
    most, least = max(counts), min(counts)
    ratios = {name: figures[most][name] / figures[least][name] for name in FLAT}
    report("rows", {"rows": figures, "ratios": ratios})


def measure(count: int) -> dict[str, Any]:
    """Fills and reads a store in this process."""
    start_backend()
    rng = np.random.default_rng(0)
    digests = np.frombuffer(rng.bytes(32 * count), np.uint8).reshape(count, 32)
    values = rng.random((PIECE, VALUES), np.float32)
    order, lookups = rng.permutation(count), rng.integers(0, count, (LOOKUPS, PIECE))

    def make(claims: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        for rows in claims:
            yield rows, {"values": values[: len(rows)]}

    store = open_store()
    filled = spent(lambda: store.fill(digests, make, PIECE))
    read = spent(lambda: read_all(store, digests, order))
    looked_up = [timed(partial(store.find, digests[rows])) for rows in lookups]
    processor_seconds = filled["processor_seconds"] + read["processor_seconds"]
    return {
        "us_a_row": 1e6 * (filled["seconds"] + read["seconds"]) / count,
        "processor_us_a_row": 1e6 * processor_seconds / count,
        "fill_us_a_row": 1e6 * filled["seconds"] / count,
        "fill_processor_us_a_row": 1e6 * filled["processor_seconds"] / count,
        "fill_resident_bytes": filled["resident_bytes"],
        "read_resident_bytes": read["resident_bytes"],
        "lookup_ms": 1e3 * float(np.median(looked_up)),
        "claim_processor_ms": {others: claiming(others) for others in (0, 7, 63)},
        "open_seconds": timed(lambda: open_store().find(digests[:1])),
    }


def open_store() -> RowStore:
    return RowStore("activations", "rows", "", {"values": (np.dtype(np.float32), (VALUES,))})


def claiming(others: int) -> float:
    """Milliseconds of processor time to see what others claim, each of them 1,024 rows."""
    with tempfile.TemporaryDirectory(dir=cache_folder("benchmarks")) as place:
        held = [Claims(Path(place)) for _ in range(others + 1)]
        rows = np.random.default_rng(0).integers(0, 2**63, (len(held), 1024)).astype(np.uint64)
        for claims, of in zip(held, rows, strict=True):
            claims.add(of, set())
        spent_here = spent(lambda: [held[0].others() for _ in range(10)])
        for claims in held:
            claims.release()
    return 1e3 * spent_here["processor_seconds"] / 10


def read_all(store: RowStore, digests: np.ndarray, order: np.ndarray) -> None:
    """An epoch: all rows in random batches."""
    places = store.find(digests)
    for first in range(0, len(order), PIECE):
        store.read("values", places[order[first : first + PIECE]])


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
