"""Figures and images in a page."""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from jinja2 import UndefinedError
from matplotlib.figure import Figure
from PIL import Image

from kerascnn.results.confusion import confusion_figure
from kerascnn.results.page import data_uri, render, seconds, share, style, svg
from kerascnn.results.report import figures


def drawing():
    with style():
        figure = Figure(figsize=(4, 2))
        axes = figure.subplots()
        axes.plot([1, 2, 3], marker="o", label="a < b")
        axes.legend()
        return svg(figure, 'of "a" & b')


def test_a_figure_is_valid_has_no_ground_and_takes_the_colour_of_the_text():
    root = ElementTree.fromstring(str(drawing()))
    assert root.attrib["fill"] == "currentColor"
    assert root.attrib["aria-label"] == 'of "a" & b'
    assert root.attrib["viewBox"] == "0 0 288 144"
    assert "currentColor" in drawing()
    assert not re.search(r"#ffffff|#000000|<style|<metadata|font-family", str(drawing()))
    assert "a &lt; b" in drawing()  # as text, which can be read aloud and found


def test_two_figures_of_a_page_share_no_names_and_every_reference_is_answered():
    text = str(drawing()) + str(figures.curves(history(), wide=True))
    names = re.findall(r' id="([^"]+)"', text)
    assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', text)) <= set(names)
    assert not [name for name in names if name.startswith(("figure", "axes", "patch"))]


def test_a_figure_is_the_same_each_time():
    assert drawing() == drawing()


def history():
    """Two stages, the second without a learning rate worth speaking of at its end."""
    rates = [1e-3, 1e-3, 1e-4, 0.0]
    return [
        {
            "stage": name,
            "epoch": number,
            "train_loss": 1 / epoch,
            "val_loss": 1.2 / epoch,
            "train_accuracy": 0.5,
            "val_accuracy": 0.4,
            "learning_rate": rates[epoch - 1],
        }
        for epoch, (name, number) in enumerate([("a", 1), ("a", 2), ("b", 1), ("b", 2)], 1)
    ]


@pytest.mark.parametrize("wide", [True, False])
def test_curves_name_their_stages_and_stand_a_rate_of_zero(wide):
    drawn = figures.curves(history(), wide)
    assert len(re.findall(r">(?:a|b)</text>", drawn)) == (4 if wide else 2)
    assert "validation" in drawn
    assert list(figures.stages(history())) == [(1, 2, "a"), (3, 4, "b")]


@pytest.mark.parametrize(("classes", "numbered"), [(2, True), (20, True), (60, False)])
def test_a_confusion_matrix_is_numbered_while_the_numbers_can_be_read(classes, numbered):
    counts = np.full((classes, classes), 1234)
    drawn = svg(confusion_figure(counts, [f"class {i}" for i in range(classes)]), "")
    assert drawn.count("1,234") == (classes**2 if numbered else 0)
    assert drawn.count("class 1<") == 2
    assert len(drawn) < 200_000


def test_an_image_becomes_a_small_webp():
    address = data_uri(np.full((300, 200, 3), 90, np.uint8), 128)
    kind, _, data = address.partition(",")
    assert kind == "data:image/webp;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.size == (85, 128)
    assert np.asarray(image)[0, 0].tolist() == pytest.approx([90, 90, 90], abs=3)


def test_a_template_that_is_told_too_little_is_an_error():
    with pytest.raises(UndefinedError, match="result"):
        render("report.html", missing="")


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (58.7, "59 s"), (125, "2 min 05 s"), (11_220, "3 h 07 min")],
)
def test_times_read_well(value, said):
    assert seconds(value) == said


def test_no_difference_has_a_sign():
    assert (share(-1e-9), share(-0.25)) == ("0.000", "-0.250")
