"""Keras optimizers by name, with a learning rate per variable."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from kerascnn.engine.network.inference import to_numpy
from kerascnn.errors import InputError, did_you_mean
from kerascnn.experiment.model import Optimizer
from kerascnn.runtime.keras_internals import moving_averages, optimized_variables, with_rate_factors

_NO_DECAY = [r"(^|/)(bias|gamma|beta)(:0)?$"]  # TensorFlow's name is a path and ends in ":0"
_EMA = ("use_ema", "ema_momentum", "ema_overwrite_frequency")
_OURS = ("learning_rate", "weight_decay", "global_clipnorm")


def make_optimizer(
    choice: Optimizer,
    learning_rate: Any,
    *,
    weight_decay: float | None = None,
    clip_norm: float = 0.0,
    factors: Mapping[str, float] | None = None,
    ema_decay: float | None = None,
) -> Any:
    """Makes a Keras optimizer.

    Args:
        choice: Its snake_case name and its own arguments.
        learning_rate: Float or LearningRateSchedule.
        weight_decay: Decoupled weight decay, not applied to biases and BatchNorm;
            default the optimizer's own.
        clip_norm: Maximum global gradient norm; 0: no limit.
        factors: Learning-rate factors by variable path; default 1.
        ema_decay: Decay of a moving average of the weights, see `averaged`; default no average.

    Raises:
        InputError: The optimizer has no such argument, or rejects its value.
    """
    plain = optimizer_class(choice.name)
    arguments = dict(choice.model_extra or {})
    _refuse_unknown(choice.name, arguments, plain)
    if weight_decay is not None:
        arguments["weight_decay"] = weight_decay
        if "adam_weight_decay" in inspect.signature(plain).parameters:  # of Muon, for other ranks
            arguments.setdefault("adam_weight_decay", weight_decay)
    if ema_decay is not None:
        arguments |= {"use_ema": True, "ema_momentum": ema_decay}
    cls = with_rate_factors(plain) if factors else plain
    cls = cls if ema_decay is None else _averaging(cls)
    try:
        optimizer = cls(learning_rate=learning_rate, global_clipnorm=clip_norm or None, **arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f'optimizer "{choice.name}": {error}') from error
    if factors:
        optimizer.factors = dict(factors)
    optimizer.exclude_from_weight_decay(var_names=_NO_DECAY)
    return optimizer


def optimizer_class(name: str) -> type:
    """The Keras class for a snake_case name: `keras.optimizers.AdamW` for "adamw"."""
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
                f'optimizer "{name}": {key} belongs in the stage, not in the optimizer.'
            )
        if key in _EMA:
            raise InputError(
                f'optimizer "{name}": {key} is not supported, because Keras would overwrite the '
                "trained weights with the average after every epoch. Set ema_fraction in the stage."
            )
        if key not in known:
            raise InputError(
                f'optimizer "{name}" has no argument {key}.{did_you_mean(key, known)} '
                f"It has {', '.join(sorted(set(known) - {*_OURS, *_EMA}))}."
            )


@contextmanager
def averaged(optimizer: Any) -> Iterator[None]:
    """Swaps the weights for their moving averages, if any, within the context."""
    averages = moving_averages(optimizer)
    weights = optimized_variables(optimizer)[: len(averages)]
    trained = [to_numpy(variable.value) for variable in weights]
    for variable, average in zip(weights, averages, strict=True):
        variable.assign(to_numpy(average.value))  # JAX deletes buffers that variables share
    yield
    for variable, value in zip(weights, trained, strict=True):
        variable.assign(value)


@cache
def _averaging(plain: Any) -> Any:
    """The optimizer, but `fit` does not end by overwriting the weights with their averages."""

    class Averaging(plain):
        def finalize_variable_values(self, var_list: Any) -> None:
            pass

    Averaging.__name__ = plain.__name__
    return Averaging
