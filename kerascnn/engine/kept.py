"""What is loaded or built once for several experiments of a process."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from kerascnn.engine.network.build import Built
from kerascnn.engine.network.parts import shared
from kerascnn.engine.training.checkpoints import State
from kerascnn.engine.training.variables import assign, random_state, set_random_state
from kerascnn.runtime.keras_internals import (
    forget_calls,
    known_calls,
    name_counts,
    nested_layers,
    set_name_counts,
)

T = TypeVar("T")

LAST = 8
"""How many are kept: those used last."""


class Kept:
    """Makes each thing once, and leaves the process as making it again would have left it."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, tuple[Any, State]] = OrderedDict()
        self._variables: list[tuple[Any, np.ndarray]] = []
        self._layers: list[tuple[Any, bool]] = []

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

    def build(self, decides: Sequence[Any], make: Callable[[], Built]) -> Built:
        """The network as `make` builds it, whatever it or parts of it have been trained for."""
        assign([variable for variable, _ in self._variables], [v for _, v in self._variables])
        for layer, trainable in self._layers:
            layer.trainable = trainable
        with shared(self._part):
            return self.once("network", decides, make)

    def _part(self, decides: Sequence[Any], make: Callable[[], Any]) -> Any:
        """A model that networks have as a part; it forgets those of which it was one."""

        def made() -> tuple[Any, Any]:
            model = make()
            return model, known_calls(model)

        model, calls = self.once("part", decides, made)
        forget_calls(calls)
        return model

    def about_to_train(self, network: Built, variables: Iterable[tuple[Any, np.ndarray]]) -> None:
        """Notes the values of those variables of a network, as it was built, that will change."""
        self._variables = list(variables)
        self._layers = [(layer, layer.trainable) for layer in nested_layers(network.model)]


def _state() -> State:
    return {"random": random_state(), "names": name_counts()}


def _hash(decides: Any) -> str:
    text = json.dumps(decides, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else str(value)
