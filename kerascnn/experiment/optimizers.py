"""Keras's optimizers and their arguments, known without importing Keras."""

from collections.abc import Iterator
from typing import Any

from kerascnn.errors import did_you_mean
from kerascnn.experiment.problems import Problem
from kerascnn.experiment.tables import stage_tables

_ADAM = ("beta_1", "beta_2", "epsilon")
OPTIMIZERS: dict[str, tuple[str, ...]] = {  # with the arguments that not all of them take
    "adadelta": ("rho", "epsilon"),
    "adafactor": ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step"),
    "adagrad": ("initial_accumulator_value", "epsilon"),
    "adam": (*_ADAM, "amsgrad"),
    "adamax": _ADAM,
    "adamw": (*_ADAM, "amsgrad"),
    "ftrl": (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    ),
    "lamb": _ADAM,
    "lion": ("beta_1", "beta_2"),
    "muon": (
        "adam_beta_1",
        "adam_beta_2",
        "adam_weight_decay",
        "epsilon",
        "exclude_layers",
        "exclude_embeddings",
        "muon_a",
        "muon_b",
        "muon_c",
        "adam_lr_ratio",
        "momentum",
        "ns_steps",
        "nesterov",
        "rms_rate",
    ),
    "nadam": _ADAM,
    "rmsprop": ("rho", "momentum", "epsilon", "centered"),
    "schedule_free_adamw": (*_ADAM, "warmup_steps"),
    "sgd": ("momentum", "nesterov"),
}
OF_ALL_OPTIMIZERS = ("clipnorm", "clipvalue", "loss_scale_factor")
ACCUMULATION = "gradient_accumulation_steps"  # Keras counts micro-batches as steps with it
SHARES = ("momentum", "rho", "beta_1", "beta_2", "adam_beta_1", "adam_beta_2")  # from 0 to 1


def optimizer_problems(data: dict[str, Any]) -> Iterator[Problem]:
    """Arguments that an optimizer does not take, found before Keras is imported."""
    for index, stage in enumerate(stage_tables(data)):
        table = stage.get("optimizer")
        name = table.get("name", "adam") if isinstance(table, dict) else None
        if not isinstance(table, dict) or not isinstance(name, str) or name not in OPTIMIZERS:
            continue
        place = ("stages", index, "optimizer")
        for key, value in table.items():
            if key != "name":
                yield from _argument_problems((*place, key), name, value)
        clips = [key for key in ("clipnorm", "clipvalue") if key in table]
        clips += ["the stage's clip_norm"] if stage.get("clip_norm") else []
        if len(clips) > 1:
            yield Problem(place, f"{' and '.join(clips)} are mutually exclusive; keep one")


def _argument_problems(place: tuple[Any, ...], name: str, value: Any) -> Iterator[Problem]:
    key, known = place[-1], (*OPTIMIZERS[name], *OF_ALL_OPTIMIZERS)
    if key == ACCUMULATION:
        yield Problem(place, "set gradient_accumulation in the stage or in training instead")
    elif key not in known:
        hint = f"{did_you_mean(key, known)} Known keys: name, {', '.join(known)}."
        yield Problem(place, "unknown key", value, hint)
    elif key != "exclude_layers" and not isinstance(value, int | float):
        yield Problem(place, "expected a number, true or false", value)
    elif key in SHARES and not 0 <= value <= 1:
        yield Problem(place, "expected a number from 0 to 1", value)
