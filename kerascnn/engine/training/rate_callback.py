"""A callback as a stage's schedule: it sets the learning rate, and nothing else."""

import math
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import wraps
from typing import Any

from kerascnn.components.component import RegisteredComponent
from kerascnn.errors import PluginError
from kerascnn.runtime.keras_internals import compiled_parts

_METHODS = (
    *("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end"),
    *("on_train_batch_begin", "on_train_batch_end"),
)
_LOGGED = re.compile(r"[\w./ -]+", re.ASCII)  # what MLflow takes
_TAKEN = {"stage", "epoch"}  # columns beside an epoch's metrics


def hold(callback: Any, trainer: Any, of: RegisteredComponent | None) -> None:
    """Compares the trainer before and after every method of a callback, which may change no more
    of it than the learning rate.

    Args:
        of: The component that built the callback, for messages.
    """
    for name in _METHODS:
        setattr(callback, name, _held(getattr(callback, name), trainer, of))


def _held(
    method: Callable[..., None], trainer: Any, of: RegisteredComponent | None
) -> Callable[..., None]:
    @wraps(method)
    def held(*arguments: Any) -> None:
        before = compiled_parts(trainer)
        with of.blamed(f"in {method.__name__}") if of else nullcontext():
            method(*arguments)
        after = compiled_parts(trainer)
        changed = [part for part, value in before.items() if after[part] is not value]
        if changed:
            raise PluginError(
                f"{of or 'the schedule'}: {method.__name__} changed {', '.join(changed)} of the "
                "model. The callback of a schedule may only set "
                "`self.model.optimizer.learning_rate`; keys of the stage set all else, such as "
                "loss, optimizer and early_stopping."
            )

    return held


def added(
    known: Mapping[str, float], logs: Mapping[str, Any], of: RegisteredComponent | None
) -> dict[str, float]:
    """The numbers that a callback put into an epoch's logs, by name.

    `learning_rate` is left as it was: Keras's callbacks log that of the next epoch.

    Raises:
        PluginError: It changed a metric, or added something that cannot be a metric.
    """
    changed = [name for name in known if name != "learning_rate" and logs.get(name) != known[name]]
    new = {name: value for name, value in logs.items() if name not in known}
    named = {name for name in new if _LOGGED.fullmatch(str(name)) and name not in _TAKEN}
    wrong = sorted(map(str, {*new} - named | {name for name in named if not _finite(new[name])}))
    if changed or wrong:
        said = [f"changed {', '.join(changed)} in"] if changed else []
        said += [f"put {', '.join(wrong)} into"] if wrong else []
        raise PluginError(
            f"{of or 'the schedule'}: on_epoch_end {' and '.join(said)} the epoch's logs. It may "
            "add finite numbers, which become metrics of the epoch, under names of letters, digits "
            "and `_ - . /` other than stage and epoch."
        )
    return {name: float(value) for name, value in new.items()}


def _finite(value: Any) -> bool:
    try:
        return not isinstance(value, str | bytes) and math.isfinite(value)
    except (TypeError, ValueError):
        return False
