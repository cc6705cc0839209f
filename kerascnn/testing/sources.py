"""The checks of how a source is read: by several threads, and sent to other processes."""

import pickle
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from kerascnn.engine.data.sources.reading import PER_THREAD, read
from kerascnn.errors import KerascnnError
from kerascnn.hookspecs import Source
from kerascnn.testing.checks import CheckError, SkipError, check, explain
from kerascnn.testing.datasets import GLANCED, SAMPLED, DatasetSubject, digest, sources
from kerascnn.testing.other_processes import in_another_process

THREADS, READ = 8, 16  # of each split, at least
SWITCHED_SECONDS = 1e-5  # Python's default of 5 ms would hide what threads do to each other


@check(Source)
def read_by_threads(subject: DatasetSubject) -> None:
    """Threads that read the source at once, none of which built it, get the same images and
    labels as one."""
    for name, source in sources(subject.made):
        chosen = subject.samples[name][:: SAMPLED // READ]
        expected = [(index, digest(*pair)) for index, *pair in chosen]

        def seen(index: int, source: Source = source) -> str:
            return digest(*read(source, index))

        with ThreadPoolExecutor(THREADS) as pool, _switching_often():
            futures = [(index, one, pool.submit(seen, index)) for index, one in expected]
            for index, one, future in futures:
                try:
                    same = future.result() == one
                except KerascnnError as error:
                    raise CheckError(f"{name}, in another thread: {error}") from error
                if not same:
                    raise CheckError(
                        f"another image or label at {name}[{index}] while other threads read. "
                        f"{PER_THREAD}"
                    )


@check(Source)
def many_at_once(subject: DatasetSubject) -> str:
    """A source that has `__getitems__` returns the same images and labels by it as one at a time,
    in the order of the rows, which may be any and repeat."""
    offering = [pair for pair in sources(subject.made) if hasattr(pair[1], "__getitems__")]
    if not offering:
        raise SkipError("no source has __getitems__")
    for name, source in offering:
        chosen = subject.samples[name][:: SAMPLED // READ]
        asked = [*reversed(chosen), *chosen[:2]]
        rows = [index for index, *_ in asked]
        items = list(source.__getitems__(rows))  # type: ignore[attr-defined]
        if len(items) != len(asked):
            raise CheckError(f"{name}.__getitems__ returned {len(items)} of {len(asked)} items")
        for (index, *pair), item in zip(asked, items, strict=True):
            if digest(*item) != digest(*pair):
                raise CheckError(f"{name}.__getitems__ returned another image or label of {index}")
    return ", ".join(name for name, _ in offering)


@contextmanager
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCHED_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@check(Source)
def sent_to_another_process(subject: DatasetSubject) -> None:
    """The source can be sent to another process, where it returns the same images and labels: a
    source that takes long to return an image is read in several."""
    import cloudpickle  # type: ignore[import-untyped]

    for name, source in sources(subject.made):
        few = subject.samples[name][:GLANCED]
        try:
            sent = cloudpickle.dumps(source)
        except Exception as error:  # anything that an author's `__getstate__` raises
            raise CheckError(f"{name} cannot be sent: {explain(error)}. {PER_THREAD}") from error
        there = in_another_process(_received, sent, [index for index, *_ in few])
        for (index, *pair), other in zip(few, there, strict=True):
            if digest(*pair) != other:
                raise CheckError(f"another image or label at {name}[{index}]")


def _received(sent: bytes, rows: Sequence[int]) -> list[Any]:
    source = pickle.loads(sent)
    return [digest(*read(source, row)) for row in rows]
