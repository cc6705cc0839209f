"""Probes as HTML, for notebooks."""

from kerascnn.results.compare.results import p_text
from kerascnn.results.page import render, share, style, svg
from kerascnn.runtime.screen import accuracy
from kerascnn.studies.probe.behind import Behind
from kerascnn.studies.probe.blocks_result import BlocksResult, blocks_figure
from kerascnn.studies.probe.result import ProbeResult, probe_figure


def probe_html(result: ProbeResult) -> str:
    """The networks in a figure and a table."""
    with style():
        figure = svg(probe_figure(result.networks), "accuracy and time of each network")
    rows = [
        (
            network.architecture,
            accuracy(network.accuracy, network.interval),
            _p(network.behind),
            f"{network.batched_ms:.1f}",
            f"{network.parameters:,}",
        )
        for network in result.networks
    ]
    columns = ("architecture", "accuracy, 95%", "as accurate as the first", "ms", "parameters")
    return render(
        "probe_notebook.html",
        result=result,
        what="probe",
        verdict=f"Best: {result.verdict}.",
        figure=figure,
        columns=columns,
        rows=rows,
    )


def blocks_html(result: BlocksResult) -> str:
    """The blocks in a figure and a table."""
    with style():
        figure = svg(blocks_figure(result), "accuracy at the end of each block")
    rows = [
        (
            block.block,
            f"{block.features:,}",
            accuracy(block.accuracy, block.interval),
            share(block.loss),
            _p(block.behind),
            block.unfreeze,
        )
        for block in result.blocks
    ]
    best = f"as accurate as {result.best.block}"
    return render(
        "probe_notebook.html",
        result=result,
        what=f"blocks of {result.architecture}",
        verdict=f"Enough: {result.verdict}.",
        figure=figure,
        columns=("block", "features", "accuracy, 95%", "loss", best, "to train what follows"),
        rows=rows,
    )


def _p(behind: Behind | None) -> str:
    return p_text(behind.p_value) if behind else "–"
