"""What a study found, in sentences: for the terminal, the page and MLflow's note."""

from kerascnn.results.page import seconds
from kerascnn.runtime.text import counted
from kerascnn.studies.best.result import DONE, BestResult, Ending, Tried

NAMED = 3  # of the others, in a sentence


def best_so_far(so_far: BestResult) -> str:
    """Such as "best so far 0.913"; "" if nothing is done."""
    return f"best so far {so_far.best.val_accuracy:.3f}" if so_far.best else ""


def tried_line(one: Tried) -> str:
    """Such as "  0.913 [0.879, 0.940]  +0.012 [-0.004, +0.028]  best so far  WHAT  12 s"."""
    if one.state != DONE:
        return f"  {one.state}: {one.what}: {one.reason}"
    low, high = one.interval or (0.0, 0.0)
    marked = "best so far" if one.better else "not better"
    return (
        f"  {one.val_accuracy:.3f} [{low:.3f}, {high:.3f}]{gained(one)}  {marked}  {one.what}"
        f"  {seconds(one.seconds)}"
    )


def gained(one: Tried) -> str:
    """Such as "  +0.012 [-0.004, +0.028]"; "" for the first."""
    if one.gain is None or one.gain_interval is None:
        return ""
    low, high = one.gain_interval
    return f"  {one.gain:+.3f} [{low:+.3f}, {high:+.3f}]"


def finishing(ending: Ending) -> str:
    """What is run in the end."""
    images = "the training and validation images" if ending.retrained else "the training images"
    return f"the best, {ending.one.what}, trained on {images}"


def sentences(result: BestResult) -> list[str]:
    """What was tried and how certain the choice is."""
    best, done = result.best, [one for one in result.tried if one.state == DONE]
    if best is None or best.val_accuracy is None:
        return ["Nothing could be trained."]
    chosen = f"Best of {len(done)}: {best.what}"
    if best.members:
        chosen = f"Of {len(done) - 1}, none is surely the best. This is {best.what}"
    judged = f"Validation accuracy {best.val_accuracy:.3f} on {counted(result.images, 'image')}"
    said = [f"{chosen}. {judged}."]
    if result.winner:
        low, high = result.winner.test_accuracy_interval
        images = result.winner.test["images"]
        it = "Trained on the validation images too, it" if result.retrained else "It"
        said.append(
            f"{it} has an accuracy of {result.winner.test_accuracy:.3f} "
            f"[{low:.3f}, {high:.3f}] on {counted(images, 'test image')}, used once, at the end."
        )
    return said + alike(result) + left_out(result)


def alike(result: BestResult) -> list[str]:
    """Which of the others may be as good as the best."""
    if sum(one.state == DONE for one in result.tried) < 2:
        return []
    others = [result.tried[number].what for number in result.not_told_apart]
    if not others:
        return ["All others are worse by the paired test."]
    more = f"; and {len(others) - NAMED} more" if len(others) > NAMED else ""
    named = "; ".join(others[:NAMED]) + more
    return [f"{counted(len(others), 'other')} cannot be told apart from it: {named}."]


def left_out(result: BestResult) -> list[str]:
    """What it would take to try more."""
    others = [one for one in result.tried if one.too_long]
    if not others:
        return []
    first = others[0]
    minutes = max(1, -(-round(first.seconds) // 60))
    return [f"More time would try {first.what} next, in about {minutes} min."]


def next_commands(result: BestResult) -> list[tuple[str, ...]]:
    """The commands to continue with, as arguments of `kerascnn`."""
    again = ("best", "--resume", result.study[:8], "--minutes", "10")
    if result.winner is None:
        return [again]
    run = result.winner.run_id[:8]
    return [("report", run, "--open"), ("predict", run, "IMAGE"), again]
