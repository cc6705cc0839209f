"""Runs side by side: what differs in their settings, and what they came to."""

import re
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
        runs: Ids, unique prefixes, "last", or results; none of them: the runs of this folder that
            were judged on the same test pictures as the last one.

    Returns:
        One entry a run, the most accurate first.
    """
    results = [run if isinstance(run, Result) else find_run(run) for run in runs] or _comparable()
    settings = [flatten(result.experiment) | {"backend": result.backend} for result in results]
    differing = _differing(settings)
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


def _comparable() -> list[Result]:
    runs = all_runs()
    return [run for run in runs if run.data["test"] == runs[-1].data["test"]]


def _differing(settings: list[dict[str, Any]]) -> list[str]:
    """The settings that differ, without the parameters of components that differ in name, and
    without the details of stages that some runs lack."""
    keys = dict.fromkeys(key for table in settings for key in table)
    differing = [key for key in keys if len({str(table.get(key)) for table in settings}) > 1]

    def is_detail(key: str) -> bool:
        parents = key.split(".")
        owners = [".".join([*parents[: depth + 1], "name"]) for depth in range(len(parents) - 1)]
        return any(
            owner in differing
            and owner != key
            and (not _of_stage(owner) or _lacks(settings, owner))
            for owner in owners
        )

    return [key for key in differing if not is_detail(key)]


def _of_stage(name_key: str) -> bool:
    return re.fullmatch(r"stages\.\d+\.name", name_key) is not None


def _lacks(settings: list[dict[str, Any]], key: str) -> bool:
    return any(key not in table for table in settings)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
