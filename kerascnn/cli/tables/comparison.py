"""What `compare` prints: runs or studies, their settings, and how certain their differences are."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from kerascnn.cli.tables.layout import Table, fits, interval, number, plain, words
from kerascnn.engine.metrics.calibration import AS_TRAINED
from kerascnn.results.compare.comparison import Comparison
from kerascnn.results.compare.results import LEAST_SEEDS, Pair, Spread, p_text
from kerascnn.results.lookup import Kind
from kerascnn.runtime.text import counted
from kerascnn.runtime.toml import excerpt


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Prints runs, the most accurate first, their settings and how certain the differences are."""
    if not comparison.results:
        console.print(Kind.RUN.none_yet("finished "), soft_wrap=True)
        return
    results = _group_results if comparison.by_seed else _run_results
    settings = list(comparison.entrants[0].settings)
    wide = (results(comparison, settings, True), results(comparison, settings, False))
    fitting = [table for table in wide if fits(console, table)]
    console.print(fitting[0] if fitting else results(comparison, [], False))
    if not fitting and settings:
        console.print()
        console.print(_settings(console, comparison, settings))
    if any(result.temperature != AS_TRAINED for result in comparison.results):
        console.print("ECE: expected calibration error of the probabilities that `predict` gives")
    _show_metrics(console, comparison)
    if not comparison.refusal:
        _show_tests(console, comparison)


def _run_results(comparison: Comparison, settings: list[str], intervals: bool) -> RichTable:
    """One row per run: its metrics and those settings."""
    bounds = ["95%"] if intervals else []
    titles = ("accuracy", "95%", "F1", *bounds, "ECE", *bounds, "parameters", "time")
    table = Table(comparison.noun, *map(number, titles), *map(words, settings))
    for run in comparison.runs:
        f1, error = f"{run.macro_f1:.3f}", f"{run.calibration_error:.3f}"
        table.add_row(
            run.short if run.same_test_images else f"{run.short} *",
            f"{run.test_accuracy:.3f}",
            interval(*run.interval),
            *((f1, interval(*run.macro_f1_interval)) if intervals else (f1,)),
            *((error, interval(*run.calibration_interval)) if intervals else (error,)),
            f"{run.parameters:,}",
            f"{run.seconds:,.0f} s",
            *(_setting(run.settings[name]) for name in settings),
        )
    return table


def _group_results(comparison: Comparison, settings: list[str], intervals: bool) -> RichTable:
    """One row per group: mean and standard deviation over its seeds, and those settings."""
    more = ["F1", "ECE"] if intervals else []
    titles = ("seeds", "accuracy", "range", *more, "parameters", "time")
    table = Table("group", *map(number, titles), *map(words, settings))
    for group in comparison.groups:
        accuracy = group.test_accuracy
        others = [spread(group.macro_f1), spread(group.calibration_error)] if intervals else []
        table.add_row(
            group.name,
            str(len(group.seeds)),
            spread(accuracy),
            f"{accuracy.least:.3f} to {accuracy.greatest:.3f}",
            *others,
            f"{group.parameters:,}",
            f"{group.seconds.mean:,.0f} s",
            *(_setting(group.settings[name]) for name in settings),
        )
    return table


def spread(of: Spread) -> str:
    """Mean and standard deviation."""
    deviation = "" if of.standard_deviation is None else f" ± {of.standard_deviation:.3f}"
    return f"{of.mean:.3f}{deviation}"


def _show_metrics(console: Console, comparison: Comparison) -> None:
    """The metrics of the experiments: of each run, and how far it is behind the most accurate."""
    if comparison.entrants[0].metrics:
        console.print()
        console.print((_group_metrics if comparison.by_seed else _run_metrics)(comparison))
    for why in comparison.metrics.left_out:
        console.print(plain(why))


def _run_metrics(comparison: Comparison) -> RichTable:
    runs = comparison.runs[: _PAIRS + 1]
    leads = {} if comparison.refusal else {p.second: p.metrics for p in comparison.against_best}
    behind = (number("behind by"), number("95%")) if leads else ()
    table = Table(comparison.noun, words("metric"), number("value"), number("95%"), *behind)
    for run in runs:
        shown = run.short
        for name, of in run.metrics.items():
            cells = [f"{of['value']:.3f}", interval(*of["interval"]) if of["interval"] else ""]
            if run.run_id in leads:
                lead = leads[run.run_id][name]
                bounds = interval(*lead.interval) if lead.interval else ""
                cells += [f"{lead.difference:z.3f}", bounds]
            table.add_row(shown, plain(name), *cells)
            shown = ""
    return table


def _group_metrics(comparison: Comparison) -> RichTable:
    table = Table("group", words("metric"), number("mean"))
    for group in comparison.groups:
        shown = group.short
        for name, of in group.metrics.items():
            table.add_row(shown, plain(name), spread(of))
            shown = ""
    return table


def _settings(console: Console, comparison: Comparison, settings: list[str]) -> RichTable:
    """The settings side by side if they fit, else those in which each differs from the best."""
    best, *others = comparison.entrants
    beside = Table("setting", *(Column(plain(one.short)) for one in comparison.entrants))
    for name in settings:
        value = _setting(best.settings[name])
        cells = (_setting(one.settings[name]) for one in others)
        beside.add_row(plain(name), value, *("=" if cell == value else cell for cell in cells))
    if fits(console, beside):
        return beside
    first = Column(comparison.kind, no_wrap=True)
    listed = Table(first, words("setting"), words("value"), words(best.short))
    for one in others:
        shown = one.short
        for name in settings:
            value, cell = _setting(best.settings[name]), _setting(one.settings[name])
            if cell != value:
                listed.add_row(shown, plain(name), cell, value)
                shown = ""
    return listed


_PAIRS = 10  # pairs shown
_FLIPS = 8  # images shown


def _show_tests(console: Console, comparison: Comparison) -> None:
    """Prints each difference from the most accurate; for two runs, the images that flipped."""
    pairs = comparison.against_best
    if not pairs:
        return
    console.print()
    if len(pairs) > 1:
        _say(console, comparison)
        console.print()
        console.print(_pairs(pairs[:_PAIRS], comparison.kind))
        if len(pairs) > _PAIRS:
            console.print(f"and {len(pairs) - _PAIRS} more; --json and --html FILE show all pairs.")
        return
    _say(console, comparison)
    if not comparison.by_seed:
        _show_flips(console, comparison, pairs[0])


def _say(console: Console, comparison: Comparison) -> None:
    console.print(plain(comparison.summary))
    if comparison.advice:
        console.print(plain(comparison.advice))


def _pairs(pairs: Sequence[Pair], kind: str) -> RichTable:
    """How far each run or group is behind the most accurate."""
    alone = ["only best : only this"] if pairs[0].first_alone is not None else []
    table = Table(kind, *map(number, ("behind by", "95%", "p", *alone)), "")
    for pair in pairs:
        table.add_row(
            pair.second[:8],
            f"{pair.difference:z.3f}",
            interval(*pair.interval) if pair.interval else "",
            "" if pair.p_value_holm is None else p_text(pair.p_value_holm)[2:].removeprefix("= "),
            *([f"{pair.first_alone:,} : {pair.second_alone:,}"] if alone else []),
            _verdict(pair),
        )
    return table


def _verdict(pair: Pair) -> str:
    if pair.p_value is None:
        return f"no test: fewer than {LEAST_SEEDS} seeds"
    return "worse" if pair.better else "uncertain"


def _show_flips(console: Console, comparison: Comparison, pair: Pair) -> None:
    if not comparison.flips:
        console.print("Both classify the same images correctly.")
        return
    first, second = pair.first, pair.second
    alone = [len(list(comparison.flipped(*two))) for two in ((first, second), (second, first))]
    noun = "image" if pair.first_alone is not None else "prediction"
    console.print(
        f"Only {first[:8]} is right on {counted(alone[0], noun)}, only {second[:8]} on "
        f"{alone[1]:,}:"
    )
    console.print()
    table = Table(words("image"), words("label"), words(first[:8]), words(second[:8]))
    for flip in comparison.flips[:_FLIPS]:
        table.add_row(
            plain(flip.image),
            plain(flip.label),
            *(
                plain(f"{flip.predicted[run]} {flip.probability[run]:.2f}")
                for run in (first, second)
            ),
        )
    console.print(table)
    if len(comparison.flips) > _FLIPS:
        more = len(comparison.flips) - _FLIPS
        console.print(f"and {more:,} more; --html FILE shows them, --json lists them.")


def _setting(value: Any) -> Text:
    if value is None:
        return plain("–")
    return plain(value if isinstance(value, str) else excerpt(value))
