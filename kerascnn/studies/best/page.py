"""The page of a study: as a file in its folder, and in a notebook."""

from pathlib import Path
from typing import Any

from kerascnn.results.page import render
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import write_whole
from kerascnn.studies.best import verdict
from kerascnn.studies.best.result import BestResult

PAGE = "best.html"


def write_page(result: BestResult) -> Path:
    """Writes the study as one self-contained HTML page into its folder."""
    file = result.folder / PAGE
    report = result.winner and result.winner.folder / "report.html"
    beside = f"../{report.parent.name}/{report.name}" if report and report.is_file() else ""
    write_whole(file, render("best.html", **_values(result), report=beside))
    return file


def best_html(result: BestResult) -> str:
    """The study for a notebook: the verdict and what was tried."""
    return render("best_notebook.html", **_values(result))


def _values(result: BestResult) -> dict[str, Any]:
    return {
        "result": result,
        "sentences": verdict.sentences(result),
        "commands": [command(*words) for words in verdict.next_commands(result)],
    }
