"""The boundary: the last single tensor of a network before its first trainable weight."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

INPUT = "input"


@dataclass(frozen=True)
class Cut:
    """A network in two halves that share its layers.

    Args:
        boundary: Name of the layer whose output is the boundary; "input" when nothing is frozen
            before the first trainable weight.
        prefix: Pictures to activations at the boundary, or None at the input.
        suffix: From the boundary to probabilities.
    """

    boundary: str
    prefix: Any | None
    suffix: Any

    @property
    def image_size(self) -> int:
        """Pixels S, height and width."""
        return (self.suffix if self.prefix is None else self.prefix).input_shape[1]

    def whole(self) -> Any:
        """Both halves in one model, the prefix in inference mode as when it runs apart."""
        return self.moved(lambda shape: False).suffix

    def moved(self, fits: Callable[[tuple[int, ...]], bool]) -> "Cut":
        """Moves the cut towards the input, to the last single tensor whose shape fits.

        Args:
            fits: Is asked with the shape of an activation, without the batch's.

        Returns:
            This cut if it fits; one whose suffix begins with the rest of the prefix, in inference
            mode as before; where no tensor fits, one at the input.
        """
        import keras

        if self.prefix is None or fits(self.prefix.output_shape[1:]):
            return self
        whole, stay = self.prefix, [t for t in _single_tensors(self.prefix) if fits(t[0].shape[1:])]
        if not stay:
            return Cut(INPUT, None, _join(whole, self.suffix))
        tensor, name = stay[-1]
        between = keras.Model(tensor, whole.output)
        return Cut(name, keras.Model(whole.input, tensor), _join(between, self.suffix))


def cut(model: Any) -> Cut:
    """Cuts a functional model at the boundary of what is trainable now.

    Inside a residual block no single tensor separates what comes before from what comes after;
    the boundary then lies before the block.
    """
    import keras

    *_, (tensor, name) = [(None, INPUT), *_single_tensors(model)]
    if tensor is None:
        return Cut(INPUT, None, keras.Model(model.input, model.output))
    return Cut(name, keras.Model(model.input, tensor), keras.Model(tensor, model.output))


def _join(frozen: Any, suffix: Any) -> Any:
    import keras

    class Frozen(keras.Layer):
        """Keras hands `training` on to a nested model, whatever it was called with before."""

        def call(self, inputs: Any) -> Any:
            return frozen(inputs, training=False)

    inputs = keras.Input(frozen.input_shape[1:], dtype=frozen.input.dtype)
    return keras.Model(inputs, suffix(Frozen(autocast=False)(inputs)))


def in_order(model: Any) -> list[Any]:
    """The nodes of a functional model's graph, each after those that it depends on."""
    return [
        node for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True) for node in nodes
    ]


def _single_tensors(model: Any) -> Iterator[tuple[Any, str]]:
    """The single tensors between the first weights and those that train, and what makes them.

    Whatever order the graph is walked in, everything that such a tensor depends on comes before
    it and everything else after it, so one walk finds every cut.
    """
    nodes = in_order(model)
    waiting = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    waiting.update(id(tensor) for tensor in model.outputs)
    needed: set[int] = set()
    weights = False  # before them there is nothing to save: what rescales pictures costs nothing
    for node in nodes:
        if _must_stay(node.operation):
            return
        weights = weights or bool(getattr(node.operation, "weights", ()))
        for tensor in node.input_tensors:
            waiting[id(tensor)] -= 1
        needed |= {id(tensor) for tensor in node.outputs}
        needed = {tensor for tensor in needed if waiting[tensor]}
        if weights and needed == {id(node.outputs[0])}:
            yield node.outputs[0], node.operation.name


def _must_stay(operation: Any) -> bool:
    """Whether the stage trains the layer, or needs its randomness: dropout that is not frozen."""
    import keras

    if not isinstance(operation, keras.Layer):
        return False
    random = len(operation.variables) > len(operation.weights)  # the state of its generator
    return bool(operation.trainable_variables) or (random and operation.trainable)
