"""The boundary: the last single tensor of a network before its first trainable weight."""

from collections import Counter
from dataclasses import dataclass
from typing import Any


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

    def whole(self) -> Any:
        """Both halves in one model, the prefix in inference mode as when it runs apart."""
        import keras

        if self.prefix is None:
            return self.suffix
        prefix = self.prefix

        class Frozen(keras.Layer):
            """Keras hands `training` on to a nested model, whatever it was called with before."""

            def call(self, inputs: Any) -> Any:
                return prefix(inputs, training=False)

        pictures = keras.Input(prefix.input_shape[1:])
        return keras.Model(pictures, self.suffix(Frozen(autocast=False)(pictures)))


def cut(model: Any) -> Cut:
    """Cuts a functional model at the boundary of what is trainable now.

    Inside a residual block no single tensor separates what comes before from what comes after;
    the boundary then lies before the block.
    """
    import keras

    tensor, name = _boundary(model)
    if tensor is None:
        return Cut("input", None, keras.Model(model.input, model.output))
    return Cut(name, keras.Model(model.input, tensor), keras.Model(tensor, model.output))


def _boundary(model: Any) -> tuple[Any | None, str]:
    """The last single tensor that the rest of the network needs, and the layer that makes it.

    Whatever order the graph is walked in, everything that such a tensor depends on comes before
    it and everything else after it, so one walk finds every cut.
    """
    nodes = [
        node for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True) for node in nodes
    ]
    waiting = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    waiting.update(id(tensor) for tensor in model.outputs)
    needed: set[int] = set()
    found, name = None, "input"
    for node in nodes:
        if _must_stay(node.operation):
            break
        for tensor in node.input_tensors:
            waiting[id(tensor)] -= 1
        needed |= {id(tensor) for tensor in node.outputs}
        needed = {tensor for tensor in needed if waiting[tensor]}
        if not node.is_input and needed == {id(node.outputs[0])}:
            found, name = node.outputs[0], node.operation.name
    return found, name


def _must_stay(operation: Any) -> bool:
    """Whether the stage trains the layer, or needs its randomness: dropout that is not frozen."""
    import keras

    if not isinstance(operation, keras.Layer):
        return False
    random = len(operation.variables) > len(operation.weights)  # the state of its generator
    return bool(operation.trainable_variables) or (random and operation.trainable)
