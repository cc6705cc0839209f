"""Compares runs."""

import os
from collections.abc import Iterable
from pathlib import Path

from kerascnn.engine.observer import Observer, default_observer
from kerascnn.engine.result.folds import FoldsResult
from kerascnn.engine.result.outcome import Outcome
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.results.compare.comparison import Comparison
from kerascnn.results.find import all_runs, find_outcome
from kerascnn.runtime.arguments import as_list
from kerascnn.runtime.process import contained


@contained()
def compare_runs(
    runs: str | Outcome | Iterable[str | Outcome] = (),
    *,
    by_seed: bool = False,
    data: str | Path | None = None,
    observer: Observer | None = None,
) -> Comparison:
    """Compares runs, or studies of folds.

    Args:
        runs: Ids, unique prefixes, "last", or results; default the runs of this folder with the
            same test images as the last one. Studies of folds are compared on all images, pair by
            pair; they need the same folds.
        by_seed: Compare groups of runs that differ only in the seed; default False.
        data: A folder of class folders to evaluate the runs on; default their test images.
        observer: Receives notes on the images of `data`; default they are shown.

    Returns:
        The comparison, with `runs`, the most accurate first, tested `pairs`, and `flips`.
    """
    given = as_list(runs, (str, os.PathLike, Result, FoldsResult), "runs")
    found: list[Outcome] = [find_outcome(run) for run in given] or list(_comparable())
    results = list({result.run_id: result for result in found}.values())
    elsewhere = None
    if data is not None:
        from kerascnn.results.compare.elsewhere import judge_elsewhere

        alone = [run for run in results if isinstance(run, Result)]
        if len(alone) < len(results):
            raise InputError(
                f"a study of folds has no network of its own to evaluate on {data}; name runs."
            )
        judged, elsewhere = judge_elsewhere(alone, data, observer or default_observer())
        results = list(judged)
    ordered = sorted(results, key=lambda result: -result.test_accuracy)
    return Comparison(tuple(ordered), results[0] if results else None, by_seed, elsewhere)


def _comparable() -> list[Result]:
    """The runs that were tested on the images of the last one."""
    runs = all_runs()
    tested = [run.data["test"]["fingerprint"] for run in runs]
    return [run for run, images in zip(runs, tested, strict=True) if images == tested[-1]]
