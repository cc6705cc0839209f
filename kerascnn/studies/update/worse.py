"""Whether an update is worse than the run that it updates."""

from kerascnn.engine.result.run import Result
from kerascnn.runtime.commands import command
from kerascnn.runtime.text import abbreviated

SURE = 0.05


def not_registered(result: Result, why: str, name: str, alias: str) -> str:
    """Says that an update that is worse is not registered, and how to do so anyway."""
    options = ("--name", name, *(("--alias", alias) if alias else ()))
    anyway = command("register", result.run_id[:8], *options)
    return f"not registered: {why}. The run is kept; `{anyway}` registers it anyway."


def worse(result: Result) -> str:
    """Why an update is worse than its run, in words; "" if it is not.

    A class, or all old or all new test images, are surely worse, or fewer of all test images are
    right.
    """
    table = result.update
    assert table
    if table["worse"]:
        return f"on its old test images it is surely worse at {abbreviated(table['worse'])}"
    for side, what in ((table["old_tests"], "old"), (table["new_tests"], "new")):
        if side and side["difference"] < 0 and side["p_value"] < SURE:
            return (
                f"on {side['images']:,} {what} test images its accuracy is {side['after']:.3f} "
                f"instead of {side['before']:.3f} (p = {side['p_value']:.2g})"
            )
    every = table["all_tests"]
    if every["difference"] < 0:
        return (
            f"on all {every['images']:,} test images its accuracy is {every['after']:.3f} instead "
            f"of {every['before']:.3f}"
        )
    return ""
