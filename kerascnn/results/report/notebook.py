"""What a result shows of itself in a notebook: the report's parts that need no pictures."""

from kerascnn.results.report.chapters import results
from kerascnn.results.report.page import render
from kerascnn.results.result import Result


def result_html(result: Result) -> str:
    """Headline, curves, stages and classes, as HTML that brings its own looks."""
    return render("notebook.html", **results(result))
