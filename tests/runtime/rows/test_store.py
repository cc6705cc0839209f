"""Rows by content: found once stored, each computed once, and what was killed is computed again."""

import itertools
import os
import sys
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from numbered_rows import check, columns, digests, fill, maker, open_store

from kerascnn.errors import InputError, RunError
from kerascnn.runtime.cache import cache_folder, clear, entries
from kerascnn.runtime.rows import filling
from kerascnn.runtime.rows import store as module
from kerascnn.runtime.rows.claims import Claims
from kerascnn.runtime.rows.file import RowFile
from kerascnn.runtime.rows.store import RowStore


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KERASCNN_CACHE_LIMIT_GB", raising=False)
    return tmp_path / "cache"


def test_only_missing_rows_are_computed_in_order_and_in_pieces():
    store, sizes = open_store(), []

    def make(claims):
        for rows in claims:
            sizes.append(len(rows))
            yield rows, columns(rows)

    assert store.fill(digests(range(10)), make, 4) == 10
    assert sizes == [4, 4, 2]
    check(store, [3, 9, 0, 3])
    assert fill(store, range(5, 15)) == [5, 6, 7, 8, 9]
    assert fill(store, range(15)) == []
    check(open_store(), range(14, -1, -1))


def test_many_rows_are_claimed_at_once_and_few_at_the_end(monkeypatch):
    keys, store, claimed, given = digests(range(10_000)), open_store(), [], []

    class Counted(Claims):
        def add(self, rows, others):
            claimed.append(len(rows))
            return super().add(rows, others)

    def make(claims):
        for rows in claims:
            given.append(len(rows))
            yield rows, columns(rows)

    monkeypatch.setattr(module, "Claims", Counted)
    assert store.fill(keys, make, 4) == 10_000
    assert (claimed[0], claimed[-1]) == (128, 4)
    assert claimed == sorted(claimed, reverse=True)
    assert set(given) == {4}


def test_what_is_not_stored_is_not_found():
    store = open_store()
    assert store.find(digests([1, 2])).tolist() == [-1, -1]
    fill(store, [2])
    assert store.find(digests([1, 2, 3])).tolist() == [-1, 0, -1]
    assert store.find(digests([])).tolist() == []
    assert store.read("values", store.find(digests([]))).shape == (0, 3)


def test_rows_at_hand_are_stored_but_for_those_that_others_compute():
    store, other = open_store(), open_store()
    fill(store, [1])

    def make(claims):
        rows = next(claims)  # 2 and 3
        offered = other.offer(digests([1, 2, 5, 6, 5]), columns(np.array([1, 2, 5, 6, 5])))
        assert offered.tolist() == [2, 3]  # without waiting for 2
        yield rows, columns(rows + 2)

    assert store.fill(digests([2, 3]), make, 2) == 2
    check(open_store(), [1, 2, 3, 5, 6])
    assert not len(other.offer(digests([]), columns(np.arange(0))))


def test_copies_are_computed_once():
    store = open_store()
    assert fill(store, [7, 8, 7, 7, 9, 8]) == [0, 1, 4]
    check(store, [7, 8, 7, 7, 9, 8])


def test_keys_that_begin_alike_are_told_apart():
    keys = digests(range(4)).copy()
    keys[:, :8] = 5
    store, pieces = open_store(), []

    def make(claims):
        for rows in claims:
            pieces.append(rows.tolist())
            yield rows, columns(rows)

    assert store.fill(keys, make, 4) == 4
    assert pieces == [[0], [1], [2], [3]]
    np.testing.assert_array_equal(store.read("size", store.find(keys)), range(4))
    assert store.find(digests([0])).tolist() == [-1]


def test_rows_that_make_leaves_out_stay_missing():
    store = open_store()

    def make(claims):
        for rows in claims:
            kept = rows[rows != 5]
            yield kept, columns(kept)

    assert store.fill(digests(range(8)), make, 3) == 7
    assert store.find(digests([4, 5, 6])).tolist() == [4, -1, 5]
    assert fill(store, range(8)) == [5]


def test_pieces_may_come_in_any_order_and_size():
    store = open_store()

    def make(claims):
        rows = np.concatenate(list(claims))[::-1]
        yield rows[:1], columns(rows[:1])
        yield rows[1:], columns(rows[1:])

    store.fill(digests(range(10)), make, 3)
    check(store, range(10))


def test_rows_are_committed_while_others_are_computed(monkeypatch):
    monkeypatch.setattr(filling, "COMMIT_SECONDS", 0)
    store, other, seen = open_store(), open_store(), []

    def make(claims):
        for rows in claims:
            seen.append(int((other.find(digests(range(8))) >= 0).sum()))
            yield rows, columns(rows)

    store.fill(digests(range(8)), make, 2)
    assert seen == [0, 2, 4, 6]


def test_what_was_committed_before_a_failure_stays(monkeypatch):
    monkeypatch.setattr(filling, "COMMIT_SECONDS", 0)
    store = open_store()

    def fail(claims):
        for rows in claims:
            if 4 in rows:
                raise KeyboardInterrupt
            yield rows, columns(rows)

    with pytest.raises(KeyboardInterrupt):
        store.fill(digests(range(8)), fail, 2)
    assert fill(store, range(8)) == [4, 5, 6, 7]


def test_a_store_of_any_dtype():
    import ml_dtypes

    values = np.arange(6).reshape(3, 2).astype(ml_dtypes.bfloat16)
    store = RowStore("activations", "bb", "", {"values": (values.dtype, (2,))})
    store.fill(digests(range(3)), lambda claims: ((r, {"values": values[r]}) for r in claims), 2)
    found = store.read("values", store.find(digests([2, 0])))
    np.testing.assert_array_equal(found.astype(int), [[4, 5], [0, 1]])


def test_a_truncated_file_says_what_to_do(folder):
    store = open_store()
    fill(store, range(4))
    file = folder / "activations" / "aa" / "values.bin"
    os.truncate(file, 3 * 12 + 1)
    with pytest.raises(RunError, match=r"values.bin. is truncated; remove it with .*activations"):
        store.read("values", store.find(digests([3])))
    with pytest.raises(RunError, match="truncated"):
        fill(store, range(5))


def test_without_preadv_as_on_windows(monkeypatch):
    monkeypatch.delattr(os, "preadv", raising=False)
    store = open_store()
    fill(store, range(10))
    check(store, [4, 2, 9, 8])


def test_a_store_is_an_entry_that_leaves_as_a_whole_and_can_still_be_read():
    store = open_store()
    fill(store, range(10))
    places = store.find(digests(range(10)))
    [entry] = entries()
    assert (entry.kind, entry.key, entry.about, entry.whole) == (
        "activations",
        "aa",
        "a network: images",
        True,
    )
    assert clear() == [entry]
    check(store, range(10))
    assert fill(store, range(12)) == [10, 11]  # in a new entry
    check(store, range(12))
    np.testing.assert_array_equal(store.read("size", places[::-1]), range(9, -1, -1))
    assert fill(open_store(), range(12)) == list(range(10))


def test_an_entry_that_is_being_filled_stays():
    store = open_store()

    def make(claims):
        for rows in claims:
            assert clear() == []
            yield rows, columns(rows)

    store.fill(digests(range(4)), make, 2)
    check(open_store(), range(4))
    assert len(clear()) == 1


def test_the_least_recently_used_entry_leaves_for_a_store_that_grows(monkeypatch):
    fill(open_store("old"), range(200))
    fill(open_store("new"), range(200))
    [new, _] = entries()
    monkeypatch.setenv("KERASCNN_CACHE_LIMIT_GB", str(2.5 * new.bytes / 1e9))
    fill(open_store("newest"), range(200))
    assert [entry.key for entry in entries()] == ["newest", "new"]


def test_a_store_makes_room_while_it_grows(monkeypatch):
    fill(open_store("old"), range(200))
    monkeypatch.setattr(filling, "COMMIT_SECONDS", 0)
    monkeypatch.setattr(module, "EVICT_BYTES", 2_000)
    store, keys = open_store("new"), []
    monkeypatch.setenv("KERASCNN_CACHE_LIMIT_GB", str(3e-6))

    def make(claims):
        for rows in claims:
            keys.append([entry.key for entry in entries()])
            yield rows, columns(rows)

    store.fill(digests(range(100)), make, 25)
    assert "old" in keys[0]
    assert keys[-1] == ["new"]


def test_a_wrong_limit_is_refused_before_the_work(monkeypatch):
    store = open_store()
    monkeypatch.setenv("KERASCNN_CACHE_LIMIT_GB", "much")
    with pytest.raises(InputError, match="LIMIT_GB=much"):
        store.fill(digests([1]), lambda claims: pytest.fail("made"), 1)


def test_a_full_disk_is_one_sentence(monkeypatch, folder):
    def full(self, row, values):
        raise OSError(28, "No space left on device")

    store = open_store()
    fill(store, range(3))
    with monkeypatch.context() as patch:
        patch.setattr(RowFile, "write", full)
        with pytest.raises(InputError, match="No space left") as raised:
            fill(store, range(6))
    assert str(folder) in str(raised.value)
    assert fill(store, range(6)) == [3, 4, 5]


def test_threads_compute_each_row_once():
    stores, made, ready = [open_store(), open_store()], [[], []], threading.Barrier(4)

    def work(number):
        ready.wait()
        store = stores[number % 2]  # two threads have the same object
        made_here = []
        store.fill(digests(range(60)), maker(range(60), made_here), 4)
        made[number % 2].extend(made_here)
        check(store, range(60))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(made[0] + made[1]) == list(range(60))


def test_rows_that_two_leave_out_keep_neither_waiting():
    ready, made = threading.Barrier(2), []

    def make(claims):
        for number, rows in enumerate(claims):
            if number == 0 and not made:
                ready.wait(10)  # each has claimed a half
            yield rows[:1], columns(rows[:1])
            made.extend(rows[:1].tolist())

    def work():
        open_store().fill(digests(range(4)), make, 2)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(made) == [0, 1, 2, 3]


def fill_slowly(first, ready, answers):
    ready.wait()
    made, store = [], open_store()
    numbers = [*range(first, 120), *range(first)]

    def make(claims):
        for rows in claims:
            time.sleep(0.002)
            made.extend(np.asarray(numbers)[rows].tolist())
            yield rows, columns(np.asarray(numbers)[rows])

    store.fill(digests(numbers), make, 4)
    check(store, numbers)
    answers.put(made)


@pytest.mark.parametrize("count", [2, 4])
def test_processes_compute_each_row_once(count):
    context = get_context("fork" if hasattr(os, "fork") else "spawn")
    ready, answers = context.Barrier(count), context.Queue()
    processes = [
        context.Process(target=fill_slowly, args=(7 * number, ready, answers))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    made = [answers.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(30)
    assert sorted(itertools.chain(*made)) == list(range(120))
    assert sum(map(bool, made)) > 1
    assert list(cache_folder("activations").glob("aa/claims/*")) == []
