"""What determines a model's function besides its weights."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from kerascnn.engine.network.saved import modules_in
from kerascnn.runtime.keras_internals import nested_layers, nodes_in_order, place_of
from kerascnn.runtime.source_code import UnknownCodeError, code_key, modules_key, refuse_local


def structure_of(model: Any, built_by: Callable | None) -> str:
    """What determines the model's function besides its weights: settings and code, if known.

    What is trainable is left out: it decides nothing in inference mode.
    """
    nodes = nodes_in_order(model)
    number = {id(node): index for index, node in enumerate(nodes)}
    parts = [_part(node.operation) for node in nodes]
    made_of = {cls for part in parts for cls in part.classes}
    code = code_key([*made_of, *([built_by] if built_by else [])])
    refuse_local(made_of)
    named = modules_key(sorted({name for part in parts for name in part.modules}))
    settings = [part.settings for part in parts]
    calls = [_call(node, number) for node in nodes]
    outputs = [_origin(tensor, number) for tensor in model.outputs]
    return json.dumps([settings, calls, outputs], default=str) + code + named


@dataclass(frozen=True)
class _Part:
    """An operation of a model."""

    settings: str
    modules: frozenset[str]  # that its settings name
    classes: frozenset[type]  # its own and those of the layers in it


_parts = WeakKeyDictionary[Any, _Part]()  # networks share operations


def _part(operation: Any) -> _Part:
    if operation not in _parts:
        try:
            config = operation.get_config()
        except Exception as error:  # of a plugin's layer
            raise UnknownCodeError(f"{type(error).__name__}: {error}") from error
        cls = type(operation)
        settings = json.dumps(frozen_settings(config), sort_keys=True, default=str)
        classes = map(type, [operation, *nested_layers(operation)])
        _parts[operation] = _Part(
            f"{cls.__module__} {cls.__qualname__} {settings}",
            frozenset(modules_in(config)),
            frozenset(classes),
        )
    return _parts[operation]


def _call(node: Any, number: dict[int, int]) -> Any:
    """The arguments of an operation, with tensors by where they come from."""
    import keras

    def known(value: Any) -> Any:
        return _origin(value, number) if isinstance(value, keras.KerasTensor) else value

    return keras.tree.map_structure(known, [node.arguments.args, node.arguments.kwargs])


def _origin(tensor: Any, number: dict[int, int]) -> str:
    """The call that gave a tensor, and which of its outputs that is."""
    node, index = place_of(tensor)
    return f"output {index} of {number[id(node)]}"


def frozen_settings(config: Any) -> Any:
    """A configuration without what is trainable."""
    if isinstance(config, dict):
        return {key: frozen_settings(value) for key, value in config.items() if key != "trainable"}
    return [*map(frozen_settings, config)] if isinstance(config, list | tuple) else config
