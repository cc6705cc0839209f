"""Several devices with PyTorch: a process for each, of which this is one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kerascnn.engine.training.devices.forming import listen
from kerascnn.engine.training.devices.group import LEADER, Group
from kerascnn.engine.training.devices.together import Together
from kerascnn.engine.training.devices.torch_draws import whole_draws
from kerascnn.engine.training.inputs import Inputs
from kerascnn.runtime.devices import available_cores
from kerascnn.runtime.keras_internals import moments_reduced


class TorchDevices(Together):
    """One device in each process of a group."""

    def __init__(self, group: Group) -> None:
        super().__init__(group, group.count)
        self.rank = group.rank

    @contextmanager
    def holding(self, trainer: Any) -> Iterator[None]:
        """A CPU's cores are divided among the processes on it."""
        import torch

        with super().holding(trainer):
            _form(self.group)
            threads = torch.get_num_threads()
            torch.set_num_threads(max(1, available_cores() // self.group.on_host))
            try:
                with moments_reduced(trainer, self._reduced):
                    yield
            finally:
                vars(trainer).pop("train_step", None)
                torch.set_num_threads(threads)

    def spread(self, inputs: Inputs) -> Inputs:
        inputs.trainer.train_step = _step(inputs.trainer, self)
        return super().spread(inputs)

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

    def _reduced(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        """The moments of the whole batch, from those of equal parts."""
        whole = self.mean(mean)
        return whole, self.mean(variance + (mean - whole) ** 2)


def _form(group: Group) -> None:
    """Forms PyTorch's own group once, of which the leader says where."""
    import torch

    if torch.distributed.is_initialized():
        return
    host, lead = group.host, group.rank == LEADER
    if lead:
        listener = listen(host)
        port = group.share({"port": listener.getsockname()[1]})["port"]
        store = torch.distributed.TCPStore(
            host, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach()
        )
    else:
        store = torch.distributed.TCPStore(host, group.share()["port"])
    hook = sys.excepthook  # PyTorch sets another, which names the process in every line
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(
        backend, store=store, rank=group.rank, world_size=group.count
    )
    sys.excepthook = hook


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
