"""The file of a sweep: which experiment, how many trials, by what, and what is tried."""

from typing import Any, Literal

from pydantic import Field

from kerascnn.experiment.strict import Strict

SAMPLERS = ("tpe", "random", "quasi_random", "grid")
PRUNERS = ("race", "hyperband", "median", "none")
TRIALS = 20  # unless `minutes` limits them
TRIALS_IN_TIME = 300  # at most, if only `minutes` limits them


class Settings(Strict):
    """How a sweep is run, besides the experiment and the space."""

    trials: int | None = Field(
        None,
        ge=1,
        description=f"number of trials; default {TRIALS}, or {TRIALS_IN_TIME} with `minutes`; "
        "of a grid all settings",
    )
    minutes: float | None = Field(
        None, gt=0, description="no trial starts later than this; default no limit"
    )
    metric: str = Field(
        "val_accuracy",
        description='what trials are judged by: "val_accuracy", "val_loss" or "val_NAME", with '
        "NAME one of the experiment's `metrics`",
    )
    sampler: Literal[SAMPLERS] = Field(  # type: ignore[valid-type]
        "tpe",
        description='how settings are drawn: "tpe" learns from the trials before, "quasi_random" '
        'covers the space evenly, "grid" tries every setting',
    )
    pruner: Literal[PRUNERS] = Field(  # type: ignore[valid-type]
        "race",
        description='when a trial is given up: "race" when a paired test on the validation images '
        'says that it is worse than the best, "hyperband", "median" or "none"',
    )
    seeds: int = Field(
        1, ge=1, description="each setting is run with this many seeds and judged by the mean"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of the settings that are drawn")


class Sweep(Settings):
    """A sweep: many trials of an experiment."""

    experiment: str = Field(description="path of the experiment, relative to this file's folder")
    space: dict[str, Any] = Field(description="the values to try, by dotted key of the experiment")
