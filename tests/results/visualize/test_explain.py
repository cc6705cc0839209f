"""What a network does with an image, drawn; and what `describe` says of a run."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from kerascnn import InputError, run_experiment
from kerascnn.components.registry import load_registry
from kerascnn.engine.network.explain.grad_cam import overlay
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.canvas import Figure
from kerascnn.results.describe.network import describe_network
from kerascnn.results.visualize.explain import explain_images
from kerascnn.results.visualize.figure import (
    draw_kernels,
    draw_parts,
    explained_figure,
    save_explained,
)

EXPERIMENT = {
    "name": "shapes",
    "dataset": {"name": "shapes", "classes": 3, "train": 16, "validation": 8, "test": 8},
    "architecture": {"name": "sequential_cnn", "depth": 2, "filters": 6},
    "training": {"image_size": 24, "batch_size": 8},
    "stages": [{"name": "scratch", "unfreeze": "all", "epochs": 1, "learning_rate": 1e-3}],
}


@pytest.fixture(scope="module")
def place(shared_workplace, without_reports):
    """A folder with a finished run and two images."""
    run_experiment(bind_experiment(EXPERIMENT, load_registry()))
    rng = np.random.default_rng(0)
    for name in ("one.png", "two.png"):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), np.uint8)).save(name)
    return shared_workplace


@pytest.fixture(scope="module")
def explained(place):
    return explain_images("last", ["one.png", "two.png"])


def test_everything_is_there_for_each_image(explained):
    one, two = explained
    assert (one.name, two.name) == ("one.png", "two.png")
    assert one.image.shape == (24, 24, 3)
    assert one.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert {name: of.shape for name, of in one.maps.items()} == {
        "block1_relu2": (24, 24, 6),
        "block2_relu2": (12, 12, 12),
    }
    assert (one.heat_layer, one.heat.shape) == ("block2_relu2", (12, 12))
    assert one.filter[0] == "block1_conv1"
    assert one.kernels.shape == (3, 3, 3, 6)
    assert not np.array_equal(one.parts.output, two.parts.output)


def test_layers_are_chosen_by_name(place):
    (one,) = explain_images("last", ["one.png"], ["block2_bn1", "block2_conv2"])
    assert list(one.maps) == ["block2_bn1", "block2_conv2"]
    layer, number = one.filter
    assert layer == "block2_conv2"
    np.testing.assert_allclose(one.maps[layer][..., number], one.parts.output, atol=1e-4)
    with pytest.raises(InputError, match="Did you mean"):
        explain_images("last", ["one.png"], ["block2_cnv2"])


def test_the_page_holds_every_part(explained):
    figure = explained_figure(explained[0])
    texts = "\n".join(
        text.get_text() for text in figure.findobj(lambda of: hasattr(of, "get_text"))
    )
    best = explained[0].class_names[int(explained[0].probabilities.argmax())]
    for said in (
        f"one.png: {best}",
        "6 kernels of the first convolution, 3×3",
        "of block1_conv1: each input channel",
        "block2_relu2\n12×12×12",
        "Grad-CAM at block2_relu2",
        "softmax: 3 probabilities",
    ):
        assert said in texts


def test_the_parts_that_are_drawn_sum_up(explained):
    """What is left over of many channels is drawn as one part."""
    (one,) = explain_images("last", ["one.png"], ["block2_conv1"])
    figure = Figure()
    draw_parts(figure, one.parts, one.filter)
    shown = {
        axes.get_title(): np.asarray(axes.images[0].get_array())
        for axes in figure.axes
        if "part" in axes.get_title() or "output" in axes.get_title()
    }
    assert "+ the other 2 parts" in shown
    *parts, output = shown.values()
    np.testing.assert_allclose(sum(parts) + one.parts.bias, output, atol=1e-4)


def test_kernels_keep_their_colours():
    kernels = np.zeros((3, 3, 3, 1), np.float32)
    kernels[..., 0, 0] = 2.0  # red alone
    figure = Figure()
    draw_kernels(figure, kernels)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_array_equal(shown[0, 0], [255, 127, 127])


def test_heat_lies_where_it_is():
    image = np.full((32, 32, 3), 100, np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[0, 3] = 1
    laid = overlay(image, heat).astype(int)
    assert laid.shape == image.shape
    assert abs(laid[2, 29] - 100).max() > 40
    np.testing.assert_array_equal(laid[24:, :8], 100)


def test_files_are_named_after_the_images(place, explained, tmp_path):
    files = save_explained(explained, tmp_path / "drawn")
    assert [file.name for file in files] == ["one-explained.png", "two-explained.png"]
    assert all(Image.open(file).size[0] == 1400 for file in files)
    with pytest.raises(InputError, match="expected a folder for 2 images"):
        save_explained(explained, tmp_path / "one.png")
    with pytest.raises(InputError, match=r"expected \.png"):
        save_explained(explained[:1], tmp_path / "one.doc")


def test_the_command_says_what_it_wrote(place, run_cli):
    ended = run_cli("visualize", "last", "one.png", "--output", "out.png", "--json")
    assert json.loads(ended.stdout) == [{"image": "one.png", "file": "out.png"}]
    assert (place / "out.png").is_file()


def test_a_run_is_described_as_it_was_trained(place):
    described = describe_network("last")
    assert (described.image_size, described.classes) == (24, 3)
    model = keras.models.load_model(next(place.rglob("model.keras")), compile=False)
    assert described.parameters == model.count_params()
    assert describe_network("last", image_size=48).layers[1].output[0] == 48
