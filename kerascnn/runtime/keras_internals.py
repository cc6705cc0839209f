"""Every private name of Keras and its backends that the package uses.

There is no public way to any of them. tests/runtime/test_keras_internals.py fails when one moves.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import get_ident
from typing import Any


def nested_layers(layer: Any) -> list[Any]:
    """The layers inside a layer or model, at any depth; none inside an operation."""
    flatten = getattr(layer, "_flatten_layers", None)
    return list(flatten(include_self=False)) if flatten else []


def functional_graph(operation: Any) -> Any | None:
    """The functional model that an operation is, or that a Sequential holds; None for others."""
    graph = getattr(operation, "_functional", operation)
    return graph if hasattr(graph, "_nodes_by_depth") else None


def nodes_in_order(model: Any) -> list[Any]:
    """The nodes of a functional model's graph, each after those that it depends on."""
    by_depth = sorted(model._nodes_by_depth.items(), reverse=True)
    return [node for _, nodes in by_depth for node in nodes]


def last_calls(model: Any) -> dict[str, Any]:
    """The last node of each operation in a functional model's own graph, by name, in order.

    An operation's `input` and `output` may belong to another graph: the first it was called in.
    """
    last = {node.operation.name: node for node in nodes_in_order(model)}
    return {operation.name: last[operation.name] for operation in model.operations}


def run_graph(model: Any, inputs: Any, call: Callable[..., Any]) -> Any:
    """Runs `call(operation, *arguments, **named)` for each node of a functional model, in order.

    `inputs` and the outputs that it returns have the structures of the model's own.
    """
    return model._run_through_graph(inputs, call_fn=call)


def node_behind(tensor: Any) -> Any:
    """The call of an operation that gave a tensor."""
    return place_of(tensor)[0]


def named(tensor: Any, name: str) -> Any:
    """The tensor, after its operation got a name: those of a model must be unique once loaded."""
    node_behind(tensor).operation.name = name
    return tensor


def place_of(tensor: Any) -> tuple[Any, int]:
    """The call of an operation that gave a tensor, and which of its outputs that is, from 0."""
    operation, call, output = tensor._keras_history
    return operation._inbound_nodes[call], output


@contextmanager
def calls_forgotten(model: Any) -> Iterator[None]:
    """Forgets at its end the calls of a functional model's operations that were made in its block.

    Every model that shares a layer with another adds such a call, and the layer keeps it, and the
    layers before and after it with their weights. Models that were made in the block break.
    """
    calls = known_calls(model)
    try:
        yield
    finally:
        forget_calls(calls)


def known_calls(model: Any) -> list[tuple[list[Any], int]]:
    """The calls of a functional model's operations, and how many there are."""
    return [
        (nodes, len(nodes))
        for operation in model.operations
        for nodes in (operation._inbound_nodes, operation._outbound_nodes)
    ]


def forget_calls(calls: list[tuple[list[Any], int]]) -> None:
    """Forgets those that were made after `known_calls` returned these."""
    for nodes, count in calls:
        while len(nodes) > count:
            nodes.pop()


def build_metrics(trainer: Any, targets: Any) -> None:
    """Creates the variables of a compiled model's metrics and loss before its first step, unless it
    has them.

    `targets` is a batch of labels, and of predictions, of any values.
    """
    if not trainer._compile_metrics.built:
        trainer._compile_metrics.build(targets, targets)
        trainer._compile_loss.build(targets, targets)


def compiled_parts(trainer: Any) -> dict[str, Any]:
    """What `compile` gives a model, and whether it is to stop, by what messages call it."""
    return {
        "the loss": trainer._compile_loss,
        "the metrics": trainer._compile_metrics,
        "the optimizer": trainer.optimizer,
        "stop_training": trainer.stop_training,
    }


def optimized_variables(optimizer: Any) -> list[Any]:
    return _inner(optimizer)._trainable_variables


def moving_averages(optimizer: Any) -> list[Any]:
    """The moving averages of those variables, in their order; none without `use_ema`."""
    inner = _inner(optimizer)
    return inner._model_variables_moving_average if inner.use_ema else []


def learning_rate(optimizer: Any) -> Any:
    """The variable or LearningRateSchedule that an optimizer was given."""
    return _inner(optimizer)._learning_rate


def schedule_step(optimizer: Any) -> Any:
    """The step that a schedule is asked with; `iterations` counts accumulated steps as one."""
    return _inner(optimizer)._iterations


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer


@cache
def with_rate_factors(optimizer_class: Any) -> Any:
    """A class of optimizer that scales learning rate and weight decay of each variable.

    Its instances need `factors`: the factor by variable path, 1 where a path is missing.
    """

    class Scaled(optimizer_class):
        factors: dict[str, float]

        def _known(self, variable: Any) -> Any:
            """Keras's variable: TensorFlow passes its own, which does not know the path."""
            return self._trainable_variables[self._get_variable_index(variable)]

        def _factor(self, variable: Any) -> float:
            return self.factors.get(self._known(variable).path, 1.0)

        def _decay(self, variable: Any) -> float | None:
            """Muon leaves most variables to Adam, whose decay is another."""
            by_adam = getattr(self, "_should_use_adamw", lambda known: False)
            return self.adam_weight_decay if by_adam(self._known(variable)) else self.weight_decay

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            super().update_step(gradient, variable, learning_rate * self._factor(variable))

        def _apply_weight_decay(self, variables: Any) -> None:
            for variable in variables:
                decay = self._decay(variable)
                if decay and self._use_weight_decay(variable):
                    share = decay * self._factor(variable) * self.learning_rate
                    variable.assign(variable - variable * share)

    Scaled.__name__ = optimizer_class.__name__
    return Scaled


def lay_out(variables: Iterable[Any], distribution: Any | None) -> None:
    """Moves variables of JAX to where a distribution wants them, or to the first device (None)."""
    import numpy as np

    for variable in variables:
        variable._layout = distribution and distribution.get_variable_layout(variable)
        if variable._value is not None:  # as after a failure within `fit`
            variable.assign(np.asarray(variable._value))


def mirror(variables: Iterable[Any], strategy: Any) -> list[Any]:
    """Gives variables of TensorFlow a value on each device of a strategy; returns what they had.

    Each device updates its own.
    """
    import tensorflow

    before = []
    for variable in variables:
        own = variable._value
        with strategy.scope():
            variable._value = tensorflow.Variable(own, trainable=own.trainable, name=variable.name)
        before.append(own)
    return before


def unmirror(variables: Iterable[Any], before: Iterable[Any]) -> None:
    """Undoes `mirror`, which returned `before`; the values are those of the first device."""
    for variable, own in zip(variables, before, strict=True):
        own.assign(variable._value.values[0])
        variable._value = own


def takes_summed_gradients(optimizer: Any) -> None:
    """Under a strategy of TensorFlow, the gradients that an optimizer is given are already summed.

    By itself it sums them after it has clipped those of each device.
    """
    _inner(optimizer)._all_reduce_sum_gradients = lambda gradients: gradients


@contextmanager
def moments_reduced(model: Any, reduce: Callable[[Any, Any], tuple[Any, Any]]) -> Iterator[None]:
    """Each BatchNorm of a model normalises by `reduce(mean, variance)` of a batch in its block."""
    from keras.layers import BatchNormalization

    norms = [layer for layer in nested_layers(model) if isinstance(layer, BatchNormalization)]
    for norm in norms:
        own = norm._moments
        vars(norm)["_moments"] = lambda *given, own=own: reduce(*own(*given))
    try:
        yield
    finally:
        for norm in norms:
            del vars(norm)["_moments"]


@contextmanager
def step_replaced(trainer: Any, step: Callable[..., Any]) -> Iterator[None]:
    """A compiled model trains by another `train_step` in its block."""
    own = vars(trainer)
    before = own.get("train_step")
    own["train_step"] = step
    try:
        yield
    finally:
        if before:
            own["train_step"] = before
        else:
            del own["train_step"]


@contextmanager
def draws_cut(cut: Callable[[Any], Any], rows: int, whole: int) -> Iterator[None]:
    """In its block, what layers draw for `rows` images is a part, by `cut`, of a draw for `whole`.

    Keras's dropout, and normal, uniform and integer numbers whose first axis is the images.
    """
    from keras import ops
    from keras.src import backend

    thread, module = get_ident(), vars(backend.random)

    def own_part(drawn: Any) -> Any:
        return ops.copy(cut(drawn))  # PyTorch's view would keep all of it

    def cutting(draw: Callable[..., Any]) -> Callable[..., Any]:
        def drawn(shape: Any, *arguments: Any, **named: Any) -> Any:
            of_images = isinstance(shape, tuple | list) and _first(shape) == rows
            if not of_images or get_ident() != thread:
                return draw(shape, *arguments, **named)
            return own_part(draw((whole, *shape[1:]), *arguments, **named))

        return drawn

    def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        sizes = tuple(noise_shape or inputs.shape)
        sizes = tuple(
            size if asked is None else asked
            for size, asked in zip(inputs.shape, sizes, strict=True)
        )
        if _first(sizes) != rows or get_ident() != thread:
            return plain["dropout"](inputs, rate, noise_shape, seed)
        shape = (whole, *sizes[1:])
        ones, shaped = ops.ones(shape, inputs.dtype), noise_shape and shape
        return inputs * own_part(plain["dropout"](ones, rate, shaped, seed))

    names = ("normal", "uniform", "randint", "truncated_normal", "dropout")
    plain = {name: module[name] for name in names}
    module.update({name: cutting(draw) for name, draw in plain.items()} | {"dropout": dropout})
    try:
        yield
    finally:
        module.update(plain)


def _first(shape: Any) -> int | None:
    """The first size of a shape, if it is known."""
    return shape[0] if len(shape) and isinstance(shape[0], int) else None


def seed_generator(*, create: bool = False) -> Any:
    """The generator for layers and operations without their own; None before its first use."""
    from keras.src.backend.common import global_state
    from keras.src.random import seed_generator

    if create:
        return seed_generator.global_seed_generator()
    return global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR)


def keras_state() -> Any:
    """Keras's state: dtype policy, seed, distribution, numbers in layer names; see below."""
    from keras.src.backend.common import global_state

    return global_state.GLOBAL_STATE_TRACKER


def set_keras_state(state: Any) -> None:
    """Restores what `keras_state` returned; `clear_session` has replaced it since."""
    from keras.src.backend.common import global_state

    global_state.GLOBAL_STATE_TRACKER = state


def name_counts() -> dict[str, int]:
    """How often Keras has given out each name, which numbers the next layer of that name."""
    from keras.src.backend.common import global_state

    return dict(global_state.get_global_attribute("object_name_uids", {}))


def set_name_counts(counts: dict[str, int]) -> None:
    """Restores what `name_counts` returned."""
    from keras.src.backend.common import global_state

    global_state.set_global_attribute("object_name_uids", defaultdict(int, counts))


def tensorflow_seed() -> int | None:
    from tensorflow.python.eager import context

    return context.global_seed()


def set_tensorflow_seed(seed: int | None) -> None:
    """Unlike `tensorflow.random.set_seed`, takes None: no seed."""
    from tensorflow.python.eager import context

    context.set_global_seed(seed)


def tensorflow_is_deterministic() -> bool:
    from tensorflow.python.framework import config

    return config.is_op_determinism_enabled()


def disable_tensorflow_determinism() -> None:
    from tensorflow.python.framework import config

    config.disable_op_determinism()


def tensorflow_gradients() -> dict[str, Any]:
    """TensorFlow's registry of gradients, by name; every `tf.custom_gradient` adds to it."""
    from tensorflow.python.framework import ops

    return ops.gradient_registry._registry


def abandon_torch_group() -> None:
    """Ends what GPUs wait for from processes that have ended; on a CPU connections just break."""
    import torch

    if torch.distributed.is_initialized() and torch.cuda.is_available():
        torch.distributed.distributed_c10d._abort_process_group()
