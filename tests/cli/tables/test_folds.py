"""What `folds` prints."""

import io

import numpy as np
import pytest
from rich.console import Console

from kerascnn.cli.tables.folds import fold_line, show_folds


@pytest.fixture
def printed(workplace):
    def show(result):
        out = io.StringIO()
        show_folds(Console(file=out, width=100), result, workplace / "shapes.toml", ("seed=1",))
        return out.getvalue()

    return show


def test_accuracy_classes_and_the_next_commands(written_study, printed):
    said = printed(written_study("a" * 32, np.arange(40) > 5))
    assert "0.850 [0.709, 0.929] on 40 images, none by a network that has seen it" in said
    assert "square (3)" in said
    assert "shapes.toml --set seed=1" in said
    assert said.rstrip().endswith("compare aaaaaaaa OTHER_STUDY")


def test_of_repeats_each_class_counts_its_images_once(written_study, printed):
    right = np.ones((3, 40), bool)
    right[0, 0] = False  # a third of an image
    said = printed(written_study("a" * 32, right))
    assert "on 40 images, 3 times each" in said
    assert "circle      20   0.983" in said
    assert "square (0.333)" in said


def test_a_line_for_each_fold(written_study):
    fold = written_study("a" * 32, np.arange(40) > 5, k=2).folds[1]
    assert fold_line(fold, 2, 1) == r"  fold 2/2  accuracy 0.850 \[0.000, 1.000] on 20 images  2 s"
    assert fold_line(fold, 10, 3).startswith("  repeat 1/3, fold  2/10  accuracy")
