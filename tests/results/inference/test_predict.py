"""Predictions from Python: whatever holds an image is taken, all else is one short message."""

import io
from contextlib import suppress
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kerascnn import InputError, classifier_head, predict_images, read_image
from kerascnn.engine.network import predictor
from kerascnn.engine.network.prefix.folding import DisagreementError
from kerascnn.engine.network.prefix.ways import AsItIs
from kerascnn.experiment.training import Training
from kerascnn.results.inference import predict
from kerascnn.results.inference.images import image_names, listed_images


@pytest.fixture
def run(written_run, monkeypatch):
    """A run whose network calls dark images circles and bright ones squares."""

    def darkness(result, pixels, *_):
        bright = np.asarray(pixels[:]).reshape(len(pixels), -1).mean(1) / 255
        return np.stack([1 - bright, bright], 1), None, ""

    monkeypatch.setattr(predict, "outputs_of", darkness)
    return written_run("a" * 32, [True, False])


@pytest.fixture
def path(tmp_path):
    """A black image."""
    Image.new("RGB", (20, 16)).save(tmp_path / "black.png")
    return tmp_path / "black.png"


WHITE = np.full((16, 20, 3), 255, np.uint8)


def encoded(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def labels(predictions):
    return [prediction.label for prediction in predictions]


def test_one_path_is_one_image(run, path):
    for image in (path, str(path)):
        (prediction,) = predict_images(run, image)
        assert (prediction.image, prediction.label) == (str(path), "circle")


@pytest.mark.parametrize(
    "image",
    [WHITE, WHITE[..., :1], WHITE[..., 0], encoded(WHITE), Image.fromarray(WHITE)],
    ids=type,
)
def test_an_image_need_not_be_a_file(run, image):
    (prediction,) = predict_images(run, image)
    assert (prediction.image, prediction.label) == ("image 1", "square")


def test_a_batch_is_its_images(run):
    assert labels(predict_images(run, np.stack([WHITE, 0 * WHITE]))) == ["square", "circle"]


def test_kinds_may_be_mixed_with_folders_among_them(run, path):
    images = [WHITE, path.parent, encoded(0 * WHITE), Image.fromarray(WHITE)]
    predictions = predict_images(run, iter(images))
    assert labels(predictions) == ["square", "circle", "circle", "square"]
    assert [p.image for p in predictions] == ["image 1", str(path), "image 3", "image 4"]


def test_a_pillow_image_is_read_as_its_file_would_be_and_stays_as_it_is(run, tmp_path):
    rotated = Image.new("RGB", (20, 16))
    rotated.getexif()[0x0112] = 6
    rotated.save(tmp_path / "rotated.jpg", exif=rotated.getexif())
    with Image.open(tmp_path / "rotated.jpg") as opened:
        read = read_image(opened)
        assert opened.getexif()[0x0112] == 6
    np.testing.assert_array_equal(read, read_image(tmp_path / "rotated.jpg"))
    assert read.shape == (20, 16, 3)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([], "images: expected at least one, got none"),
        (iter(()), "images: expected at least one, got none"),
        (None, "got None"),
        (7, "got a value of type int"),
        ({"a.png": 1}, "not a value of type dict"),
        (io.BytesIO(encoded(WHITE)), "not a value of type BytesIO"),
        ([encoded(WHITE), [WHITE]], "number 2 is a value of type list"),
        (np.zeros((2, 16, 20, 3)), r"image 1: .*got float64 of shape \[16, 20, 3\]"),
        (np.zeros(5, np.uint8), "number 1 is a value of type uint8"),
        (np.array(5), r"of shape \[\]"),
        ("x" * 40_000, "40,000 characters"),
        (b"\0" * 40_000, "cannot read"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_all_else_is_one_short_message(run, images, said):
    with pytest.raises(InputError, match=said) as refused:
        predict_images(run, images)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("top", [0, -1, 1.5, "3", None, True])
def test_top_is_a_whole_number(run, path, top):
    with pytest.raises(InputError, match="top: expected a whole number of at least 1"):
        predict_images(run, path, top=top)


things = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.builds(np.zeros, st.lists(st.integers(0, 3), max_size=5).map(tuple)),
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(things, st.lists(things, max_size=3)))
def test_nothing_but_an_input_error_comes_out(images):
    with suppress(InputError):
        listed = listed_images(images)
        assert len(image_names(listed)) == len(listed) > 0


class Fails(AsItIs):
    """As OpenVINO where it has no rule for a layer."""

    def __init__(self, network):
        super().__init__(network)
        self.key = self.engine = "OpenVINO 1"
        self.changed = f"on {self.engine}"

    def forward(self):
        raise DisagreementError("no rule for Cumsum")


@pytest.mark.parametrize("fails", [True, False])
def test_what_computes_is_named_and_a_fallback_is_said_once(workplace, monkeypatch, fails):
    import keras

    images = keras.Input((8, 8, 3))
    network = keras.Model(images, classifier_head(images, 2))
    found = [Fails(network)] * fails + [AsItIs(network)]
    monkeypatch.setattr(predictor, "ways_to_predict", lambda *_: found)
    training, said = Training(image_size=8), []
    result = SimpleNamespace(model=network, training=training, name="net", temperature=1.0)
    pixels = np.zeros((2, 8, 8, 3), np.uint8)
    probabilities, _, engine = predict.outputs_of(result, pixels, "auto", said.append)
    np.testing.assert_allclose(probabilities, 0.5)
    backend = keras.config.backend()
    assert engine == f"{backend} {version(backend)}"
    assert said == fails * [
        "the network runs unchanged instead of on OpenVINO 1: no rule for Cumsum"
    ]
