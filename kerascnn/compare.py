"""Runs side by side: what differs in their settings, and what they came to."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerascnn.config import flatten
from kerascnn.runs import Result, all_runs, find_run


@dataclass(frozen=True)
class Compared:
    """One run of a comparison.

    Args:
        settings: Only those that differ between the runs compared; None where a run lacks one.
        size_bytes: Of the saved model.
    """

    run_id: str
    name: str
    settings: dict[str, Any]
    test_accuracy: float
    interval: tuple[float, float]
    macro_f1: float
    parameters: int
    seconds: float
    size_bytes: int
    test_images: int
    same_test_pictures: bool


def compare_runs(runs: Iterable[str | Result] = ()) -> list[Compared]:
    """Compares runs.

    Args:
        runs: Ids, unique prefixes, "last", or results; none of them: all runs of this folder.

    Returns:
        One entry a run, the most accurate first.
    """
    results = [run if isinstance(run, Result) else find_run(run) for run in runs] or all_runs()
    settings = [flatten(result.experiment) | {"backend": result.backend} for result in results]
    keys = dict.fromkeys(key for table in settings for key in table)
    differing = [k for k in keys if len({str(table.get(k)) for table in settings}) > 1]
    first = results[0].data["test"]["fingerprint"] if results else None
    compared = [
        Compared(
            run_id=result.run_id,
            name=result.name,
            settings={key: table.get(key) for key in differing},
            test_accuracy=result.test_accuracy,
            interval=result.test_accuracy_interval,
            macro_f1=result.test["macro_f1"],
            parameters=result.parameters,
            seconds=result.seconds,
            size_bytes=_size(result.folder / "model"),
            test_images=result.test["images"],
            same_test_pictures=result.data["test"]["fingerprint"] == first,
        )
        for result, table in zip(results, settings, strict=True)
    ]
    return sorted(compared, key=lambda run: -run.test_accuracy)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
