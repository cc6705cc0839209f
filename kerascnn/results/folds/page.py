"""The page of a study of folds: one self-contained HTML file."""

from collections.abc import Callable

from kerascnn.engine.data.packed import Pooled
from kerascnn.results.folds.result import FoldsResult


def write_page(result: FoldsResult, pooled: Pooled, warned: Callable[[str], None]) -> None:
    pass
