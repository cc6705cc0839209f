"""What `probe` prints: networks or blocks, and which of them cannot be told apart."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from kerascnn.cli.tables.layout import Table, interval, line, number, plain, words
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.text import visible

WIDE = 110  # columns; with fewer, some figures of a network are only in --json

if TYPE_CHECKING:  # not needed by other commands
    from kerascnn.engine.result.run import Result
    from kerascnn.studies.probe.behind import Behind
    from kerascnn.studies.probe.blocks_result import BlocksResult
    from kerascnn.studies.probe.result import ProbeResult


def show_probe(console: Console, probed: "ProbeResult") -> None:
    """Prints networks with their cost, the most promising first."""
    wide = console.width >= WIDE
    more = ("ms of 32", "parameters", "size") if wide else ()
    table = Table(
        words("architecture"),
        *map(number, ("accuracy", "95%", "p", "stored", "ms for 1", *more, "train")),
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
            _p(network.behind),
            _stored(network.stored, network.images),
            f"{network.single_ms:.1f}",
            *(costs if wide else ()),
            gigabytes(network.training_bytes),
        )
    console.print(table)
    console.print()
    _explain(
        console,
        {
            "best": probed.verdict,
            "accuracy": f"linear probe, out of fold, {probed.networks[0].images:,} images",
            "p": _P.format("the first"),
            "stored": "images whose features were in the cache",
            "ms": f"per image, in batches of 1 and 32, on {probed.device}",
            "train": "most memory for training all layers",
            "plot": f"{probed.artifacts}/probe.png",
        },
    )


_P = "that it is as accurate as {}: exact McNemar test, Holm-corrected"


def _explain(console: Console, lines: dict[str, str]) -> None:
    for label, text in lines.items():
        console.print(line(label, escape(visible(text))), soft_wrap=True)


def _p(behind: "Behind | None") -> str:
    if behind is None:
        return "–"
    return f"{behind.p_value:.3f}" if behind.p_value >= 0.0005 else "< 0.001"


def _stored(stored: int, images: int) -> str:
    if stored in (0, images):
        return "all" if stored else "none"
    return f"{stored:,} of {images:,}"


def show_blocks(console: Console, probed: "BlocksResult") -> None:
    """Prints the blocks from the input on, and where their features stop improving."""
    table = Table(
        words("block"),
        *map(number, ("features", "accuracy", "95%", "loss", "p")),
        words("to train what follows"),
    )
    for block in probed.blocks:
        table.add_row(
            plain(block.block),
            f"{block.features:,}",
            f"{block.accuracy:.3f}",
            interval(*block.interval),
            f"{block.loss:.3f}",
            _p(block.behind),
            plain(f'unfreeze = "{block.unfreeze}"'),
            style="bold" if block is probed.enough else "",
        )
    console.print(table)
    console.print()
    _explain(
        console,
        {
            "enough": probed.verdict,
            "accuracy": f"linear probe, out of fold, {probed.images:,} images; features in the "
            f"cache: {_stored(probed.stored, probed.images)}",
            "p": _P.format(probed.best.block),
            "plot": f"{probed.artifacts}/blocks.png",
        },
    )


def probe_document(probed: "ProbeResult", results: "list[Result]") -> dict[str, Any]:
    """A probe, and the runs of its best networks, for JSON."""
    return {
        **probed.to_json(),
        "runs": [result.to_json() for result in results],
        "rank_correlation": probed.agreement(results),
    }


def show_promoted(console: Console, probed: "ProbeResult", results: "list[Result]") -> None:
    """Prints the accuracy of each probe next to that of the full run."""
    from kerascnn.studies.probe.result import FEWEST_RANKED

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
            f"rank correlation between probe and runs (Spearman): {rho:+.2f} "
            rf"\[{low:+.2f}, {high:+.2f}], {len(results)} networks"
        )
    elif len(results) >= FEWEST_RANKED:
        console.print("no rank correlation: all accuracies are equal")
