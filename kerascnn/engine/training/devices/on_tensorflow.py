"""Several devices of TensorFlow in one process: a mirrored strategy.

Each device computes its part of a batch with its own copy of all variables. What depends on the
whole batch is summed over the devices: gradients, before they are clipped, and the moments of
BatchNorm. So all make the same update.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from kerascnn.engine.network.inference import in_batches, to_numpy
from kerascnn.engine.training.devices.devices import UNEQUAL, Devices
from kerascnn.engine.training.devices.tensorflow_draws import whole_draws
from kerascnn.engine.training.inputs import Inputs
from kerascnn.engine.training.variables import optimizer_variables
from kerascnn.errors import RunError
from kerascnn.runtime.devices import tensorflow_devices
from kerascnn.runtime.keras_internals import (
    build_metrics,
    mirror,
    moments_reduced,
    seed_generator,
    takes_summed_gradients,
    unmirror,
)
from kerascnn.runtime.text import counted


class TensorFlowDevices(Devices):
    """The first devices of this host."""

    def __init__(self, count: int) -> None:
        from tensorflow import distribute

        self.count = count
        devices = tensorflow_devices()[:count]
        # the default's operations on a CPU allow one number of devices in a process
        on_cpu = distribute.ReductionToOneDevice() if "CPU" in devices[0] else None
        self._strategy = distribute.MirroredStrategy(devices, on_cpu)

    @contextmanager
    def holding(self, trainer: Any) -> Iterator[None]:
        variables = [*trainer.variables, _generator().state]
        before = mirror(variables, self._strategy)
        try:
            with moments_reduced(trainer, self._reduced):
                yield
        finally:
            unmirror(variables, before)

    def spread(self, inputs: Inputs) -> Inputs:
        from keras import ops

        trainer = inputs.trainer
        optimizer = optimizer_variables(trainer.optimizer)
        mirror(optimizer, self._strategy)
        takes_summed_gradients(trainer.optimizer)
        build_metrics(trainer, ops.zeros((1, *trainer.output_shape[1:])))
        trainer.train_function = self._step(trainer)
        held = [*trainer.variables, _generator().state, *optimizer]
        return replace(inputs, forward=self._forward(inputs.forward, held))

    def _step(self, trainer: Any) -> Callable[[Iterator[Any]], dict[str, Any]]:
        """A `train_function` that does what Keras's own does with the whole batch."""
        import tensorflow

        def part(inputs: Any, targets: Any, weights: Any) -> tuple[Any, Any]:
            with tensorflow.GradientTape() as tape:
                outputs = trainer(inputs, training=True)
                loss = trainer.compute_loss(inputs, targets, outputs, weights, training=True)
                scaled = trainer.optimizer.scale_loss(loss)
            variables = trainer.trainable_variables
            gradients = tape.gradient(scaled, variables)
            summed = iter(self._sum([one for one in gradients if one is not None]))
            gradients = [one if one is None else next(summed) for one in gradients]
            trainer.optimizer.apply(gradients, variables)
            return loss, outputs

        def step(inputs: Any, targets: Any, weights: Any) -> dict[str, Any]:
            with whole_draws(_replica, self.count):
                losses, outputs = self._run(part, inputs, targets, weights)
            loss, outputs = tensorflow.add_n(losses), tensorflow.concat(outputs, 0)
            trainer.metrics[0].update_state(loss, sample_weight=tensorflow.shape(targets)[0])
            return trainer.compute_metrics(inputs, targets, outputs, None)

        batch = trainer.input_shape, trainer.output_shape, (None,)
        signature = [tensorflow.TensorSpec(shape, tensorflow.float32) for shape in batch]
        traced = tensorflow.function(step, signature, autograph=False)
        return lambda batches: traced(*next(batches))

    def _forward(self, plain: Any, held: list[Any]) -> Callable[..., np.ndarray]:
        """A `Forward` on all devices, for which they must hold the same values."""
        import tensorflow

        def outputs(inputs: Any) -> Any:
            return tensorflow.concat(self._run(partial(plain.model, training=False), inputs), 0)

        traced = tensorflow.function(outputs, autograph=False)

        def forward(inputs: Any, batch_size: int) -> np.ndarray:
            self._require_equal(held)
            return in_batches(lambda batch: to_numpy(traced(batch)), inputs, batch_size)

        return forward

    def _run(self, function: Callable[..., Any], *whole: Any) -> Any:
        """Runs a function on each device with its part of batches; returns what each returned.

        If that is a tuple, what each returned for each of its items.
        """
        import tensorflow

        with tensorflow.device("CPU:0"):
            cut = [tensorflow.split(batch, self.count) for batch in whole]
        parts = [
            self._strategy.experimental_distribute_values_from_function(
                lambda device, parts=parts: parts[device.replica_id_in_sync_group]
            )
            for parts in cut
        ]
        returned = self._strategy.run(function, parts)
        return tensorflow.nest.map_structure(self._strategy.experimental_local_results, returned)

    def _sum(self, tensors: Any) -> Any:
        """Sums of tensors over the devices, on each of them; gradients pass through."""
        import tensorflow

        context = tensorflow.distribute.get_replica_context()
        return context.all_reduce(tensorflow.distribute.ReduceOp.SUM, tensors)

    def _reduced(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        """The moments of the whole batch, from those of equal parts."""
        whole = self._sum(mean) / self.count
        return whole, self._sum(variance + (mean - whole) ** 2) / self.count

    def _require_equal(self, variables: list[Any]) -> None:
        for variable in variables:
            of_devices = self._strategy.experimental_local_results(variable.value)
            first, *others = map(to_numpy, of_devices)
            if any(other.tobytes() != first.tobytes() for other in others):
                raise RunError(f"the {counted(self.count, 'device')} {UNEQUAL}")


def _generator() -> Any:
    """The generator for layers without their own, which each device has as well."""
    state = random.getstate()
    generator = seed_generator(create=True)
    random.setstate(state)  # as if it were created on first use
    return generator


def _replica() -> Any:
    """The number of the device that computes, from 0."""
    import tensorflow

    return tensorflow.distribute.get_replica_context().replica_id_in_sync_group
