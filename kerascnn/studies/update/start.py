"""What an update starts from: the weights of the run, or the beginning."""

import numpy as np

from kerascnn.engine.metrics.significance import equally_accurate
from kerascnn.engine.result.run import Result
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.update import HEAD_ONLY
from kerascnn.results.leaks import rows_of, validation_of
from kerascnn.runtime.text import counted

AUTO, WARM, ANEW, BOTH = STARTS = ("auto", "warm", "anew", "both")
SURE = 0.05


def first_start(asked: str, experiment: BoundExperiment) -> tuple[str, str]:
    """What is trained first, and why: "warm" or "anew".

    Where only the head trains, its inputs are stored, and training anew costs no more. Elsewhere
    the fine-tuning takes most of the time, and a warm start a part of it.
    """
    if asked in (WARM, ANEW):
        return asked, "as asked"
    if asked == BOTH:
        return WARM, "both are asked for"
    if experiment.training.train_on != "train":
        return ANEW, "the validation images train too, so they cannot tell which start is better"
    if all(stage.settings.unfreeze == HEAD_ONLY for stage in experiment.stages):
        return ANEW, "only the head is trained, which takes no longer from the beginning"
    return WARM, "it takes a part of the time; anew follows if it is surely worse than the run was"


def fell_short(before: Result, after: Result) -> str:
    """Why an update is surely worse than its run on the validation images of both; "" if not."""
    said, earlier = validation_of(after), validation_of(before)
    digests = np.array([list(bytes.fromhex(digest)) for digest in said.digests], np.uint8)
    here, there = rows_of(digests, earlier)
    if not here:
        return ""
    labels = said.labels[here]
    now, then = said.predicted[here] == labels, earlier.predicted[there] == labels
    p_value = equally_accurate(now, then)
    if now.mean() >= then.mean() or p_value >= SURE:
        return ""
    return (
        f"the warm start is surely worse than run {before.run_id[:8]} on its "
        f"{counted(len(here), 'validation image')}: accuracy {now.mean():.3f} instead of "
        f"{then.mean():.3f} (p = {p_value:.2g})"
    )


def choose(warm: Result, anew: Result) -> tuple[str, str]:
    """The start that the validation images favour, and why; "anew" unless warm is surely better."""
    mine, other = validation_of(warm), validation_of(anew)
    right, theirs = mine.predicted == mine.labels, other.predicted == other.labels
    p_value = equally_accurate(right, theirs)
    said = (
        f"on {counted(len(mine), 'validation image')} the accuracy is {right.mean():.3f} from a "
        f"warm start (run {warm.run_id[:8]}) and {theirs.mean():.3f} anew (run "
        f"{anew.run_id[:8]}), p = {p_value:.2g}"
    )
    if p_value >= SURE:
        return ANEW, f"{said}: not told apart, so the one that began anew is taken"
    return (WARM if right.mean() > theirs.mean() else ANEW), said
