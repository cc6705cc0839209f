"""Makes networks without an effect on what the process draws next, and on the names it gives."""

from collections.abc import Iterator
from contextlib import contextmanager

from kerascnn.engine.training.variables import random_state, set_random_state
from kerascnn.runtime.keras_internals import name_counts, set_name_counts


@contextmanager
def undisturbed() -> Iterator[None]:
    """Puts back, at the end of its block, the random generators and the counts of Keras's names."""
    random, names = random_state(), name_counts()
    try:
        yield
    finally:
        set_random_state(random)
        set_name_counts(names)
