"""What results show of themselves in a notebook."""

from functools import singledispatch

from kerascnn.engine.result import Result
from kerascnn.results.compare.comparison import Comparison
from kerascnn.results.compare.page import comparison_html
from kerascnn.results.page import render
from kerascnn.results.report.chapters import results


@singledispatch
def as_html(shown: object) -> str:
    """A result or a comparison as HTML that brings its own style."""
    raise TypeError(f"no page is made of a {type(shown).__name__}")


as_html.register(Comparison, comparison_html)


@as_html.register
def _(result: Result) -> str:
    """Headline, curves, stages and classes: the report's parts that need no images."""
    return render("notebook.html", **results(result))
