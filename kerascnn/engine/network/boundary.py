"""The boundary: the last single tensor of a network before its first trainable layer."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kerascnn.runtime.keras_internals import nested_layers, nodes_in_order

INPUT = "input"


@dataclass(frozen=True)
class Cut:
    """A network in two halves that share its layers."""

    boundary: str  # the layer before it; "input" if none with weights comes before
    prefix: Any | None  # images to activations at the boundary; None if the boundary is the input
    suffix: Any  # activations to probabilities

    @property
    def image_size(self) -> int:
        """Pixels S, height and width."""
        return (self.suffix if self.prefix is None else self.prefix).input_shape[1]

    def whole(self) -> Any:
        """Both halves in one model, with the prefix in inference mode."""
        return self.moved(lambda shape: False).suffix

    def moved(self, fits: Callable[[tuple[int, ...]], bool]) -> "Cut":
        """Moves the cut towards the input, to the last single tensor whose shape fits.

        `fits` receives the shape without the batch axis. Returns this cut if it fits; else one
        whose suffix begins with the rest of the prefix, in inference mode; if no tensor fits, one
        at the input.
        """
        import keras

        if self.prefix is None or fits(self.prefix.output_shape[1:]):
            return self
        whole, stay = self.prefix, [t for t in single_tensors(self.prefix) if fits(t[0].shape[1:])]
        if not stay:
            return Cut(INPUT, None, _join(whole, self.suffix))
        tensor, name = stay[-1]
        between = keras.Model(tensor, whole.output)
        return Cut(name, keras.Model(whole.input, tensor), _join(between, self.suffix))


def cut(model: Any) -> Cut:
    """Cuts a functional model at its current boundary.

    Inside a residual block no single tensor separates the layers before from those after; the
    boundary is then before the block.
    """
    import keras

    *_, (tensor, name) = [(None, INPUT), *single_tensors(model)]
    if tensor is None:
        return Cut(INPUT, None, keras.Model(model.input, model.output))
    return Cut(name, keras.Model(model.input, tensor), keras.Model(tensor, model.output))


def _join(frozen: Any, suffix: Any) -> Any:
    import keras

    class Frozen(keras.Layer):
        """Runs in inference mode: Keras passes `training` to nested models by itself."""

        def call(self, inputs: Any) -> Any:
            return frozen(inputs, training=False)

    inputs = keras.Input(frozen.input_shape[1:], dtype=frozen.input.dtype)
    return keras.Model(inputs, suffix(Frozen(autocast=False)(inputs)))


def single_tensors(model: Any) -> Iterator[tuple[Any, str]]:
    """The single tensors from the first weights to the first trainable layer, with their layers.

    A tensor of unknown size is left out: how much its activations take is unknown, too.

    In any topological order, everything that such a tensor depends on comes before it and
    everything else after it, so one pass finds every cut.
    """
    nodes = nodes_in_order(model)
    waiting = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    waiting.update(id(tensor) for tensor in model.outputs)
    needed: set[int] = set()
    weights = False  # layers before the first weights only rescale images: not worth a cut
    for node in nodes:
        if _must_stay(node):
            return
        weights = weights or bool(getattr(node.operation, "weights", ()))
        for tensor in node.input_tensors:
            waiting[id(tensor)] -= 1
        needed |= {id(tensor) for tensor in node.outputs}
        needed = {tensor for tensor in needed if waiting[tensor]}
        if weights and needed == {id(node.outputs[0])} and None not in node.outputs[0].shape[1:]:
            yield node.outputs[0], node.operation.name


def _must_stay(node: Any) -> bool:
    """Whether the layer would compute something else if frozen and in inference mode.

    A frozen layer would not. A trainable one would, unless it is a pure function of its input:
    nothing to train, update, draw or add to the loss.
    """
    import keras

    if not isinstance(node.operation, keras.Layer):
        return False
    live = [layer for layer in (node.operation, *nested_layers(node.operation)) if layer.trainable]
    return any(map(_acts_in_training, live)) or _adds_loss(node, live)


def _acts_in_training(layer: Any) -> bool:
    return (
        bool(layer.trainable_variables)
        or len(layer.variables) > len(layer.weights)  # the state of its random generator
        or layer.activity_regularizer is not None
        or (not _is_chain(layer) and "training" in inspect.signature(layer.call).parameters)
        or (not _is_of_keras(layer) and bool(_own_weights(layer)))
    )


def _is_chain(layer: Any) -> bool:
    """Whether the layer is a nested model that only passes `training` to its layers."""
    import keras

    return isinstance(layer, keras.Model) and type(layer).call.__module__.startswith("keras.")


def _is_of_keras(layer: Any) -> bool:
    """Whether Keras defines the layer: these update weights only if `call` takes `training`."""
    return type(layer).__module__.startswith("keras.")


def _own_weights(layer: Any) -> set[int]:
    nested = nested_layers(layer)
    return {*map(id, layer.weights)} - {id(weight) for part in nested for weight in part.weights}


def _adds_loss(node: Any, live: list[Any]) -> bool:
    """Whether a plugin's layer calls `add_loss`; only a call shows it."""
    import keras
    from keras import ops

    layer = node.operation
    if all(_is_chain(part) or _is_of_keras(part) for part in live):
        return False

    def zeros(value: Any) -> Any:
        is_input = isinstance(value, keras.KerasTensor)
        return ops.zeros((1, *value.shape[1:]), value.dtype) if is_input else value

    arguments = keras.tree.map_structure(zeros, node.arguments.args)
    named = keras.tree.map_structure(zeros, node.arguments.kwargs)
    values = [variable.value for variable in layer.non_trainable_variables]
    try:
        *_, losses = layer.stateless_call([], values, *arguments, return_losses=True, **named)
    except Exception:  # not callable like this: leaving it in the suffix is always correct
        return True
    return bool(losses)
