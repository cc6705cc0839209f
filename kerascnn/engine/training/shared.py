"""Trainers that stages share: a head on stored features is traced once for all that differ in
numbers only.

To trace and compile a training step takes longer than to train such a head. So its rates, weight
decay and dropout are variables, and a copy of it, with variables of its own, serves one stage after
another of the same structure.
"""

import hashlib
import inspect
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from kerascnn.engine.network.build import Built
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.training.compile import compile_trainer, make_schedule, start
from kerascnn.engine.training.inputs import Inputs
from kerascnn.engine.training.optimizers import optimizer_class
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.variables import (
    assign,
    optimizer_variables,
    random_state,
    set_random_state,
    values,
)
from kerascnn.runtime.keras_internals import nodes_in_order
from kerascnn.runtime.process import Recent

MOST_WEIGHTS = 1_000_000
"""Of a head that is copied."""
SAMPLES = 3


@dataclass(frozen=True)
class Copies:
    """The variables that a stage trains instead of the network's own, with those; or none."""

    pairs: Sequence[tuple[Any, Any]] = ()

    def of(self, variables: Iterable[Any]) -> list[Any]:
        """What is trained instead of these variables of the network."""
        known = {id(own): copy for own, copy in self.pairs}
        return [known.get(id(variable), variable) for variable in variables]

    def fill(self) -> None:
        assign([copy for _, copy in self.pairs], values(own for own, _ in self.pairs))

    def write_back(self) -> None:
        assign([own for own, _ in self.pairs], values(copy for _, copy in self.pairs))


@dataclass(frozen=True)
class Compiled:
    """What trains a stage.

    Args:
        inputs: With a compiled trainer.
        schedule: As a callback.
        copies: The trainer's variables, if they are not those of the network.
    """

    inputs: Inputs
    schedule: Any
    copies: Copies


@dataclass(frozen=True)
class _Shared:
    """A compiled copy of a head."""

    trainer: Any
    forward: Forward
    initial: list[np.ndarray]  # values of the optimizer's variables


_left = Recent[_Shared](8)


@contextmanager
def compiled_for(
    network: Built, plan: Plan, inputs: Inputs, devices: int = 1
) -> Iterator[Compiled]:
    """Compiles a stage's trainer, or takes one that is shared; the next gets it if none fails.

    Those that several devices hold are shared by stages on as many.
    """
    steps = inputs.feed.steps
    schedule = make_schedule(plan, steps)
    key = _structure(plan, inputs, schedule, devices)
    if not key:
        one_by_one = devices > 1
        compile_trainer(network, plan, inputs.trainer, steps, schedule, one_by_one=one_by_one)
        yield Compiled(inputs, start(schedule, plan, inputs.trainer, steps), Copies())
        return
    layers = _chain(inputs.trainer)
    shared = _left.take(key) or _make(network, plan, inputs, layers)
    trainer = shared.trainer
    copies = Copies(
        [
            pair
            for own, copy in zip(layers, trainer.layers[1:], strict=True)
            for pair in zip(own.variables, _stateful(copy), strict=True)
        ]
    )
    copies.fill()
    assign(optimizer_variables(trainer.optimizer), shared.initial)
    _set_numbers(trainer, layers, plan, schedule)
    inputs = replace(inputs, trainer=trainer, forward=shared.forward)
    yield Compiled(inputs, start(schedule, plan, trainer, steps), copies)
    _left.put(key, shared)


def _structure(plan: Plan, inputs: Inputs, schedule: Any, devices: int) -> str:
    """Identifies what a head's training step is traced from, without numbers; "" if not shared."""
    import keras

    stage, trainer = plan.stage, inputs.trainer
    optimizer = inspect.signature(optimizer_class(stage.optimizer.name)).parameters
    is_head = len(trainer.input_shape) == 2 and trainer.count_params() <= MOST_WEIGHTS
    layers = _chain(trainer)
    backend = keras.config.backend()
    if (
        backend == "torch"  # traces nothing
        or (backend == "tensorflow" and devices > 1)  # whose variables are the network's own
        or not (is_head and layers and plan.loss_key and inputs.cached.views)
        or stage.layer_decay != 1
        or "adam_weight_decay" in optimizer  # of Muon: a second number
        or keras.config.dtype_policy().compute_dtype == "float16"  # whose loss is scaled
        or not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    ):
        return ""
    decides = [
        [_described(layer) for layer in layers],
        [trainer.input_shape, trainer.input.dtype, plan.batch_size, inputs.feed.steps],
        [stage.epochs, stage.optimizer.model_dump(mode="json"), stage.weight_decay is None],
        [stage.clip_norm, stage.ema_fraction, plan.loss_key, devices, plan.accumulation],
    ]
    return hashlib.sha256(json.dumps(decides, default=str).encode()).hexdigest()


def _chain(model: Any) -> list[Any]:
    """The layers of a model that are Keras's own and follow one on another; none if it has others.

    Without that of its input.
    """
    nodes = nodes_in_order(model)
    for before, after in pairwise(nodes):
        if [*map(id, after.input_tensors)] != [*map(id, before.outputs)]:
            return []
    layers = [node.operation for node in nodes[1:]]
    plain = all(type(layer).__module__.startswith("keras.src.layers.") for layer in layers)
    return layers if plain and len({*map(id, layers)}) == len(layers) else []


def _described(layer: Any) -> tuple[str, Any]:
    config = layer.get_config()
    if _is_dropout(layer):
        config = {**config, "rate": "a number", "seed": None}
    return type(layer).__qualname__, config


def _is_dropout(layer: Any) -> bool:
    import keras

    return type(layer) is keras.layers.Dropout and 0 < layer.rate < 1 and not layer.noise_shape


def _make(network: Built, plan: Plan, inputs: Inputs, layers: list[Any]) -> _Shared:
    import keras

    from kerascnn.engine.training.adjustable import Dropout, Rates

    random = random_state()
    steps, suffix = inputs.feed.steps, inputs.trainer
    first = x = keras.Input(suffix.input_shape[1:], dtype=suffix.input.dtype)
    for layer in layers:
        if _is_dropout(layer):
            x = Dropout(name=layer.name, dtype=layer.dtype_policy)(x)
        else:
            x = type(layer).from_config(layer.get_config())(x)
    trainer = keras.Model(first, x)
    rates = keras.Variable(np.zeros(steps * plan.stage.epochs, np.float32), trainable=False)
    compile_trainer(network, plan, trainer, steps, Rates(rates))
    optimizer = trainer.optimizer
    optimizer.rates = rates  # tracked, as a variable that a step reads has to be on JAX
    if plan.stage.weight_decay is not None:
        optimizer.weight_decay = keras.Variable(np.float32(0), trainable=False)
    set_random_state(random)  # layers draw seeds
    return _Shared(trainer, Forward(trainer), values(optimizer_variables(optimizer)))


def _stateful(layer: Any) -> list[Any]:
    """A layer's variables, without its numbers."""
    return [variable for variable in layer.variables if variable is not _numbers(layer)]


def _numbers(layer: Any) -> Any:
    return getattr(layer, "numbers", None)


def _set_numbers(trainer: Any, layers: list[Any], plan: Plan, schedule: Any) -> None:
    for own, copy in zip(layers, trainer.layers[1:], strict=True):
        if _numbers(copy) is not None:
            copy.set_rate(own.rate)
    rates = trainer.optimizer.rates
    rates.assign(rates_of(schedule, rates.shape[0]))
    if plan.stage.weight_decay is not None:
        trainer.optimizer.weight_decay.assign(np.float32(plan.stage.weight_decay))


def rates_of(schedule: Any, steps: int) -> np.ndarray:
    """The learning rate of each step, float32 [steps].

    In one call, if the schedule takes several steps at once; a few are compared with calls of one.
    """
    from keras import ops

    def one(step: int) -> float:
        return float(ops.convert_to_numpy(schedule(ops.convert_to_tensor(step, "int32"))))

    numbers = np.arange(steps, dtype=np.int32)
    samples = np.linspace(0, steps - 1, SAMPLES, dtype=int).tolist()
    with suppress(Exception):  # of a plugin's schedule
        rates = ops.convert_to_numpy(schedule(ops.convert_to_tensor(numbers)))
        if np.allclose(rates[samples], [one(step) for step in samples], rtol=1e-6, atol=0):
            return np.array(rates, np.float32)
    return np.array([one(step) for step in range(steps)], np.float32)
