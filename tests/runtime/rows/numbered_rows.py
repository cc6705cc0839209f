"""A store of numbers, for tests: the key of a number is the SHA-256 of its digits."""

import hashlib

import numpy as np

from kerascnn.runtime.rows.store import RowStore

COLUMNS = {"values": (np.dtype(np.float32), (3,)), "size": (np.dtype(np.int16), ())}


def open_store(key="aa"):
    return RowStore("activations", key, "a network: images", COLUMNS)


def digests(numbers):
    """The keys of numbers, uint8 [N, 32]."""
    keys = [hashlib.sha256(str(number).encode()).digest() for number in numbers]
    return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 32)


def columns(numbers):
    numbers = np.asarray(numbers)
    return {
        "values": (numbers[:, None] + [0.0, 0.25, 0.5]).astype(np.float32),
        "size": numbers.astype(np.int16),
    }


def maker(numbers, made):
    """Computes the rows of these numbers, and notes which."""

    def make(claims):
        for rows in claims:
            made.extend(rows.tolist())
            yield rows, columns(np.asarray(numbers)[rows])

    return make


def fill(store, numbers, piece=4):
    """The indices of the rows that were computed."""
    made = []
    assert store.fill(digests(numbers), maker(numbers, made), piece) == len(made)
    return made


def check(store, numbers):
    places = store.find(digests(numbers))
    assert (places >= 0).all()
    for name, expected in columns(numbers).items():
        np.testing.assert_array_equal(store.read(name, places), expected)
