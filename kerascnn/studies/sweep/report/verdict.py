"""What a sweep found, in sentences: for the terminal, the page and MLflow's note."""

from kerascnn.results.page import seconds
from kerascnn.runtime.text import abbreviated, counted
from kerascnn.studies.sweep.folder import WINNER
from kerascnn.studies.sweep.report.labels import metric_name
from kerascnn.studies.sweep.result import SweepResult, Trial
from kerascnn.tracking.journal import RUNS

ENDED = ("complete", "pruned", "failed")
ORDER = ("complete", "pruned", "running", "waiting", "failed")
LEAST = 0.001  # of a difference that is shown
NAMED = 8  # trials named in a sentence


def ranked(result: SweepResult) -> list[Trial]:
    """All trials: the complete ones first, then the pruned ones, each the best first."""
    sign = -1 if result.greater_is_better else 1

    def place(trial: Trial) -> tuple[int, bool, float, int]:
        value = trial.value
        return ORDER.index(trial.state), value is None, sign * (value or 0.0), trial.number

    return sorted(result.trials, key=place)


def standing(result: SweepResult, trial: Trial) -> str:
    """How a trial ended: "best", "not told apart", "" if it is worse, else its state."""
    if result.best and trial.number == result.best.number:
        return "best"
    if trial.number in result.not_told_apart:
        return "not told apart"
    return "" if trial.state == "complete" else trial.state


def title(result: SweepResult) -> str:
    """Such as "sweep 1f0c77ab · flowers · 22 complete, 18 pruned · 3 min 11 s"."""
    parts = (f"sweep {result.study[:8]}", result.name, tally(result) or "no trials")
    return " · ".join([*parts, seconds(result.seconds)])


def headline(result: SweepResult) -> str:
    """The best trial in a sentence."""
    if result.best is None:
        return "No trial is complete"
    return f"Trial {result.best.number} is the best: {best_value(result)}"


def best_value(result: SweepResult) -> str:
    """Such as "validation accuracy 0.942 [0.904, 0.966] on 225 images"."""
    if result.best is None or result.best.value is None:
        return ""
    bounds = result.best.interval
    within = f" [{bounds[0]:z.3f}, {bounds[1]:z.3f}]" if bounds else ""
    measured = f"{metric_name(result)} {result.best.value:z.3f}{within}"
    return f"{measured} on {counted(result.images)}"


def alike(result: SweepResult) -> str:
    """How many trials the paired test cannot tell from the best, in a sentence."""
    complete = result.counts().get("complete", 0)
    if result.best is None or complete < 2:
        return ""
    others = result.not_told_apart
    if not others:
        return "Every other complete trial is worse by the paired test"
    which = f"{'trial' if len(others) == 1 else 'trials'} {abbreviated(others, NAMED)}"
    if len(others) == complete - 1:
        return f"No other complete trial can be told apart from it: {which}"
    return f"{counted(len(others), 'other trial')} cannot be told apart from it: {which}"


def optimism(result: SweepResult) -> str:
    """By how much the best value is expected to be too good, in a sentence."""
    if result.optimism is None or result.best is None or result.best.value is None:
        return ""
    sign = 1 if result.greater_is_better else -1
    expected = result.best.value - sign * result.optimism
    far = "too high" if result.greater_is_better else "too low"
    chosen = f"As the best of {result.counts()['complete']} complete trials, its value is expected"
    if result.optimism < LEAST:
        return f"{chosen} to be less than {LEAST} {far}"
    return f"{chosen} to be {result.optimism:.3f} {far}: about {expected:z.3f} on other images"


def tested(result: SweepResult) -> str:
    """The test accuracy of the winner, in a sentence."""
    if result.winner is None:
        return ""
    low, high = result.winner.test_accuracy_interval
    return (
        f"The winner, run in full, has a test accuracy of {result.winner.test_accuracy:.3f} "
        f"[{low:.3f}, {high:.3f}] on {counted(result.winner.test['images'])} that no trial has seen"
    )


def tally(result: SweepResult) -> str:
    """Such as "22 complete, 17 pruned, 1 failed"."""
    counts = result.counts()
    return ", ".join(f"{counts[state]:,} {state}" for state in ORDER if state in counts)


def sentences(result: SweepResult) -> list[str]:
    """The verdict: the best trial, which others may be as good, and what to expect of it."""
    said = (headline(result), alike(result), optimism(result))
    return [f"{sentence}." for sentence in said if sentence]


def next_commands(result: SweepResult) -> list[tuple[str, ...]]:
    """The commands to continue with, as arguments of `kerascnn`."""
    study = result.study[:8]
    if result.winner is None:
        return [("sweep", "show", study, "--all"), ("sweep", "--resume", study)]
    return [
        ("report", result.winner.run_id[:8], "--open"),
        ("sweep", "show", study, "--all"),
        ("run", f"{RUNS}/{result.folder.name}/{WINNER}"),
    ]
