"""The confusion matrix as a figure: names, counts and the accuracy, whatever the classes."""

import numpy as np
from PIL import Image

from kerascnn.engine.metrics.score import measure
from kerascnn.results.confusion import confusion_figure, save_confusion

NAMES = ("daisy", "rose", "tulip")


def test_the_figure_shows_names_and_counts():
    axes = confusion_figure([[1, 1, 0], [0, 2, 0], [0, 0, 0]], NAMES).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(NAMES)
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "1", (1, 0): "1", (1, 1): "2"}  # (predicted, true)


def test_a_figure_of_many_classes_shows_no_counts():
    names = [f"class {index}" for index in range(30)]
    assert not confusion_figure(np.eye(30), names).axes[0].texts


def test_the_file_is_opaque_and_holds_the_whole_title(tmp_path):
    metrics = measure(np.eye(3, dtype=np.float32), np.arange(3), NAMES)
    save_confusion(metrics, NAMES, tmp_path / "matrix.png", print)
    with Image.open(tmp_path / "matrix.png") as image:
        assert image.width > 336  # that of the matrix alone
        assert image.convert("RGBA").getpixel((2, 2)) == (255, 255, 255, 255)
