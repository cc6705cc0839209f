"""A source that fails: which of its lines did, of which dataset, and what to do."""

import re
import sqlite3
import threading

import numpy as np
import pytest

from kerascnn import InputError, PluginError
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.sources import workers
from kerascnn.engine.data.sources.reading import read
from kerascnn.engine.data.sources.source import Chained, Subset
from kerascnn.engine.data.store.pack import pack
from kerascnn.engine.data.store.stream import prepare_rows
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


class ManyAtOnce(Noise):
    """Counts what is requested at once; row 5 cannot be read."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __getitem__(self, row):
        self.asked.append(row)
        return self.item(row)

    def __getitems__(self, rows):
        self.asked.append(list(rows))
        return [self.item(row) for row in rows]

    def item(self, row):
        if row == 5:
            raise InputError("the server has no image 5")
        return super().__getitem__(row)


def test_many_rows_are_requested_at_once():
    source = ManyAtOnce()
    made = prepare_rows(source, [3, 1, 4], Preparation(8))
    assert source.asked == [[3, 1, 4]]
    assert made.rows.tolist() == [3, 1, 4]
    assert made.images[:, 0, 0, 0].tolist() == [3, 1, 4]


def test_where_one_of_many_rows_cannot_be_read_each_is_requested_by_itself():
    source = ManyAtOnce()
    made = prepare_rows(source, [4, 5], Preparation(8))
    assert source.asked == [[4, 5], 4, 5]
    assert made.rows.tolist() == [4]
    assert made.faults == [(5, "the server has no image 5")]


def test_some_of_many_rows_missing_is_a_fault_of_the_source():
    source = ManyAtOnce()
    source.item = lambda row: None
    source.__class__ = type("Short", (ManyAtOnce,), {"__getitems__": lambda self, rows: []})
    with pytest.raises(SourceError, match=r"__getitems__\(\[1, 2\]\) returned 0 items for 2 rows"):
        prepare_rows(source, [1, 2], Preparation(8))


def test_parts_of_sources_offer_what_the_sources_offer():
    many, plain = ManyAtOnce(), Noise()
    chained = Chained([Subset(many, [7, 2]), many])
    items = chained.__getitems__([3, 0, 1, 3])
    assert [image[0, 0, 0] for image, _ in items] == [1, 7, 2, 1]
    assert sorted(many.asked, key=len) == [[7, 2], [1, 1]]
    assert not hasattr(Subset(plain, [1]), "__getitems__")
    assert not hasattr(Chained([many, plain]), "__getitems__")


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
