"""An untrained run, its page in a thread of the tests."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from served import serving

from kerascnn.engine.result.run import Result
from kerascnn.results.known.images import KnownImages
from kerascnn.results.serving.serve import make_app

SIDE, CLASSES = 16, ["daisy", "a <b>", "tulip"]


def network(folder):
    """A network with random weights, saved as that of a run."""
    import keras
    from keras import layers

    images = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(4, 3, activation="relu", name="conv")(images)
    pooled = layers.GlobalAveragePooling2D(name="head_pool")(maps)
    model = keras.Model(images, layers.Dense(3, "softmax", name="head_dense")(pooled))
    (folder / "model/data").mkdir(parents=True)
    model.save(folder / "model/data/model.keras")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of the run, with its training images beside it."""
    folder = tmp_path_factory.mktemp("served")
    for number in range(4):
        pixels = np.full((20, 20, 3), 60 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def result(place):
    """A run that was never trained."""
    network(place)
    paths = [place / f"{number}.png" for number in range(4)]
    contents = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    rng = np.random.default_rng(0)
    KnownImages(
        [str(path) for path in paths[:3]] + [str(place / "gone.png")],
        np.array([[*content] for content in contents], np.uint8),
        np.array([0, 1, 2, 2]),
        np.array(["train"] * 4),
        rng.normal(size=(4, 4)).astype(np.float16),
        CLASSES,
    ).write(place)
    training = {"image_size": SIDE, "prefix_engine": "backend"}
    found = Result(
        run_id="1234567890",
        name="flowers",
        backend="tensorflow",
        test_accuracy=0.9,
        test_accuracy_interval=(0.8, 1.0),
        test={"images": 10},
        stages=[],
        class_names=CLASSES,
        parameters=1,
        seconds=1.0,
        data={},
        experiment={"architecture": {"name": "tiny"}, "training": training},
        plugins={},
        artifacts=str(place),
    )
    found.write()
    return found


@pytest.fixture(scope="module")
def port(result, place):
    with serving(make_app(result, 5, "auto", place / "corrections")) as port:
        yield port
