"""A layer of a library's model, made again by the model instead of from its own settings."""

import json
from functools import partial, wraps
from typing import Any
from weakref import WeakValueDictionary

import keras

from kerascnn.runtime.keras_internals import nested_layers


class _Made:
    """A model that was made from its settings, and the places of its layers that are in use."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.layers = nested_layers(keras.saving.deserialize_keras_object(settings, safe_mode=True))
        self.used: set[int] = set()


_made = WeakValueDictionary[str, _Made]()  # by settings: the layers of a network share one


@keras.saving.register_keras_serializable("kerascnn")
class ModelPart(keras.Layer):
    """Calls one layer of a model; saved as the model's settings and the layer's place in it.

    Libraries make their models from the settings of a preset, and test that; the `get_config` of
    each layer may leave out arguments, or hold some that the class refuses.

    Args:
        model: The model's settings, as `keras.saving.serialize_keras_object` returns them.
        place: The layer's place among the layers inside the model, at any depth, from 0.
        layer_class: The name of the layer's class, to notice a library that has changed.
    """

    def __init__(self, model: dict[str, Any], place: int, layer_class: str, **kwargs: Any) -> None:
        if "dtype" in model["config"]:
            dtype = keras.dtype_policies.serialize(keras.dtype_policies.get(kwargs.get("dtype")))
            model = {**model, "config": {**model["config"], "dtype": dtype}}
        made, layer = _take(model, place)
        if type(layer).__name__ != layer_class:
            raise ValueError(
                f"layer {place} of {model['class_name']} is {type(layer).__name__}, not "
                f"{layer_class}: {model['module'].partition('.')[0]} has another version than the "
                "one that the network was saved with"
            )
        # before Keras reads the signature: its arguments are those of the layer
        object.__setattr__(self, "call", wraps(layer.call)(partial(_call, layer)))
        super().__init__(**kwargs)
        self.model, self.place, self.layer_class = json.dumps(model), place, layer_class
        self.layer = layer
        self._made = made  # kept for the layers that are still to come

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return self.layer.compute_output_spec(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        settings = {"model": json.loads(self.model), "place": self.place}
        return {**super().get_config(), **settings, "layer_class": self.layer_class}


def _call(layer: Any, *args: Any, **kwargs: Any) -> Any:
    return layer(*args, **kwargs)


def _take(model: dict[str, Any], place: int) -> tuple[_Made, Any]:
    """A layer that no other part has, and the model that it is from."""
    key = json.dumps(model)
    made = _made.get(key)
    if made is None or place in made.used:
        made = _made[key] = _Made(model)
    made.used.add(place)
    return made, made.layers[place] if place < len(made.layers) else None
