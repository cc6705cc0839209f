"""Puts a functional model on new inputs as one flat graph."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from kerascnn.engine.network.saved import reason_of
from kerascnn.errors import InputError, PluginError
from kerascnn.runtime.keras_internals import (
    functional_graph,
    nested_layers,
    node_behind,
    run_graph,
)

Share = Callable[[Any, Any, Any, Callable[[Any, Any], tuple[Any, Any]]], tuple[Any, Any]]
"""Receives an operation, its arguments and how to call a copy of it with such; see `Flattening`."""


def flatten_model(model: Any, inputs: Any, *, prefix: str = "", owner: Any = None) -> Any:
    """Copies a functional model onto new inputs as one flat graph, with the same weights.

    Models inside the model, at any depth, are replaced by their layers. A layer that is called
    several times stays one layer. The copies have variables of their own, with the same values:
    `model` and its layers are not changed, and may be discarded. A layer keeps its name; where the
    new graph has that name already, a number is appended.

    Layers of Keras are made again from their settings. So are others, unless they are part of a
    model that defines settings of its own, as those of libraries do: they become `ModelPart`s,
    which that model makes again.

    Args:
        model: A functional or Sequential `keras.Model`, of any inputs and outputs.
        inputs: The tensors to put it on, in the structure of `model.input`.
        prefix: Put in front of the names of all layers; default nothing.
        owner: The model that has these layers, where `model` is another graph of them; default
            `model`.

    Returns:
        The output tensors, in the structure of `model.output`.

    Raises:
        InputError: A layer cannot be made again from its settings, as loading a saved model does.
        PluginError: The model is not functional, or defines a `call` of its own.
    """
    import keras

    if inner_graph(model) is None:
        raise PluginError(
            f'flatten_model needs a functional or a built Sequential model; "{model.name}" is '
            f"{type(model).__name__}, with a call of its own or without a graph."
        )
    return Flattening(keras.tree.flatten(inputs)).put(model, inputs, prefix, owner)


class Flattening:
    """Puts models on one graph, each layer copied with its weights.

    Args:
        inputs: The tensors that the graph begins with.
        shared: Makes one call of those that compute the same; default every call is made.
    """

    def __init__(self, inputs: list[Any], shared: "Share | None" = None) -> None:
        self._taken = _names_behind(inputs)
        self._shared = shared
        self._prefix = ""
        self._copies: dict[int, Any] = {}
        self._made_by_owner: dict[int, Callable[[Any, str], Any]] = {}

    def put(self, model: Any, inputs: Any, prefix: str = "", owner: Any = None) -> Any:
        """The outputs of a functional model on these inputs; see `flatten_model`."""
        self._prefix, self._copies = prefix, {}
        self._made_by_owner = _made_by(owner or model)
        return self._run(inner_graph(model), inputs, None)

    def _run(self, graph: Any, tensors: Any, training: bool | None) -> Any:
        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if inner := inner_graph(operation):
                tensors = args[0] if args else kwargs["inputs"]
                return self._run(inner, tensors, kwargs.get("training", training))
            if training is not None and _takes_training(operation):
                kwargs = {"training": training, **kwargs}
            if self._shared is None:
                return self._call(operation, args, kwargs)[1]
            made = self._shared(operation, args, kwargs, partial(self._call, operation))
            copy, outputs = made
            self._copies.setdefault(id(operation), copy)
            return outputs

        return run_graph(graph, tensors, call)

    def _call(self, operation: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The copy of an operation, and what it returns."""
        import keras

        from kerascnn.engine.network.copies import copy_state

        new = id(operation) not in self._copies
        if new:
            name = _free(self._prefix + operation.name, self._taken)
            self._taken.add(name)
            make = self._made_by_owner.get(id(operation), _copy)
            self._copies[id(operation)] = make(operation, name)
        copy = self._copies[id(operation)]
        outputs = copy(*args, **kwargs)
        if new and isinstance(operation, keras.Layer):
            copy_state(operation, copy.called() if id(operation) in self._made_by_owner else copy)
        return copy, outputs


def inner_graph(operation: Any) -> Any | None:
    """The graph of a functional model that only runs its layers; None for every other operation."""
    graph = functional_graph(operation)
    return graph if graph and type(operation).call.__module__.startswith("keras.") else None


def _made_by(owner: Any) -> dict[int, Callable[[Any, str], Any]]:
    """How to make those layers again that a model of a library makes: by the layers' id."""
    import keras

    if type(owner).__module__.startswith("keras.") or "layers" in owner.get_config():
        return {}  # its settings are those of its layers
    from kerascnn.engine.network.model_part import ModelPart

    def make(place: int, layer: Any, name: str) -> Any:
        cls = type(layer).__name__
        return ModelPart(settings, place, cls, name=name, dtype=layer.dtype_policy)

    settings = keras.saving.serialize_keras_object(owner)
    return {
        id(layer): partial(make, place)
        for place, layer in enumerate(nested_layers(owner))
        if not type(layer).__module__.startswith("keras.")
    }


def _copy(operation: Any, name: str) -> Any:
    try:
        copy = type(operation).from_config({**operation.get_config(), "name": name})
    except Exception as error:
        module = type(operation).__module__
        raise InputError(
            f'flatten_model: the layer "{operation.name}", a {type(operation).__name__} of '
            f"{module}, cannot be made again from its get_config, so a saved model could not be "
            f"loaded: {reason_of(error)}. The fault is in {module.partition('.')[0]}: put a layer "
            'of your own in its place, as docs/plugins.md shows in "Networks from elsewhere".'
        ) from error
    copy.name = name  # some choose their own
    return copy


def _takes_training(operation: Any) -> bool:
    return "training" in inspect.signature(operation.call).parameters


def _names_behind(tensors: list[Any]) -> set[str]:
    """The names of the operations that the tensors depend on."""
    nodes: dict[int, Any] = {}
    waiting = list(tensors)
    while waiting:
        node = node_behind(waiting.pop())
        if id(node) not in nodes:
            nodes[id(node)] = node
            waiting += node.input_tensors
    return {node.operation.name for node in nodes.values()}


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
