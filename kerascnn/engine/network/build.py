"""Builds an architecture and checks its contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kerascnn.components.component import BoundComponent
from kerascnn.engine.network.flat import inner_graph
from kerascnn.errors import PluginError
from kerascnn.hookspecs import Network, Weights

HEAD = "head"


@dataclass(frozen=True)
class Built:
    """A network with its layers grouped into blocks."""

    model: Any  # never compiled: stages compile models that share its layers
    block_of: Mapping[str, str]  # layer to block; the classifier is in "head"
    blocks: tuple[str, ...]  # from the input on, without the head
    weights: Weights | None = None  # None from scratch
    modules: tuple[str, ...] = ()  # to import before a saved model is loaded

    @property
    def pretrained(self) -> bool:
        return self.weights is not None

    def parameters(self) -> int:
        return self.model.count_params()


def build_network(architecture: BoundComponent, *, image_size: int, num_classes: int) -> Built:
    """Builds the architecture for images [S, S, 3], S = `image_size`, and K = `num_classes`.

    Raises:
        PluginError: The model is not a functional model from [B, S, S, 3] to [B, K] with layers
            named `head_...` and all other layers with weights in a block.
    """
    made = architecture.build(image_size=image_size, num_classes=num_classes)
    network = made if isinstance(made, Network) else Network(made, {})
    fault = _fault(network.model, image_size, num_classes)
    if fault:
        raise PluginError(f"{architecture.registered}: {fault}")
    block_of = _sort_into_blocks(network, architecture)
    named = dict.fromkeys(block_of[layer.name] for layer in network.model.layers if layer.weights)
    _join_the_block_before(network.model.layers, block_of, named)
    return Built(
        model=network.model,
        block_of=block_of,
        blocks=tuple(name for name in named if name != HEAD),
        weights=architecture.weights(image_size),
        modules=tuple(network.modules),
    )


def _fault(model: Any, image_size: int, num_classes: int) -> str | None:
    import keras

    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        return f"build must return a functional keras.Model, not {type(model).__name__}."
    expected_in, expected_out = (None, image_size, image_size, 3), (None, num_classes)
    if model.input_shape != expected_in:
        return f"its input must have shape {expected_in}, not {model.input_shape}."
    if model.output_shape != expected_out:
        return f"its output must have shape {expected_out}, not {model.output_shape}."
    if model.output.dtype != "float32":
        return f"its output must be float32, not {model.output.dtype}: set its last layer's dtype."
    for operation in model.operations:
        if inner := inner_graph(operation):
            return (
                f'the layer "{operation.name}" is a model of {len(inner.layers)} layers; '
                "kerascnn.flatten_model puts them into the network's own graph."
            )
    if not any(_is_head(layer.name) and layer.weights for layer in model.layers):
        return "no layer with weights is named head_…; kerascnn.classifier_head adds such layers."
    return None


def _is_head(layer_name: str) -> bool:
    return layer_name.startswith(f"{HEAD}_")


def _sort_into_blocks(network: Network, architecture: BoundComponent) -> dict[str, str]:
    block_of = {}
    for layer in network.model.layers:
        if _is_head(layer.name):
            block_of[layer.name] = HEAD
        elif not network.blocks:
            block_of[layer.name] = layer.name.split("_")[0]
        elif block := _matching(layer.name, network.blocks):
            block_of[layer.name] = block
        elif layer.weights:
            raise PluginError(
                f'{architecture.registered}: the layer "{layer.name}" has weights but is in no '
                "block: a pattern of Network.blocks has to match it."
            )
    return block_of


def _join_the_block_before(layers: Any, block_of: dict[str, str], weighted: Any) -> None:
    """Adds layers outside all blocks with weights to the block before: stages choose blocks."""
    block = None
    for layer in layers:
        own = block_of.get(layer.name)
        block = own if own in weighted else block
        if block:
            block_of[layer.name] = block


def _matching(layer_name: str, blocks: Mapping[str, Any]) -> str | None:
    for block, patterns in blocks.items():
        if any(fnmatchcase(layer_name, pattern) for pattern in patterns):
            return block
    return None
