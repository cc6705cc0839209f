"""What is loaded or built once for several experiments of a process."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from kerascnn.engine.network.build import Built
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.variables import assign, random_state, set_random_state
from kerascnn.runtime.keras_internals import name_counts, nested_layers, set_name_counts

T = TypeVar("T")

LAST = 8
"""How many are kept: those used last."""


class Kept:
    """Makes each thing once, and leaves the process as making it again would have left it."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, tuple[Any, State]] = OrderedDict()

    def once(self, what: str, decides: Sequence[Any], make: Callable[[], T]) -> T:
        """What `make` returns, made once for the same `decides` and random state.

        Args:
            what: Names the kind.
            decides: All that decides it, besides the state of random generators and the numbers in
                Keras's names; with an empty string, for code that cannot be read, it is made anew.
        """
        if "" in decides:
            return make()
        key = _hash([what, decides, _state()])
        if key not in self._made:
            self._made[key] = make(), _state()
            while len(self._made) > LAST:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        made, after = self._made[key]
        set_random_state(after["random"])
        set_name_counts(after["names"])
        return made


class Initial:
    """A network that experiments train one after another, each from its initial state."""

    def __init__(self, network: Built) -> None:
        self._network = network
        self._trainable = [(layer, layer.trainable) for layer in nested_layers(network.model)]
        self._values: dict[int, tuple[Any, np.ndarray]] = {}  # by the variable's id

    def restored(self) -> Built:
        """The network as it was built."""
        variables = [variable for variable, _ in self._values.values()]
        assign(variables, [value for _, value in self._values.values()])
        for layer, trainable in self._trainable:
            layer.trainable = trainable
        return self._network

    def keep(self, variables: Iterable[Any]) -> None:
        """Keeps the values of variables that are about to change; the network is as built."""
        for variable in variables:
            if id(variable) not in self._values:
                self._values[id(variable)] = variable, to_numpy(variable.value)


def _state() -> State:
    return {"random": random_state(), "names": name_counts()}


def _hash(decides: Any) -> str:
    text = json.dumps(decides, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else str(value)
