"""Figures whose text others wrote."""

import ast
import warnings
from pathlib import Path

import pytest

import kerascnn
from kerascnn.results import canvas
from kerascnn.results.canvas import Figure, lacking, log_scale, save

PACKAGE = Path(kerascnn.__file__).parent


def figure_of(*names):
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    return figure


def labels(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("name", ["$", "ca$h_$", "$1_front_$2_back", "$5-$10"])
def test_dollar_signs_are_no_mathematics(tmp_path, name):
    figure = figure_of(name)
    figure.suptitle(name)
    save(figure, tmp_path / "a.svg", pytest.fail)
    axes_label = figure.axes[0].get_yticklabels()[0]
    assert not axes_label.get_parse_math()
    assert labels(figure) == [name]


def test_characters_that_no_installed_font_has_are_known_without_a_figure():
    assert lacking("ab\U0010fffdc") == "\U0010fffd"


@pytest.mark.skipif(
    not any("CJK" in family for family in canvas._families()), reason="no such font is here"
)
def test_chinese_is_drawn_in_an_installed_font(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figure_of("雏菊")
        save(figure, tmp_path / "a.png", pytest.fail)
    assert labels(figure) == ["雏菊"]
    assert "CJK" in figure.axes[0].get_yticklabels()[0].get_fontfamily()[1]


def test_characters_that_no_font_has_are_codes_and_are_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(canvas, "_families", list)
    told = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figure_of("雏菊", "菊 b")
        save(figure, tmp_path / "a.png", told.append)
    assert labels(figure) == [r"\u96cf\u83ca", r"\u83ca b"]
    assert len(told) == 1
    assert '"菊雏"' in told[0]
    assert "Noto Sans CJK" in told[0]


def test_the_numbers_of_a_logarithmic_axis_are_plain_text(tmp_path):
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1e-4, 1e-2], [1, 2])
    log_scale(axes, "x")
    save(figure, tmp_path / "a.png", pytest.fail)
    said = [label.get_text().replace("\N{MINUS SIGN}", "-") for label in axes.get_xticklabels()]
    assert {"1e-04", "1e-03", "1e-02"} <= set(said)


def test_every_figure_of_the_package_is_one_of_these():
    for file in PACKAGE.rglob("*.py"):
        imports = [
            n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.ImportFrom)
        ]
        modules = {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
        if file.name != "canvas.py":
            assert not modules & {"matplotlib.figure", "matplotlib.figure.Figure"}, file
            assert "matplotlib.pyplot" not in file.read_text(), file
