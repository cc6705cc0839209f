"""What the commands show that begin with an experiment."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from kerascnn.cli.tables.layout import Table, interval, line, number, plain, rows, words
from kerascnn.cli.tables.lines import prepared_rows
from kerascnn.engine.prepare import StageCheck
from kerascnn.engine.prepared import Prepared
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.text import visible

CLASSES_SHOWN = 30
WIDE = 100  # columns; in fewer, some figures of a network are left to --json

if TYPE_CHECKING:  # other commands need nothing of theirs
    from kerascnn.engine.result import Result
    from kerascnn.studies.probed import Probe
    from kerascnn.studies.range_test import RangeTest


def show_check(console: Console, prepared: Prepared, stages: list[StageCheck]) -> None:
    """Shows what each stage would do."""
    console.print(rows((f"[bold]{label}[/bold]", text) for label, text in prepared_rows(prepared)))
    console.print()
    if len(prepared.data.class_names) <= CLASSES_SHOWN:
        console.print(_classes(prepared))
        console.print()
    numbers = map(number, ("parameters", "epochs × steps", "memory up to"))
    table = Table("stage", words("trains"), *numbers, words("boundary"))
    for stage in stages:
        table.add_row(
            stage.name,
            plain(stage.unfreeze),
            f"{stage.trainable_parameters:,}",
            f"{stage.epochs} × {stage.steps}",
            gigabytes(stage.memory_bytes),
            stage.boundary,
        )
    console.print(table)
    console.print()
    console.print("frozen prefix")
    console.print(rows(((escape(stage.name), escape(stage.frozen_part)) for stage in stages), 2))


def _classes(prepared: Prepared) -> RichTable:
    """How many images of each class there are in each split."""
    counts = prepared.data.class_counts()
    table = Table(words("class"), *map(number, counts))
    for name, *row in zip(prepared.data.class_names, *counts.values(), strict=True):
        table.add_row(plain(name), *(f"{count:,}" for count in row))
    return table


def show_range_test(console: Console, test: "RangeTest", plot: Path, apply: str) -> None:
    """Shows at which learning rates a stage can train, which is suggested, and how to apply it.

    `apply` is the command that does.
    """
    end = "the loss had grown to 4 times the least" if test.diverged else "the last rate"
    lines = {
        "tested": f"stage {escape(test.stage)}: {len(test.rates)} steps, from {test.rates[0]:.1e} "
        f"to {test.rates[-1]:.1e}: {end}",
        "now": f"{test.configured:.1e} in the experiment",
        **_suggested(test),
        "plot": escape(visible(str(plot))),
        **({"next": escape(visible(apply))} if test.suggestion else {}),
    }
    for label, text in lines.items():
        console.print(line(label, text), soft_wrap=True)  # a command is pasted whole


def _suggested(test: "RangeTest") -> dict[str, str]:
    if test.suggestion is None:
        return {"suggested": f"none: {test.why_none}. Keep {test.configured:.1e}."}
    return {
        "suggested": f"[bold]{test.suggestion:.1e}[/bold], a tenth of the rate where the loss is "
        f"least, {test.lowest:.1e}; `{escape(command('compare'))}` tells whether it is better"
    }


def show_probe(console: Console, probed: "Probe") -> None:
    """Shows networks, the most promising first, with what they cost."""
    wide = console.width >= WIDE
    more = ("ms of 32", "parameters", "size") if wide else ()
    table = Table(
        words("architecture"), *map(number, ("accuracy", "95%", "ms for 1", *more, "train"))
    )
    for network in probed.networks:
        costs = (
            f"{network.batched_ms:.1f}",
            f"{network.parameters:,}",
            gigabytes(network.model_bytes),
        )
        table.add_row(
            plain(network.architecture),
            f"{network.accuracy:.3f}",
            interval(*network.interval),
            f"{network.single_ms:.1f}",
            *(costs if wide else ()),
            gigabytes(network.training_bytes),
        )
    console.print(table)
    console.print()
    console.print(
        f"accuracy: of a linear probe on {probed.networks[0].images:,} images, in 5 folds · ms: "
        f"an image, alone and of 32 at once, on {probed.device} · train: memory that training "
        "all of it takes at most",
        soft_wrap=True,
    )
    console.print(line("plot", escape(f"{probed.artifacts}/probe.png")), soft_wrap=True)


def probe_document(probed: "Probe", results: "list[Result]") -> dict[str, Any]:
    """A probe, and the runs of its best networks, for JSON."""
    return {
        **probed.to_json(),
        "runs": [result.to_json() for result in results],
        "rank_correlation": probed.agreement(results),
    }


def show_promoted(console: Console, probed: "Probe", results: "list[Result]") -> None:
    """Shows what the probe promised of networks beside what they came to in full."""
    from kerascnn.studies.probed import FEWEST_RANKED

    table = Table("run", "architecture", *map(number, ("probe", "95%", "test", "95%", "time")))
    for network, result in zip(probed.networks, results, strict=False):
        table.add_row(
            result.run_id[:8],
            plain(network.architecture),
            f"{network.accuracy:.3f}",
            interval(*network.interval),
            f"{result.test_accuracy:.3f}",
            interval(*result.test_accuracy_interval),
            f"{result.seconds:,.0f} s",
        )
    console.print()
    console.print(table)
    if agreement := probed.agreement(results):
        rho, low, high = agreement
        console.print(
            f"rank correlation of the probe and the runs (Spearman): {rho:+.2f} "
            rf"\[{low:+.2f}, {high:+.2f}], {len(results)} networks"
        )
    elif len(results) >= FEWEST_RANKED:
        console.print("no rank correlation: the networks' accuracies are all the same")
