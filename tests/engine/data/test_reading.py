"""A source that fails: which of its lines did, of which dataset, and what to do."""

import re
import sqlite3
import threading

import numpy as np
import pytest

from kerascnn import InputError, PluginError
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.engine.data import workers
from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.data.reading import read
from kerascnn.engine.data.store import pack
from kerascnn.errors import SourceError
from kerascnn.hookspecs import Component

ROWS = RegisteredComponent(Component("rows", print), "dataset", Origin("x", "kerascnn-x", "1.0"))
NAMED = 'dataset "rows" of kerascnn-x 1.0: '


class Noise:
    """16 images of 8 by 8 pixels, drawn after `ask` was called with their row."""

    def __init__(self, ask=int):
        self.ask = ask

    def __len__(self):
        return 16

    def __getitem__(self, row):
        self.ask(row)
        return np.full((8, 8, 3), row, np.uint8), row % 2


def failing(_):
    raise KeyError("no such row")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Noise(failing), r"source\[3\] failed: KeyError: 'no such row' \(test_reading.py, line \d"),
        ([], r"source\[3\] failed: IndexError: list index out of range\.$"),
    ],
)
def test_where_a_source_failed_is_said(source, said):
    with pytest.raises(SourceError, match=said):
        read(source, 3)


def test_what_a_source_says_of_an_image_is_kept():
    def missing(_):
        raise InputError("the server has no such image")

    with pytest.raises(InputError, match=r"^the server has no such image$") as caught:
        read(Noise(missing), 0)
    assert not isinstance(caught.value, SourceError)


def test_a_label_may_be_an_integer_of_numpy():
    assert read([(b"", np.int64(3))], 0) == (b"", 3)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (b"JPEG", "source[0] must return (image, label), not a bytes."),
        ({"image": b"", "label": 0}, "source[0] must return (image, label), not a dict."),
        ((b"", 0, 0), "source[0] must return (image, label), not a tuple of 3."),
        (
            (b"", "ants"),
            "the label of source[0] must be an int, the index of its class name, not 'ants'.",
        ),
        (
            (b"", 1.0),
            "the label of source[0] must be an int, the index of its class name, not 1.0.",
        ),
    ],
)
def test_what_is_not_an_image_and_its_label_is_named(item, said):
    with pytest.raises(SourceError, match=re.escape(said)):
        read([item], 0)


def test_a_connection_of_another_thread_is_told_with_what_to_do(monkeypatch):
    opened = sqlite3.connect(":memory:")
    source = Noise(lambda row: opened.execute("SELECT ?", (row,)))
    with pytest.raises(PluginError) as caught:
        pack(source, Preparation(8), dataset=ROWS)
    said = str(caught.value)
    assert said.startswith(f"{NAMED}source[0] failed: ProgrammingError: SQLite objects")
    assert "open what belongs to one thread, such as a connection, in `__getitem__`" in said
    assert said.endswith("plugins check rows --kind dataset` examines it.")


class Unmeasured(Noise):
    def __len__(self):
        return {}["length"]


class Unprinted(Noise):
    @property
    def fingerprint(self):
        return {}["print"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Unmeasured(), r"len\(source\) failed: KeyError: 'length' \(test_reading.py, line \d+\)\."),
        (Unprinted(), r"source.fingerprint failed: KeyError: 'print' \(test_reading.py, line \d"),
        (Noise(failing), r"source\[0\] failed: KeyError: 'no such row' \(test_reading.py, line"),
    ],
)
def test_the_dataset_of_a_source_that_fails_is_named(source, said):
    with pytest.raises(PluginError, match=f"^{NAMED}{said}"):
        pack(source, Preparation(8), dataset=ROWS)


class Locked(Noise):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Secret(Noise):
    def __getstate__(self):
        raise NotImplementedError("not to be copied")


@pytest.mark.parametrize("source", [Locked(), Secret()])
def test_a_slow_source_that_cannot_be_sent_is_read_by_threads(source, monkeypatch):
    monkeypatch.setattr(workers, "WORTH_PROCESSES_SECONDS", -1)
    assert len(pack(source, Preparation(8), dataset=ROWS)) == 16
