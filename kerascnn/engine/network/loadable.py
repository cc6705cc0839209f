"""Whether another process can load a network once it is saved: tried before it is trained."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

from kerascnn.components.component import BoundComponent
from kerascnn.components.entry_points import GROUP, packages_for_models
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.saved import OF_KERAS, load_model, modules_in, reason_of
from kerascnn.engine.network.structure import structure_of
from kerascnn.errors import InputError, PluginError
from kerascnn.runtime.cache import cached, scratch
from kerascnn.runtime.keras_internals import nested_layers
from kerascnn.runtime.process import contained
from kerascnn.runtime.source_code import UnknownCodeError, is_in_its_module
from kerascnn.runtime.versions import installed_versions
from kerascnn.runtime.workers import backend_process


def require_loadable(network: Built, architecture: BoundComponent) -> None:
    """Refuses a network that `predict` could not load after training.

    A network with layers of other packages than Keras is saved, and loaded in a new process, which
    takes seconds; one of Keras's layers alone is made again from its settings. Those that passed
    are remembered by settings and code. kerascnn's own networks are tested, and need no trial. Of a
    network that shares layers with one that passed in this process, only Keras's other layers are
    made again.

    Raises:
        PluginError: It cannot be saved, or not be loaded.
    """
    refusal = partial(_refusing, network, architecture)
    layers = network.model.layers
    new = [layer for layer in layers if layer not in _passed]
    if len(new) < len(layers) and all(type(layer).__module__.startswith("keras.") for layer in new):
        with refusal():
            _in_this_process(*new)
    else:
        _try(network, architecture, refusal)
    _passed.update(layers)


_passed = WeakSet[Any]()  # the layers of networks that can be loaded


def _try(network: Built, architecture: BoundComponent, refusal: Callable[[], Any]) -> None:
    with refusal():
        modules = modules_to_import(network)
    if not modules and architecture.registered.origin.distribution == GROUP:
        return

    def build(folder: Path) -> None:
        with refusal():
            if modules:
                _in_a_new_process(network, folder)
            else:
                _in_this_process(network.model)

    if key := _key(network, architecture):
        cached("networks", key, f"{architecture.registered} can be loaded", build, lambda _: None)
    else:
        with scratch("networks") as folder:
            build(folder)


@contextmanager
def _refusing(network: Built, architecture: BoundComponent) -> Iterator[None]:
    try:
        yield
    except (MemoryError, OSError):
        raise
    except Exception as error:  # whatever the `get_config` of a layer raises
        said = str(error) if isinstance(error, InputError) else reason_of(error)
        raise PluginError(
            f"{architecture.registered}: a saved model of this network cannot be loaded again, so "
            f"the run would be lost: {said}.{loading_advice(network.model, said)}"
        ) from error


def _in_a_new_process(network: Built, folder: Path) -> None:
    import keras

    file = folder / "model.keras"
    network.model.save(file)
    with backend_process(keras.config.backend(), silent=True) as process:
        fault = process.submit(_fault, file, modules_to_import(network)).result()
    file.unlink()
    if fault:
        raise InputError(fault)


def _in_this_process(*made: Any) -> None:
    """Makes models or layers again from their settings."""
    import keras

    with contained():  # it draws new weights
        for one in made:
            keras.saving.deserialize_keras_object(_settings(one), safe_mode=True)


def modules_to_import(network: Built) -> list[str]:
    """The modules to import before a saved model of the network is loaded; none of Keras's."""
    return sorted({*modules_in(_settings(network.model)), *network.modules})


def _settings(made: Any) -> Any:
    """The settings of a model or a layer as a saved model holds them."""
    import keras

    config = keras.saving.serialize_keras_object(made)
    if '"class_name": "__lambda__"' in json.dumps(config):
        raise InputError("it has a lambda, whose code is not run from a file; write a layer")
    return config


def _fault(file: Path, modules: list[str]) -> str:
    """Loads a model in this process; returns why it cannot be loaded, or ""."""
    try:
        load_model(file, (), modules)
    except InputError as error:
        return str(error).partition(": the model cannot be loaded: ")[2].rstrip(".")
    return ""


def _key(network: Built, architecture: BoundComponent) -> str:
    """SHA-256 of all that decides whether the network can be loaded; "" if that is unknown."""
    try:
        code = structure_of(network.model, architecture.registered.component.build)
    except UnknownCodeError:
        return ""
    code = re.sub(
        r'_\d+(?=\\*")', "", code
    )  # Keras numbers layers without a name through all builds
    allowed = sorted(map(str, packages_for_models().values()))
    decides = code, network.modules, allowed, sorted(installed_versions().items())
    return hashlib.sha256(repr(decides).encode()).hexdigest()


def loading_advice(model: Any, said: str) -> str:
    """What to do if Keras said that it does not find a layer's class; "" for other faults."""
    return next(_advice(model), "") if "Could not locate" in said else ""


def _advice(model: Any) -> Iterator[str]:
    """What to do about its layers, the likeliest first."""
    import keras

    for layer in nested_layers(model):
        cls = type(layer)
        if cls.__module__.partition(".")[0] in OF_KERAS:
            continue
        if cls.__module__ == "__main__" or not is_in_its_module(cls):
            yield (
                f" Define the class {cls.__name__} at the top of a module of your package, not in "
                "a function, a script or a notebook."
            )
        registered = keras.saving.get_registered_name(cls) != cls.__name__
        yield (
            f" If the class {cls.__name__} is registered by another module than {cls.__module__}, "
            "name it in kerascnn.Network(…, modules=(…))."
            if registered
            else f" Register the class {cls.__name__} of {cls.__module__} at the top of a module "
            "with keras.saving.register_keras_serializable; if the class is not yours, name that "
            "module in kerascnn.Network(…, modules=(…))."
        )
