"""The events of one stage."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One epoch's number, from 1 within its stage, and its metrics."""

    number: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Listener:
    """Receives a stage's events: images through the prefix, steps, epochs, warnings."""

    prefix: Callable[[int, int], None] = lambda done, total: None
    step: Callable[[int, int], None] = lambda done, total: None
    epoch: Callable[[Epoch], None] = lambda epoch: None
    warned: Callable[[str], None] = lambda message: None


SILENT = Listener()
