"""Several devices with PyTorch: a process for each, of which this is one.

All processes do the same, on parts of each batch, and hold the same state. What one of them alone
may decide, such as a pause, is agreed on.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.devices.devices import Devices
from kerascnn.engine.training.devices.torch_draws import whole_draws
from kerascnn.engine.training.inputs import Inputs
from kerascnn.engine.training.listener import Control, Epoch
from kerascnn.runtime.devices import available_cores
from kerascnn.runtime.keras_internals import moments_reduced

POLL_SECONDS = 0.02


class TorchDevices(Devices):
    """One process of a group.

    Args:
        count: The number of processes.
        rank: Of this one, from 0.
        store: A file that all of them open to find each other.
        stage: The number of the stage.
        waiting: Called while this process waits for the others before the stage; may raise.
    """

    def __init__(
        self,
        count: int,
        rank: int,
        store: str,
        stage: int,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.count, self.rank = count, rank
        self._store, self._stage, self._waiting = store, stage, waiting

    @contextmanager
    def holding(self, trainer: Any) -> Iterator[None]:
        """A CPU's cores are divided among the processes."""
        import torch

        self._meet()
        threads = torch.get_num_threads()
        torch.set_num_threads(max(1, available_cores() // self.count))
        try:
            with moments_reduced(trainer, self._reduced):
                yield
        finally:
            vars(trainer).pop("train_step", None)
            torch.set_num_threads(threads)

    def spread(self, inputs: Inputs) -> Inputs:
        inputs.trainer.train_step = _step(inputs.trainer, self)
        feed = replace(inputs.feed, part=(self.rank, self.count))
        return replace(inputs, feed=feed, forward=partial(self._outputs, inputs.forward))

    def agreed(self, control: Control) -> Control:
        return _Agreed(control, self.rank)

    def mean(self, tensor: Any) -> Any:
        """The mean of a tensor over the processes, which gradients pass through."""
        import torch

        class Mean(torch.autograd.Function):
            @staticmethod
            def forward(context: Any, own: Any) -> Any:
                whole = own / self.count
                torch.distributed.all_reduce(whole)
                return whole

            @staticmethod
            def backward(context: Any, gradient: Any) -> Any:
                return Mean.forward(context, gradient)

        return Mean.apply(tensor)

    def gathered(self, tensor: Any) -> list[Any]:
        """The tensors of all processes, of one shape."""
        import torch

        parts = [torch.empty_like(tensor) for _ in range(self.count)]
        torch.distributed.all_gather(parts, tensor)
        return parts

    def _meet(self) -> None:
        """Waits for the others, as long as it takes them, and forms a group once."""
        import torch

        store = torch.distributed.FileStore(self._store)
        store.set(f"stage {self._stage} rank {self.rank}", "")
        keys = [f"stage {self._stage} rank {rank}" for rank in range(self.count)]
        while not store.check(keys):
            self._waiting()
            time.sleep(POLL_SECONDS)
        if not torch.distributed.is_initialized():
            hook = sys.excepthook  # PyTorch sets another, which names the process in every line
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            torch.distributed.init_process_group(
                backend,
                store=torch.distributed.PrefixStore("group", store),
                rank=self.rank,
                world_size=self.count,
            )
            sys.excepthook = hook

    def _reduced(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        """The moments of the whole batch, from those of equal parts."""
        whole = self.mean(mean)
        return whole, self.mean(variance + (mean - whole) ** 2)

    def _outputs(
        self, forward: Callable[..., np.ndarray], inputs: Any, batch_size: int
    ) -> np.ndarray:
        """The outputs for all inputs; each process computes those of some rows."""
        import torch

        ends = np.linspace(0, len(inputs), self.count + 1).astype(int)
        first, end = ends[self.rank], ends[self.rank + 1]
        own = forward(_Rows(inputs, first, end), batch_size) if end > first else None
        parts: list[np.ndarray | None] = [None] * self.count
        torch.distributed.all_gather_object(parts, own)
        return np.concatenate([part for part in parts if part is not None])


@dataclass(frozen=True)
class _Rows:
    """Some rows of inputs, which are read when they are indexed."""

    inputs: Any
    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first

    def __getitem__(self, rows: slice) -> Any:
        return self.inputs[self.first + rows.start : min(self.first + rows.stop, self.end)]


@dataclass(frozen=True)
class _Agreed(Control):
    """What the first process decides, in all of them; it alone has a control that does anything."""

    control: Control
    rank: int

    def due(self, epoch_ended: bool) -> bool:
        return self._said(self.rank == 0 and self.control.due(epoch_ended))

    def stops(self, epoch: Epoch, probabilities: np.ndarray) -> bool:
        return self._said(self.rank == 0 and self.control.stops(epoch, probabilities))

    def checkpoint(self, state: State) -> None:
        self.control.checkpoint(state)

    def _said(self, decision: bool) -> bool:
        import torch

        told = torch.tensor([decision], dtype=torch.uint8, device="cpu")
        torch.distributed.broadcast(told, 0)
        return bool(told)


def leave_group() -> None:
    """Leaves the group of processes, if this one is in one."""
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _step(trainer: Any, devices: TorchDevices) -> Callable[[Any], dict[str, Any]]:
    """A `train_step` that does what Keras's own does with the whole batch.

    Gradients are averaged; loss and metrics are those of the whole batch. Buckets of gradients keep
    their order: PyTorch would otherwise change it after the first step, and round differently in a
    run that is resumed.
    """
    import torch
    from torch.nn.parallel import DistributedDataParallel

    class Trained(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            values = [variable.value for variable in trainer.trainable_variables]
            self.weights = torch.nn.ParameterList(values)

        def forward(self, inputs: Any) -> Any:
            return trainer(inputs, training=True)

    model = DistributedDataParallel(Trained(), find_unused_parameters=True)
    loss_of_epoch = trainer.metrics[0]

    def step(data: Any) -> dict[str, Any]:
        inputs, targets, weights = data
        with whole_draws(devices.rank, devices.count):
            outputs = model(inputs)
        trainer.zero_grad()
        loss = trainer.compute_loss(inputs, targets, outputs, weights, training=True)
        trainer.optimizer.scale_loss(loss).backward()
        variables = trainer.trainable_variables
        with torch.no_grad():
            trainer.optimizer.apply([variable.value.grad for variable in variables], variables)
            said = torch.stack([targets, outputs.to(targets.dtype)])
            said = torch.cat(devices.gathered(said), dim=1)
            loss_of_epoch.update_state(devices.mean(loss), sample_weight=said.shape[1])
            return trainer.compute_metrics(inputs, *said, None)

    return step
