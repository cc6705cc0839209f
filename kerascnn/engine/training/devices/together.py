"""Processes that train a stage together, on one or more hosts, each on devices of its own.

All do the same, on parts of each batch, and hold the same state. What one of them alone may decide,
such as a pause, is agreed on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.devices.devices import Devices
from kerascnn.engine.training.devices.group import LEADER, Group
from kerascnn.engine.training.inputs import Inputs
from kerascnn.engine.training.listener import Control, Epoch


class Together(Devices):
    """The devices of all processes of a group."""

    def __init__(self, group: Group, count: int) -> None:
        self.group, self.count = group, count

    @contextmanager
    def holding(self, trainer: Any) -> Iterator[None]:
        """Waits for the others, as long as it takes them."""
        self.group.gather({})
        with self.group.training():
            yield

    def spread(self, inputs: Inputs) -> Inputs:
        feed = replace(inputs.feed, part=(self.group.rank, self.group.count))
        forward = partial(self._outputs, self.forward(inputs))
        return replace(inputs, feed=feed, forward=forward)

    def forward(self, inputs: Inputs) -> Callable[..., np.ndarray]:
        """Computes outputs in this process alone, as `Forward` does."""
        return inputs.forward

    def agreed(self, control: Control) -> Control:
        return _Agreed(control, self.group)

    def _outputs(
        self, forward: Callable[..., np.ndarray], inputs: Any, batch_size: int
    ) -> np.ndarray:
        """The outputs for all inputs; each process computes those of some rows."""
        group = self.group
        ends = np.linspace(0, len(inputs), group.count + 1).astype(int)
        first, end = ends[group.rank], ends[group.rank + 1]
        own = {}
        if end > first:
            own["outputs"] = forward(_Rows(inputs, first, end, group.moved), batch_size)
        parts = group.gather(own)
        return np.concatenate([part["outputs"] for part in parts if part])


@dataclass(frozen=True)
class _Rows:
    """Some rows of inputs, which are read when they are indexed."""

    inputs: Any
    first: int
    end: int
    read: Callable[[], None]  # called then

    def __len__(self) -> int:
        return self.end - self.first

    def __getitem__(self, rows: slice) -> Any:
        self.read()
        return self.inputs[self.first + rows.start : min(self.first + rows.stop, self.end)]


@dataclass(frozen=True)
class _Agreed(Control):
    """What the leader decides, in all of them; it alone has a control that does anything."""

    control: Control
    group: Group

    def due(self, epoch_ended: bool) -> bool:
        return self.group.agree(self._leads and self.control.due(epoch_ended))

    def stops(self, epoch: Epoch, probabilities: np.ndarray) -> bool:
        return self.group.agree(self._leads and self.control.stops(epoch, probabilities))

    def checkpoint(self, state: State) -> None:
        self.control.checkpoint(state)

    @property
    def _leads(self) -> bool:
        return self.group.rank == LEADER
