"""What the validation images of a sweep can show, before its first trial."""

from kerascnn.engine.metrics.reach import coarse, reach
from kerascnn.runtime.commands import command, overrides
from kerascnn.runtime.text import counted
from kerascnn.studies.sweep.plan.load import Planned

SHARE = 0.3
KEY = "validation_fraction"  # of datasets that draw their own splits


def too_few(planned: Planned, images: int) -> str:
    """Why so few validation images may tell no trials apart, and what to do; "" if they are enough.

    Args:
        images: Number of validation images, 1 or more.
    """
    if not coarse(images):
        return ""
    share = getattr(planned.experiment.dataset.params, KEY, SHARE)
    larger = f" ({overrides({f'dataset.{KEY}': str(SHARE)})})" if share < SHARE else ""
    folds, compare = command("folds", "FILE"), command("compare")
    return (
        f"{counted(images, 'validation image')} can show {reach(images)}, so this sweep may tell "
        f"no trials apart. Validate on more images{larger}, or test a few settings on all images "
        f"with `{folds}` and `{compare}`."
    )
