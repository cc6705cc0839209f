"""Keras optimizers by name, with a learning rate per variable."""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from kerascnn.config import Optimizer
from kerascnn.errors import InputError, did_you_mean

_NO_DECAY = ["bias", "gamma", "beta"]
_OURS = ("learning_rate", "weight_decay", "global_clipnorm")


def make_optimizer(
    choice: Optimizer,
    learning_rate: Any,
    *,
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
    factors: Mapping[str, float] | None = None,
) -> Any:
    """Makes a Keras optimizer.

    Args:
        choice: Its snake_case name and its own arguments.
        learning_rate: Float or LearningRateSchedule.
        weight_decay: Decoupled weight decay, not applied to biases and BatchNorm.
        clip_norm: Greatest norm of all gradients together; default no bound.
        factors: Factor of the learning rate by variable path, 1 where a path is missing.

    Raises:
        InputError: The optimizer has no such argument, or refuses its value.
    """
    plain = optimizer_class(choice.name)
    arguments = dict(choice.model_extra or {})
    _refuse_unknown(choice.name, arguments, plain)
    cls = _scaled(plain) if factors else plain
    try:
        optimizer = cls(
            learning_rate=learning_rate,
            weight_decay=weight_decay or None,
            global_clipnorm=clip_norm,
            **arguments,
        )
    except (TypeError, ValueError) as error:
        raise InputError(f'optimizer "{choice.name}": {error}') from error
    if factors:
        optimizer.factors = dict(factors)
    if weight_decay:
        optimizer.exclude_from_weight_decay(var_names=_NO_DECAY)
    return optimizer


def optimizer_class(name: str) -> type:
    """The Keras class of a snake_case name: "adamw" is `keras.optimizers.AdamW`."""
    import keras

    wanted = name.replace("_", "")
    return next(
        value
        for key, value in vars(keras.optimizers).items()
        if key.lower() == wanted and isinstance(value, type)
    )


def _refuse_unknown(name: str, arguments: Mapping[str, Any], cls: type) -> None:
    known = [key for key in inspect.signature(cls).parameters if key not in ("kwargs", "name")]
    for key in arguments:
        if key in _OURS:
            raise InputError(
                f'optimizer "{name}": {key} is a key of the stage, not of the optimizer.'
            )
        if key not in known:
            raise InputError(
                f'optimizer "{name}" has no argument {key}.{did_you_mean(key, known)} '
                f"It has {', '.join(sorted(set(known) - set(_OURS)))}."
            )


@cache
def _scaled(plain: Any) -> Any:
    """The optimizer with each variable's update, weight decay included, times its own factor.

    The update is computed as ever and then shortened, so that it holds for every optimizer and
    for the collective updates of the PyTorch backend.
    """
    from keras import ops

    class Scaled(plain):
        factors: dict[str, float]

        def _shortened(self, variables: list[Any], update: Any) -> None:
            chosen = [(v, self.factors[v.path]) for v in variables if v.path in self.factors]
            before = [ops.copy(variable) for variable, _ in chosen]
            update()
            for (variable, factor), old in zip(chosen, before, strict=True):
                variable.assign(old + (variable - old) * factor)

        def _backend_update_step(self, grads: Any, variables: Any, learning_rate: Any) -> None:
            step = super()._backend_update_step
            self._shortened(variables, lambda: step(grads, variables, learning_rate))

        def _apply_weight_decay(self, variables: Any) -> None:
            decay = super()._apply_weight_decay
            self._shortened(variables, lambda: decay(variables))

    Scaled.__name__ = plain.__name__
    return Scaled
