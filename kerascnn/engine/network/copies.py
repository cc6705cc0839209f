"""Layers made a second time, with the same settings and the same state."""

from typing import Any

from kerascnn.engine.network.inference import to_numpy
from kerascnn.runtime.keras_internals import nested_layers


def copy_state(layer: Any, twin: Any) -> None:
    """Copies weights and derived values, like loading a saved model.

    For example, an adapted Normalization derives its constants when its weights are loaded. The
    layers inside come first, as a `ModelPart` sets the weights of those that change them.
    """
    for one, other in zip(
        (*nested_layers(layer), layer), (*nested_layers(twin), twin), strict=True
    ):
        store: dict[str, Any] = {}
        one.save_own_variables(store)
        # copies, because JAX deletes buffers that variables share
        other.load_own_variables({key: to_numpy(value) for key, value in store.items()})


def another(layer: Any, **changes: Any) -> Any:
    """A new layer with the same class and settings, without random initialisation."""
    config = layer.get_config()
    zeros = {key: "zeros" for key in config if key.endswith("_initializer")}
    twin = type(layer).from_config({**config, **zeros, **changes})
    twin.build_from_config(layer.get_build_config() or {})
    return twin
