"""The experiment of an update: that of the run, with the run and the folders of new images."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerascnn.engine.result.run import EXPERIMENT, Result
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.load import load_experiment
from kerascnn.results.joined import weights_sha256
from kerascnn.runtime.commands import command


def update_experiment(
    run: Result, folders: Sequence[Path], overrides: Mapping[str, Any]
) -> BoundExperiment:
    """The experiment that updates a run.

    Args:
        folders: Of more images, besides those that the run had.
        overrides: Dotted keys and their values.

    Raises:
        InputError: The run is an ensemble, or trained on its test images.
    """
    _refuse(run)
    experiment = load_experiment(run.folder / EXPERIMENT)
    earlier = experiment.settings.update.data if experiment.settings.update else ()
    every = dict.fromkeys(os.path.normpath(folder) for folder in (*earlier, *folders))
    table = {"run": run.run_id, "sha256": weights_sha256(run), "data": list(every)}
    try:
        return experiment.with_overrides({"update": table, **overrides})
    except InputError as error:
        raise InputError(f"--set {error}" if overrides else str(error)) from error


def _refuse(run: Result) -> None:
    named = f"run {run.run_id[:8]}"
    if run.ensemble:
        members = " ".join(member["run"][:8] for member in run.ensemble["members"])
        raise InputError(
            f"{named} is an ensemble: update each of its members ({members}), and join the updates "
            f"with `{command('ensemble', 'RUN', 'RUN')}`."
        )
    if run.training.train_on == "all":
        anew = command("run", str(run.folder / EXPERIMENT), "--set", "training.train_on=train")
        raise InputError(
            f"{named} was trained on its test images too, so nothing would tell whether an update "
            f"is better. Train it without them, `{anew}`, and update that run."
        )
