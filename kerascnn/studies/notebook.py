"""Results, comparisons and studies as HTML, for notebooks."""

from functools import singledispatch

from kerascnn.engine.result.folds import FoldsResult
from kerascnn.engine.result.run import Result
from kerascnn.results.compare.comparison import Comparison
from kerascnn.results.compare.page import comparison_html
from kerascnn.results.folds.page import folds_html
from kerascnn.results.page import render
from kerascnn.results.report.chapters import results
from kerascnn.studies.best.page import best_html
from kerascnn.studies.best.result import BestResult
from kerascnn.studies.more.page import more_html
from kerascnn.studies.more.result import MoreResult
from kerascnn.studies.probe.blocks_result import BlocksResult
from kerascnn.studies.probe.page import blocks_html, probe_html
from kerascnn.studies.probe.result import ProbeResult
from kerascnn.studies.sweep.report.page import sweep_html
from kerascnn.studies.sweep.result import SweepResult


@singledispatch
def as_html(shown: object) -> str:
    """A result, a comparison or a study as HTML, with its style."""
    raise TypeError(f"a {type(shown).__name__} has no HTML")


as_html.register(Comparison, comparison_html)
as_html.register(FoldsResult, folds_html)
as_html.register(ProbeResult, probe_html)
as_html.register(BlocksResult, blocks_html)
as_html.register(MoreResult, more_html)
as_html.register(SweepResult, sweep_html)
as_html.register(BestResult, best_html)


@as_html.register
def _(result: Result) -> str:
    """The parts of the report that need no images: headline, curves, stages, classes."""
    return render("notebook.html", **results(result))
