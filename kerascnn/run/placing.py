"""An engine, found and opened: it places processes on this host or on those of a cluster."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from kerascnn.components.component import BoundComponent
from kerascnn.components.registry import load_registry
from kerascnn.errors import InputError, PluginError
from kerascnn.experiment.problems import bind_alone
from kerascnn.hookspecs import Engine, Launched

LOCAL = "local"
Asked = str | Mapping[str, Any]
"""An engine by its name, or as a table of its name and parameters."""


def bind_engine(asked: Asked) -> BoundComponent:
    """Finds an installed engine and validates its parameters.

    Raises:
        InputError: There is no such engine, or its parameters are at fault.
    """
    table = {"name": asked} if isinstance(asked, str) else dict(asked)
    name = table.pop("name", None)
    if not isinstance(name, str):
        raise InputError(f"engine = {asked!r}: expected a name, or a table with a name.")
    return bind_alone(load_registry().find(name, "engine"), table)


@contextmanager
def workers_of(bound: BoundComponent, processes: int | None = None) -> Iterator[Engine]:
    """As `opened`, for processes that this one starts.

    Raises:
        InputError: A launcher has started them.
    """
    with opened(bound, processes) as engine:
        if isinstance(engine, Launched):
            raise InputError(
                f"{bound.registered}: it starts no processes; it is for the [cluster] of a run."
            )
        yield engine


@contextmanager
def opened(bound: BoundComponent, processes: int | None = None) -> Iterator[Engine | Launched]:
    """An engine for a number of processes at a time, closed at the end of the block.

    Args:
        processes: How many; default one on each device.

    Raises:
        InputError: It cannot place any here, as where its cluster is not reached.
        PluginError: The engine fails.
    """
    engine = bound.build(processes=processes)
    if isinstance(engine, Launched):
        yield engine
        return
    if engine.places < 1:
        raise PluginError(f"{bound.registered}: it has {engine.places} places for processes.")
    start = bound.registered.guarded(engine.start, "in start(place)")
    try:
        yield replace(engine, start=start)
    finally:
        bound.registered.guarded(engine.close, "in close()")()
