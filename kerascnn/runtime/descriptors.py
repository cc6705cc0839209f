"""File descriptors, to which libraries in C write past Python's streams."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def redirected(descriptor: int, to: int) -> Iterator[None]:
    """In its block, what is written to a descriptor goes to another; if it is closed, nowhere."""
    try:
        kept = os.dup(descriptor)
    except OSError:
        yield
        return
    os.dup2(to, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
