"""A sweep of an experiment from Python; the story is in `story`."""

from collections.abc import Mapping
from typing import Any

from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import BoundExperiment, check_experiment
from kerascnn.run.placing import LOCAL, Asked
from kerascnn.runtime.arguments import expect
from kerascnn.studies.sweep.plan.asked import of_table
from kerascnn.studies.sweep.plan.load import plan
from kerascnn.studies.sweep.result import SweepResult
from kerascnn.studies.sweep.story import run_sweep


def sweep_experiment(
    experiment: BoundExperiment,
    space: Mapping[str, Any],
    *,
    trials: int | None = None,
    minutes: float | None = None,
    metric: str = "val_accuracy",
    sampler: str = "tpe",
    pruner: str = "race",
    seeds: int = 1,
    seed: int = 0,
    workers: int | None = None,
    storage: str | None = None,
    engine: Asked = LOCAL,
    observer: Observer | None = None,
) -> SweepResult:
    """Tries many settings of an experiment, and runs the best one in full.

    Args:
        experiment: From `load_experiment`.
        space: The values to try, by dotted key: `{"from": LOW, "to": HIGH}` with `log` and `step`,
            `{"one_of": [VALUE, …]}`, or a list of values.
        trials: Number of trials; default 20, or 300 with `minutes`; of a grid all settings.
        minutes: No trial starts later than this; default no limit.
        metric: "val_accuracy", "val_loss" or "val_NAME", with NAME one of the experiment's metrics.
        sampler: "tpe", "random", "quasi_random" or "grid".
        pruner: "race", "hyperband", "median" or "none".
        seeds: Each setting is run with this many seeds and judged by the mean.
        seed: Of the settings that are drawn.
        workers: Number of processes that run trials; default one for each GPU or, without any, for
            each host.
        storage: "postgresql://…" or "mysql://…", for several hosts; default a file in the sweep's
            folder.
        engine: Where the workers run: "local", on this host, or an engine of a plugin, such as
            "ray"; with parameters a table such as `{"name": "ray", "cpus": 4}`.
        observer: Receives progress events, of the sweep if it is a `SweepObserver`; default prints
            them on standard error; `Observer()` shows nothing.

    Returns:
        The trials and the winner.

    Raises:
        InputError: A key, a value or a setting is at fault; nothing has been trained then.
        RunError: All trials failed.
    """
    check_experiment(experiment)
    expect(space, Mapping, "space")
    settings = {
        **{"trials": trials, "minutes": minutes, "metric": metric, "sampler": sampler},
        **{"pruner": pruner, "seeds": seeds, "seed": seed},
    }
    planned = plan(experiment, of_table(space), settings)
    return run_sweep(planned, observer, workers=workers, storage=storage, engine=engine)
