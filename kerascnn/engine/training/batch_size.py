"""`batch_size = "auto"`: the largest power of two that trains, found by trial on the device."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.training.accumulation import accumulating
from kerascnn.engine.training.compile import compile_stage
from kerascnn.engine.training.inputs import choose
from kerascnn.engine.training.memory import (
    device_bytes,
    forget_memory,
    free_bytes,
    is_out_of_memory,
    memory_bytes,
)
from kerascnn.engine.training.micro_batches import MicroBatches
from kerascnn.engine.training.plan import Plan, plan_stage
from kerascnn.engine.training.variables import assign, random_state, set_random_state, values
from kerascnn.errors import RunError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.training import AUTO
from kerascnn.runtime.cache import cached
from kerascnn.runtime.compilation import graphs_freed
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.keras_internals import (
    calls_forgotten,
    name_counts,
    nested_layers,
    set_name_counts,
)
from kerascnn.runtime.versions import installed_versions

STEPS = 10
"""The fewest of an epoch: with fewer, the same number of epochs trains less."""
MARGIN = 8
"""A trial has one image more for each eight, for what else may need memory during a run."""
SETTING = "training.batch_size"
KIND, FILE = "batch_sizes", "batch_size.json"


def with_batch_size(
    experiment: BoundExperiment,
    network: Built,
    data: Data,
    devices: int,
    decides: Sequence[Any],
    progress: Callable[[int, int], None],
) -> BoundExperiment:
    """An experiment whose batch size is a number: its own, or one that trials have found.

    Args:
        network: As it was built; it is left so.
        devices: How many take an equal part of each batch.
        decides: What decides the network and its precision; "" is code that cannot be read.
        progress: Receives the number of trials made, and how many there may be.

    Raises:
        InputError: A stage does not fit the network or the data.
        RunError: Not even one image on each device can be trained on.
    """
    if experiment.training.batch_size != AUTO:
        return experiment
    images = len(data.train)
    most = devices * _power_of_two(images // (STEPS * devices))
    largest = experiment.with_overrides({SETTING: most})
    with _left_as_it_is(network):
        plans = [
            plan_stage(largest, index, network, data)
            for index, stage in enumerate(experiment.stages)
            if stage.settings.batch_size is None
        ]
        size = _Trials(network, plans, devices, most, decides).batch_size(progress)
    return experiment.with_overrides({SETTING: size})


@dataclass(frozen=True)
class _Trials:
    network: Built
    plans: Sequence[Plan]  # of the stages without a batch size of their own
    devices: int
    most: int
    decides: Sequence[Any]

    def batch_size(self, progress: Callable[[int, int], None]) -> int:
        """The one that the cache has for this device, or else the result of trials."""
        if not self.plans:
            return self.most
        if "" in self.decides or any(not plan.loss_key for plan in self.plans):
            return self._found(progress)

        def write(folder: Path) -> None:
            (folder / FILE).write_text(json.dumps(self._found(progress)), "utf-8")

        def read(folder: Path) -> int:
            return json.loads((folder / FILE).read_text("utf-8"))

        about = f"{self.plans[0].architecture} on {device_name()}"
        return cached(KIND, self._key(), about, write, read)

    def _key(self) -> str:
        decides = {
            "network": self.decides,
            "most": self.most,
            "devices": self.devices,
            "device": [device_name(), device_bytes()],
            "versions": installed_versions(),
            "stages": [
                {
                    "layers": sorted(plan.layers),
                    "batchnorm": plan.batchnorm,
                    "gradient accumulation": plan.accumulation,
                    "stored": plan.views > 0,
                    "optimizer": plan.stage.optimizer.model_dump(mode="json"),
                    "averaged": plan.stage.ema_fraction > 0,
                    "loss": plan.loss_key,
                }
                for plan in self.plans
            ],
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()

    def _found(self, progress: Callable[[int, int], None]) -> int:
        size, made = self.most, 0
        total = (size // self.devices).bit_length() + len(self.plans) - 1
        for plan in self.plans:
            while not self._trains(plan, size):
                if size == self.devices:
                    raise RunError(
                        f'stage "{plan.stage.name}": out of memory at one image; use a smaller '
                        "image_size or network."
                    )
                size //= 2
                progress(made := made + 1, total)
            progress(made := made + 1, total)
        progress(total, total)
        return size

    def _trains(self, plan: Plan, size: int) -> bool:
        """Whether a few steps of a stage succeed with a few images more than that many."""
        rows = size // self.devices
        rows += -(-rows // MARGIN)
        try:
            with _left_as_it_is(self.network):
                return self._steps(replace(plan, batch_size=rows))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        forget_memory()  # only here: the error held what the steps had made
        return False

    @graphs_freed()
    def _steps(self, plan: Plan) -> bool:
        """Takes two steps on images or activations of zeros; False if memory would not suffice."""
        model = self.network.model
        set_trainable(model, plan.layers, plan.batchnorm)
        parts, limit = cut(model), free_bytes(self.devices)
        rows = -(-plan.batch_size // plan.accumulation)
        if limit is not None and memory_bytes(model, parts.suffix, rows) > limit:
            return False
        kept, _ = choose(parts, plan, plan.views * plan.images)
        stored = kept.prefix is None or plan.views
        trainer = kept.suffix if stored else parts.whole()
        compile_stage(self.network, plan, trainer, steps=STEPS, one_by_one=True)
        batch = [
            np.zeros((plan.batch_size, *shape[1:]), np.float32)
            for shape in (trainer.input_shape, trainer.output_shape, (None,))
        ]
        with accumulating(trainer, MicroBatches(plan.batch_size, plan.accumulation)):
            for _ in range(2):  # the second has the optimizer's variables
                np.asarray(trainer.train_on_batch(*batch))  # waits for the step
        return True


def _power_of_two(most: int) -> int:
    """The largest that is not more than a number; at least 1."""
    return 1 << max(0, most.bit_length() - 1)


@contextmanager
def _left_as_it_is(network: Built) -> Iterator[None]:
    """Puts back, at its end, what training changes: weights, generators, what is trainable."""
    model = network.model
    before, random, names = values(model.variables), random_state(), name_counts()
    trainable = [(layer, layer.trainable) for layer in nested_layers(model)]
    try:
        with calls_forgotten(model):
            yield
    finally:
        for layer, was in trainable:
            layer.trainable = was
        assign(model.variables, before)
        set_random_state(random)
        set_name_counts(names)
