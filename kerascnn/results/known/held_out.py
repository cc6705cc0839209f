"""Which images set the thresholds of a run: ones that its network was not trained on.

Those are the validation images. Where they trained the network too, the test images take their
place: nothing about the network is decided by them, so its accuracy on them is valid. A threshold
from images that trained the network, even with each left out of its own neighbours, would refuse
far too many new ones; one from a network of the same recipe holds for that network alone.
`benchmarks/thresholds.py` compares the three.
"""

from kerascnn.engine.result.run import EXPERIMENT, PREDICTIONS, VALIDATION_PREDICTIONS, Result
from kerascnn.errors import InputError
from kerascnn.results.predictions import Predictions, read_predictions
from kerascnn.runtime.commands import command

HELD_OUT = {"train": "validation", "train+validation": "test"}
"""The split that sets thresholds, by `training.train_on`; none if all images were trained on."""
_FILES = {"validation": VALIDATION_PREDICTIONS, "test": PREDICTIONS}


def held_out(run: Result) -> str:
    """The split that sets the thresholds of a run.

    Raises:
        InputError: The run was trained on all its images.
    """
    split = HELD_OUT.get(run.training.train_on)
    if split is None:
        file = str(run.folder / EXPERIMENT)
        without = command("run", file, "--set", "training.train_on=train+validation")
        way = (
            "take an ensemble of runs that were not trained on their test images"
            if run.ensemble
            else f"`{without}` keeps the test images for it"
        )
        raise InputError(
            f"run {run.run_id[:8]} was trained on all its images (training.train_on = "
            f'"{run.training.train_on}"), so none are left to set a threshold by; {way}.'
        )
    return split


def held_out_predictions(run: Result) -> Predictions:
    """What a run's network said of those images, as trained.

    Raises:
        InputError: The run was trained on all its images.
    """
    return read_predictions(run.folder / _FILES[held_out(run)], run.class_names)
