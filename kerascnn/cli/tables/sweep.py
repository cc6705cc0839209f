"""What the commands on sweeps print: the trials, and what they show."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table as RichTable

from kerascnn.cli.tables.layout import Table, fits, line, number, plain, rows, words
from kerascnn.results.page import seconds
from kerascnn.runtime.commands import command
from kerascnn.runtime.text import abbreviated
from kerascnn.studies.sweep.report import labels, verdict
from kerascnn.studies.sweep.report.page import PAGE
from kerascnn.studies.sweep.result import SweepResult, Trial

FIRST = 12  # trials shown without --all
BRIEF = 60  # characters of a reason
INDENT = (0, 0, 0, 7)  # of the settings below a trial
FAILED = 3  # failures explained below the table


def show_sweep(console: Console, result: SweepResult, everything: bool = False) -> None:
    """Prints the trials, the best first, and the verdict.

    Args:
        everything: Whether all trials are listed.
    """
    console.print(plain(verdict.title(result)))
    console.print()
    shown = verdict.ranked(result)[: None if everything else FIRST]
    if shown:
        _show_trials(console, result, shown)
    if more := len(result.trials) - len(shown):
        full = escape(command("sweep", "show", result.study[:8], "--all"))
        console.print(f"and {more:,} more; `{full}` lists them", soft_wrap=True)
    _show_failures(console, result)
    console.print()
    _show_verdict(console, result)
    _show_next(console, result, more > 0)


def show_best(console: Console, result: SweepResult) -> None:
    """Prints the settings of the best trial, and how certain it is that it is the best."""
    _show_verdict(console, result)
    _show_next(console, result, more=True)


def _show_trials(console: Console, result: SweepResult, shown: list[Trial]) -> None:
    """A table with a column for each key if that fits, else the settings below each trial."""
    apart = [_apart(result, shown, reasons) for reasons in (True, False)]
    if fitting := [table for table in apart if fits(console, table)]:
        console.print(fitting[0])
        return
    titles = ("trial", _metric(result), "95%", "time", "epochs")
    console.print(f"[bold]{_aligned(titles, result)}state[/bold]", soft_wrap=True)
    for trial in shown:
        cells = _aligned((*_measured(trial), *_cost(trial)), result)
        state = plain(f"{cells}{_state(result, trial)}")
        state.truncate(console.width, overflow="ellipsis")
        console.print(state)
        settings = plain(" ".join(labels.settings(trial.params, result.space)))
        console.print(Padding(settings, INDENT, expand=False))


def _aligned(cells: Iterable[str], result: SweepResult) -> str:
    widths = (5, max(6, len(_metric(result))), 14, 10, 6)
    return "".join(f"{cell:>{width}}  " for cell, width in zip(cells, widths, strict=True))


def _apart(result: SweepResult, shown: list[Trial], reasons: bool) -> RichTable:
    keys = [words(name) for name in labels.short_keys(result.space).values()]
    numbers = map(number, ("trial", _metric(result), "95%"))
    table = Table(*numbers, *keys, number("time"), number("epochs"), words("state"))
    for trial in shown:
        settings = [
            labels.short_label(trial.params[key]) if key in trial.params else "–"
            for key in result.space
        ]
        state = _state(result, trial) if reasons else verdict.standing(result, trial)
        cells = (*_measured(trial), *settings, *_cost(trial), state)
        table.add_row(*map(plain, cells))
    return table


def _state(result: SweepResult, trial: Trial) -> str:
    """How a trial ended, with the reason in brief."""
    state = verdict.standing(result, trial)
    if not trial.reason:
        return state
    short = trial.reason if len(trial.reason) <= BRIEF else f"{trial.reason[: BRIEF - 1]}…"
    return f"{state}: {short}"


def _metric(result: SweepResult) -> str:
    return result.metric.removeprefix("val_")


def _measured(trial: Trial) -> tuple[str, str, str]:
    value = f"{trial.value:z.3f}" if trial.value is not None else "–"
    return str(trial.number), value, _bounds(trial)


def _bounds(trial: Trial) -> str:
    if trial.interval is None:
        return ""
    low, high = trial.interval
    return f"[{low:z.3f}, {high:z.3f}]"


def _cost(trial: Trial) -> tuple[str, str]:
    return seconds(trial.seconds) if trial.seconds is not None else "", str(trial.epochs)


def _show_failures(console: Console, result: SweepResult) -> None:
    failed = [trial for trial in result.trials if trial.state == "failed"]
    for trial in failed[:FAILED]:
        console.print(plain(f"trial {trial.number} failed: {trial.reason}"), soft_wrap=True)
    if len(failed) > FAILED:
        console.print(f"and {len(failed) - FAILED:,} other trials failed")


def _show_verdict(console: Console, result: SweepResult) -> None:
    best = result.best
    said = [("best", f"trial {best.number}: {verdict.best_value(result)}" if best else "")]
    if best:
        said += [("", " ".join(labels.settings(best.params, result.space, full=True)))]
    said += [("", verdict.alike(result)), ("expect", verdict.optimism(result))]
    said += [("keys", _importance(result)), ("winner", verdict.tested(result))]
    pairs = [(f"[bold]{label}[/bold]", plain(text)) for label, text in said if text]
    console.print(rows(pairs))


def _importance(result: SweepResult) -> str:
    names = labels.short_keys(result.space)
    shares = sorted(result.importance.items(), key=lambda pair: -pair[1])
    said = [f"{names.get(key, key)} {share:.0%}" for key, share in shares]
    return f"by importance: {abbreviated(said)}" if said else ""


def _show_next(console: Console, result: SweepResult, more: bool) -> None:
    """Paths and commands, each on one line so that it can be copied."""
    page = result.folder / PAGE
    if page.is_file():
        here = str(page).removeprefix(f"{Path.cwd()}/")
        console.print(line("page", escape(here)), soft_wrap=True)
    following = [one for one in verdict.next_commands(result) if more or "--all" not in one]
    for place, arguments in enumerate(following):
        label = "" if place else "next"
        console.print(line(label, escape(command(*arguments))), soft_wrap=True)
