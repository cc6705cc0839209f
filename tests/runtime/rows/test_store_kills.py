"""A store whose process is killed: what was committed is whole, the rest is computed again."""

import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from numbered_rows import check, columns, digests, maker, open_store

from kerascnn.runtime import files
from kerascnn.runtime.cache import clear
from kerascnn.runtime.rows import filling
from kerascnn.runtime.rows.claims import Claims
from kerascnn.runtime.rows.file import RowFile

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a child is forked and killed")

ROWS, PIECE = 18, 3


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))


STEPS = [(RowFile, "write"), (RowFile, "sync"), (files, "sync"), (Path, "rename")]
STEPS += [(Claims, "add"), (Claims, "drop"), (Claims, "release")]


def killed(at, half, numbers):
    """Fills a store in a process that dies at the at-th step on the disk; how far it had got.

    Args:
        half: Whether half of what that step writes is written.

    Returns:
        The number of rows that it had committed, and whether it was killed.
    """
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            fill_and_die(at, half, numbers, write)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        committed = len(told.read())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return committed, status != 0


def fill_and_die(at, half, numbers, told):
    left = at

    def dying(home, name):
        function = getattr(home, name)

        def step(*arguments):
            nonlocal left
            left -= 1
            if not left:
                if half and (home, name) == (RowFile, "write"):
                    half_a_write(*arguments)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        setattr(home, name, step)

    filling.COMMIT_SECONDS = 0
    for home, name in STEPS:
        dying(home, name)
    store = open_store()

    def make(claims):
        for rows in claims:
            yield rows, columns(np.asarray(numbers)[rows])
            os.write(told, b"." * len(rows))  # they have been committed

    store.fill(digests(numbers), make, PIECE)


def half_a_write(file, row, values):
    content = np.ascontiguousarray(values, file.dtype).tobytes()
    os.pwrite(file._file.fileno(), content[: len(content) // 2 + 1], row * file.row_bytes)


def fill_the_rest(numbers):
    """Checks what a killed process has left, and computes what is missing."""
    store, made = open_store(), []
    stored = store.find(digests(numbers)) >= 0
    check(store, np.asarray(numbers)[stored])
    store.fill(digests(numbers), maker(numbers, made), PIECE)
    assert made == np.flatnonzero(~stored).tolist()
    check(open_store(), numbers)
    return stored.sum()


def check_kills(steps, half):
    for at in steps:
        committed, died = killed(at, half, range(ROWS))
        stored = fill_the_rest(range(ROWS))
        assert committed <= stored
        assert clear()
        if not died:
            return at
    return None


def test_a_kill_while_rows_are_appended():
    assert check_kills(range(15, 40, 6), half=True) is None


@pytest.mark.long  # a hundred processes
@pytest.mark.parametrize("half", [False, True])
def test_a_kill_at_every_write_fsync_and_rename(half):
    assert check_kills(range(1, 1000), half) > 50


@pytest.mark.long  # five processes for each seed
@pytest.mark.parametrize("seed", range(8))
def test_kills_one_after_another(seed):
    """Of processes that fill overlapping parts of one store, some after it was removed."""
    draw = random.Random(seed)
    for _ in range(5):
        numbers = draw.sample(range(40), 12)
        killed(draw.randint(1, 60), draw.random() < 0.5, numbers)
        stored = open_store().find(digests(range(40))) >= 0
        check(open_store(), np.flatnonzero(stored))
        if draw.random() < 0.1:
            clear()
    fill_the_rest(range(40))
