"""Several devices of JAX, in one process or in each of several: Keras's data parallelism."""

import atexit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from kerascnn.engine.training.devices.devices import Devices
from kerascnn.engine.training.devices.forming import LOOPBACK, is_local, listen
from kerascnn.engine.training.devices.group import Group
from kerascnn.engine.training.devices.together import Together
from kerascnn.engine.training.inputs import Inputs
from kerascnn.engine.training.micro_batches import MicroBatches
from kerascnn.runtime.keras_internals import lay_out

LATER_SECONDS = 60.0  # than the group, which says why, JAX aborts a process if another is lost


class JaxDevices(Devices):
    """The first devices of each process: JAX computes each step as one, on parts of the batch.

    Sums, and the moments of BatchNorm, are those of the whole batch.
    """

    def __init__(self, in_each_process: int) -> None:
        import jax
        import keras

        devices = [
            device
            for process in range(jax.process_count())
            for device in jax.local_devices(process)[:in_each_process]
        ]
        self.count = len(devices)
        self._distribution = keras.distribution.DataParallel(
            devices=devices, auto_shard_dataset=False
        )

    @contextmanager
    def holding(self, trainer: Any) -> Iterator[None]:
        variables = trainer.variables  # without those that compiling adds
        with self._distribution.scope():
            lay_out(variables, self._distribution)
            try:
                yield
            finally:
                lay_out(variables, None)

    @contextmanager
    def set_aside(self, variables: Any) -> Iterator[None]:
        """In its block, within that of `holding`, variables are on one device."""
        import keras

        lay_out(variables, None)
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(self._distribution)
            lay_out(variables, self._distribution)

    def spread(self, inputs: Inputs) -> Inputs:
        return replace(inputs, forward=partial(inputs.forward, place=self._place))

    def micro_batches(self, rows: int, most: int) -> MicroBatches:
        return MicroBatches(rows, most, self.count)

    def _place(self, batch: np.ndarray) -> Any:
        import jax

        return jax.device_put(batch, self._distribution.get_data_layout(batch.shape).backend_layout)


class JaxProcesses(Together):
    """The devices of several processes."""

    def __init__(self, group: Group, in_each: int) -> None:
        self._devices = JaxDevices(in_each)
        super().__init__(group, self._devices.count)

    @contextmanager
    def holding(self, trainer: Any) -> Iterator[None]:
        with super().holding(trainer), self._devices.holding(trainer):
            yield

    def micro_batches(self, rows: int, most: int) -> MicroBatches:
        return self._devices.micro_batches(rows, most)

    def forward(self, inputs: Inputs) -> Callable[..., np.ndarray]:
        """On one device, with a copy of the variables: Keras spreads what it predicts."""

        def alone(rows: Any, batch_size: int) -> np.ndarray:
            with self._devices.set_aside(inputs.forward.model.variables):
                return inputs.forward(rows, batch_size)

        return alone


def start_processes(group: Group) -> None:
    """Tells JAX of the processes of a group, before it starts."""
    import jax

    listener = listen(group.host)
    port = group.share({"port": listener.getsockname()[1]})["port"]
    listener.close()  # JAX opens it again
    bound = {"coordinator_bind_address": f"{LOOPBACK}:{port}"} if is_local(group.host) else {}
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        f"{group.host}:{port}",
        group.count,
        group.rank,
        cluster_detection_method="deactivate",
        heartbeat_timeout_seconds=int(group.heartbeat_seconds + LATER_SECONDS),
        **bound,
    )


def end_processes() -> None:
    """Ends what `start_processes` has started, in all of them."""
    import jax

    jax.distributed.shutdown()


def abandon_processes() -> None:
    """Has this process end without waiting for the others, which are lost."""
    import jax

    atexit.unregister(jax.distributed.shutdown)
