"""Several devices of JAX in one process: Keras's data parallelism."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from kerascnn.engine.training.devices.devices import Devices
from kerascnn.engine.training.inputs import Inputs
from kerascnn.engine.training.micro_batches import MicroBatches
from kerascnn.runtime.keras_internals import lay_out


class JaxDevices(Devices):
    """The first devices of this host: JAX computes each step as one, on parts of the batch.

    Sums, and the moments of BatchNorm, are those of the whole batch.
    """

    def __init__(self, count: int) -> None:
        import jax
        import keras

        self.count = count
        devices = jax.local_devices()[:count]
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

    def spread(self, inputs: Inputs) -> Inputs:
        return replace(inputs, forward=partial(inputs.forward, place=self._place))

    def micro_batches(self, rows: int, most: int) -> MicroBatches:
        return MicroBatches(rows, most, self.count)

    def _place(self, batch: np.ndarray) -> Any:
        import jax

        return jax.device_put(batch, self._distribution.get_data_layout(batch.shape).backend_layout)
