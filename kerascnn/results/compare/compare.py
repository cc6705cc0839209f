"""Compares runs."""

import os
from collections.abc import Iterable
from pathlib import Path

from kerascnn.engine.observer import Observer, default_observer
from kerascnn.engine.result import Result
from kerascnn.results.compare.comparison import Comparison
from kerascnn.results.find import all_runs, find_run
from kerascnn.runtime.arguments import as_list
from kerascnn.runtime.process import contained


@contained()
def compare_runs(
    runs: str | Result | Iterable[str | Result] = (),
    *,
    by_seed: bool = False,
    data: str | Path | None = None,
    observer: Observer | None = None,
) -> Comparison:
    """Compares runs.

    Args:
        runs: Ids, unique prefixes, "last", or results; default the runs of this folder with the
            same test images as the last one.
        by_seed: Compare groups of runs that differ only in the seed; default False.
        data: A folder of class folders to evaluate the runs on; default their test images.
        observer: Receives notes on the images of `data`; default they are shown.

    Returns:
        The comparison, with `runs`, the most accurate first, tested `pairs`, and `flips`.
    """
    found = [find_run(run) for run in as_list(runs, (str, os.PathLike, Result), "runs")]
    results = list({result.run_id: result for result in found or _comparable()}.values())
    elsewhere = None
    if data is not None:
        from kerascnn.results.compare.elsewhere import judge_elsewhere

        results, elsewhere = judge_elsewhere(results, data, observer or default_observer())
    ordered = sorted(results, key=lambda result: -result.test_accuracy)
    return Comparison(tuple(ordered), results[0] if results else None, by_seed, elsewhere)


def _comparable() -> list[Result]:
    """The runs that were tested on the images of the last one."""
    runs = all_runs()
    tested = [run.data["test"]["fingerprint"] for run in runs]
    return [run for run, images in zip(runs, tested, strict=True) if images == tested[-1]]
