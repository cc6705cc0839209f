"""The run that an experiment updates: its images, and its weights as a start."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kerascnn.engine.data.splits.renewed import Before
from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.network.warm import MisfitError, warm_up
from kerascnn.engine.observer import Observer, Only
from kerascnn.engine.result.run import Result
from kerascnn.engine.training.undisturbed import undisturbed
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.results.find import find_run
from kerascnn.results.joined import weights_sha256
from kerascnn.results.leaks import as_prepared, images_of, leaks


@dataclass(frozen=True)
class WarmStart:
    """The weights that a network starts from.

    Args:
        key: Identifies them.
        warm: Gives them to a network.
    """

    key: str
    warm: Callable[[Any], None]


def run_before(experiment: BoundExperiment) -> Result:
    """The run that an experiment updates.

    Raises:
        InputError: It is gone, or has other weights than the experiment says.
    """
    update = experiment.settings.update
    assert update
    try:
        result = find_run(update.run)
    except InputError as error:
        raise InputError(f"update.run: {error}") from error
    if update.sha256 not in (None, weights_sha256(result)):
        raise InputError(
            f"update.run: run {result.run_id[:8]} has other weights than those with this sha256."
        )
    return result


def images_before(experiment: BoundExperiment) -> Before:
    """The images that an updated run had, with their splits and labels."""
    result = run_before(experiment)
    return Before(result.run_id, images_of(result), result.class_names)


def warm_start(experiment: BoundExperiment, data: Data, observer: Observer) -> WarmStart | None:
    """The weights that a network starts from; None unless it is the warm start of an update.

    Args:
        data: The experiment's images.

    Raises:
        InputError: The run has seen the images that judge the network, or has another network.
    """
    if experiment.settings.update is None or experiment.settings.update.start == "anew":
        return None
    result = run_before(experiment)
    named = f"update.run: run {result.run_id[:8]}"
    anew = '; update.start = "anew" starts without its weights.'
    quiet = Only(progress=observer.progress)
    if found := leaks(result, as_prepared(experiment, data, quiet)(result)):
        raise InputError(f"{named} was trained on {found}{anew}")

    def warm(model: Any) -> None:
        try:
            with undisturbed():
                warm_up(model, result.model)
        except MisfitError as misfit:
            raise InputError(f"{named} has another network, with {misfit}{anew}") from misfit

    return WarmStart(weights_sha256(result), warm)
