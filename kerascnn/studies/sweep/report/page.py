"""The page of a sweep: as a file in its folder, and in a notebook."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerascnn.results.page import render
from kerascnn.runtime.commands import command
from kerascnn.studies.sweep.report import figures, labels, verdict
from kerascnn.studies.sweep.report.parallel import parallel
from kerascnn.studies.sweep.result import SweepResult, Trial

PAGE = "sweep.html"
FIRST = 20  # rows of the table; the others are folded


@dataclass(frozen=True)
class Row:
    """A trial as the table shows it.

    Args:
        standing: See `verdict.standing`.
        colour: Of its dot, as in the figures.
        settings: What it tried, in the order of the keys, as a short label and in full; "" where a
            key does not apply.
    """

    trial: Trial
    standing: str
    colour: str
    settings: list[tuple[str, str]]


def write_page(result: SweepResult) -> Path:
    """Writes the sweep as one self-contained HTML page into its folder."""
    drawn = {
        name: [draw(result, wide) for wide in (True, False)]
        for name, draw in (
            ("history", figures.history),
            ("slices", figures.slices),
            ("parallel", parallel),
            ("importance", figures.importance),
            ("curves", figures.curves),
        )
    }
    page = render("sweep.html", **_values(result), **drawn)
    file = result.folder / PAGE
    file.write_text(page, encoding="utf-8")
    return file


def sweep_html(result: SweepResult) -> str:
    """The sweep for a notebook: the verdict, its history and its best trials."""
    drawn = [figures.history(result, wide) for wide in (True, False)]
    return render("sweep_notebook.html", **_values(result), history=drawn)


def _values(result: SweepResult) -> dict[str, Any]:
    rows = [_row(result, trial) for trial in verdict.ranked(result)]
    return {
        "result": result,
        "metric": labels.metric_name(result),
        "tally": verdict.tally(result),
        "sentences": verdict.sentences(result),
        "keys": list(result.space),
        "names": labels.short_keys(result.space),
        "searched": labels.searched(result),
        "best": {key: labels.short_label(value) for key, value in _best(result).items()},
        "first": rows[:FIRST],
        "others": rows[FIRST:],
        "colours": figures.COLOURS,
        "commands": [command(*words) for words in verdict.next_commands(result)],
    }


def _best(result: SweepResult) -> dict[str, Any]:
    return result.best.params if result.best else {}


def _row(result: SweepResult, trial: Trial) -> Row:
    standing = verdict.standing(result, trial)
    params = [trial.params.get(key, "") for key in result.space]
    settings = [(labels.short_label(value), labels.setting(value)) for value in params]
    return Row(trial, standing, figures.COLOURS.get(standing, "var(--soft)"), settings)
