"""Outcomes of sweeps that were never run."""

import math
import random

from kerascnn.studies.sweep.result import SweepResult, Trial

IMAGES = 225
LONG = "a_component_of_a_plugin_with_a_name_of_sixty_characters_long"
SPACE = {
    "stages.head.learning_rate": {"from": 1e-4, "to": 1e-2},
    "architecture.name": {"one_of": ["mobilenet_v2", LONG]},
    "training.ema": {"one_of": [True, False]},
    "architecture.dropout": {"from": 0.0, "to": 0.5, "step": 0.1},
    "stages.rest.learning_rate": {"from": 1e-5, "to": 1e-3},
    "stages.rest.unfreeze": {"one_of": ["last:2", "last:4"]},
    "training.batch_size": {"from": 8, "to": 64, "log": False},
    "stages.head.optimizer.name": {"one_of": ["adam", "sgd"]},
}


def trial(number, value, params, state="complete", **changes):
    half = 1.96 * math.sqrt(0.05 / IMAGES)
    fields = {
        "number": number,
        "state": state,
        "value": value,
        "interval": None if value is None else (value - half, value + half),
        "params": params,
        "seconds": 2.5,
        "run_id": f"{number:032x}",
        "epochs": 0 if value is None else 4,
        "history": [] if value is None else [value - 0.3, value - 0.1, value - 0.02, value],
        "reason": "",
        "ended": f"2026-01-01T10:{number:02}:00.000+00:00",
    }
    return Trial(**(fields | changes))


def swept(folder, count=12, keys=4, **changes):
    """A sweep of which each third trial is pruned and the fifth failed; trial 1 is the best."""
    rng, space = random.Random(0), dict(list(SPACE.items())[:keys])
    trials = []
    for number in range(count):
        params = {key: _drawn(table, rng) for key, table in space.items()}
        if params.get("architecture.name") == LONG:
            params.pop("architecture.dropout", None)
        value = 0.95 if number == 1 else 0.9 - 0.01 * (number % 7)
        if number == 4:
            reason = {"reason": "NaN: the loss is [not] a number", "state": "failed"}
            trials.append(trial(number, None, params, **reason))
        elif number % 3 == 2:
            reason = "worse than trial 1 after epoch 2 (p < 0.001)"
            trials.append(trial(number, value - 0.2, params, "pruned", epochs=2, reason=reason))
        else:
            trials.append(trial(number, value, params))
    fields = {
        "study": "c0ffee12" * 4,
        "name": "flowers",
        "metric": "val_accuracy",
        "greater_is_better": True,
        "images": IMAGES,
        "space": space,
        "trials": trials,
        "best": next((one for one in trials if one.number == 1), None),
        "not_told_apart": [0, 7] if count > 7 else [],
        "optimism": 0.012 if count > 1 else None,
        "importance": {key: 1 / len(space) for key in space} if count > 10 else {},
        "winner": None,
        "seconds": 191.0,
        "settings": {"trials": count, "minutes": None, "sampler": "tpe", "workers": 2},
        "artifacts": str(folder),
    }
    return SweepResult(**(fields | changes))


def _drawn(table, rng):
    if "one_of" in table:
        return rng.choice(table["one_of"])
    low, high = table["from"], table["to"]
    if isinstance(low, int):
        return rng.randint(low, high)
    if "step" in table:
        return round(low + table["step"] * rng.randint(0, 5), 6)
    return low * (high / low) ** rng.random()
