"""A network runs in the fastest way that has agreed with it; what was found out is remembered."""

import keras
import numpy as np
import pytest
from keras import layers

from kerascnn.engine.network.inference import run_once
from kerascnn.engine.network.predictor import WORTH_IMAGES, predictor
from kerascnn.engine.network.prefix import fastest as module
from kerascnn.engine.network.prefix import ways
from kerascnn.engine.network.prefix.activations import Prefix, _once_compared
from kerascnn.engine.network.prefix.fastest import Fastest
from kerascnn.engine.network.prefix.folding import DisagreementError
from kerascnn.engine.network.prefix.ways import AsItIs
from kerascnn.runtime.cache import clear
from kerascnn.runtime.openvino import openvino_version

IMAGES = np.random.default_rng(0).uniform(0, 255, (40, 8, 8, 3)).astype("float32")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(images))
    return keras.Model(images, layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(x)))


@pytest.fixture
def compared(monkeypatch):
    """The comparisons that are made."""
    calls, real = [], module.check_agreement

    def noted(plain, images, outputs, **how):
        calls.append(len(images))
        return real(plain, images, outputs, **how)

    monkeypatch.setattr(module, "check_agreement", noted)
    return calls


class Engine(AsItIs):
    """Computes as the network does, but for what is added."""

    def __init__(self, network, added=0.0):
        super().__init__(network)
        self.key = self.engine = "Engine 1"
        self.changed, self._added = "on Engine 1", added

    def forward(self):
        forward = super().forward()
        return lambda images: forward(images) + np.float32(self._added) * images[:, :1, 0, 0]


def run(network, added=0.0, warned=None):
    said = [] if warned is None else warned
    fast = Fastest(network, "net", [Engine(network, added), AsItIs(network)], warned=said.append)
    np.testing.assert_allclose(fast.outputs(IMAGES), run_once(network, IMAGES), atol=1e-6)
    return fast.engine


def test_that_an_engine_agrees_is_found_out_once(network, compared):
    assert [run(network) for _ in range(3)] == ["Engine 1"] * 3
    assert len(compared) == 1
    network.weights[0].assign(network.weights[0] + 1)
    assert run(network) == "Engine 1"
    assert len(compared) == 2
    clear("activations")
    run(network)
    assert len(compared) == 3


def test_an_engine_that_does_not_agree_is_not_used_again(network, compared):
    said = []
    assert [run(network, 0.1, said) for _ in range(2)] == ["", ""]
    assert len(compared) == 1
    assert said == [said[0]] * 2
    assert said[0].startswith("the network runs unchanged instead of on Engine 1: its activations")


def test_without_a_cache_the_network_runs_all_the_same(network, compared, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "file"))
    assert [run(network), run(network, 0.1, [])] == ["Engine 1", ""]
    assert len(compared) == 2


def test_activations_of_a_prefix_are_compared_once_for_all_views(network, compared):
    prefix = Prefix(network, "net up to here", engine="backend")
    for seen in ("images", "view 1"):
        digests = np.zeros((len(IMAGES), 32), np.uint8)
        digests[:, 0] = np.arange(len(IMAGES))
        batches = lambda claims: ((rows, IMAGES[rows]) for rows in claims)  # noqa: E731
        found = prefix.stored(digests, seen, seen, batches)
        np.testing.assert_allclose(found, run_once(network, IMAGES), atol=1e-5)
    assert len(compared) == 1


class Comparing:
    """A comparison that is done when it is asked for the given time."""

    def __init__(self, after, error=None):
        self._left, self._error = after, error

    def done(self):
        self._left -= 1
        return self._left < 0

    def result(self):
        if self._error:
            raise self._error


BATCHES = [(np.arange(2), np.full((2, 3), number)) for number in range(4)]


def test_batches_are_held_back_until_the_first_is_compared():
    asked = []
    made = (asked.append(number) or batch for number, batch in enumerate(BATCHES))
    for number, (_, values) in enumerate(_once_compared(made, [Comparing(2)])):
        assert values[0, 0] == number
        assert len(asked) >= 3
    assert number == len(BATCHES) - 1
    with pytest.raises(DisagreementError):
        next(_once_compared(iter(BATCHES), [Comparing(9, DisagreementError())]))


def test_few_images_and_those_of_backend_are_left_to_the_backend(network, monkeypatch):
    monkeypatch.setattr(ways, "openvino_version", lambda: "2026.4.1")
    assert predictor(network, WORTH_IMAGES, 8).engine == "OpenVINO 2026.4.1"
    for images, engine in ((WORTH_IMAGES - 1, "auto"), (WORTH_IMAGES, "backend")):
        assert predictor(network, images, 8, engine).engine == ""


DIGESTS = np.random.default_rng(1).integers(0, 256, (len(IMAGES), 32), "uint8")


class Counted:
    """Images that count how many of them are read."""

    def __init__(self):
        self.read = 0

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, rows):
        self.read += len(IMAGES[rows])
        return IMAGES[rows]


def test_what_a_network_gives_for_an_image_is_computed_once(network):
    def outputs(*digests):
        images = Counted()
        found = Fastest(network, "net", [AsItIs(network)]).outputs(images, *digests)
        np.testing.assert_allclose(found, run_once(network, IMAGES), atol=1e-6)
        return images.read > 0, found

    computed, first = outputs(DIGESTS)
    computed_again, second = outputs(DIGESTS)
    assert (computed, computed_again) == (True, False)
    np.testing.assert_array_equal(first, second)
    assert outputs()[0]  # without digests
    network.layers[-1].bias.assign([1.0, 0.0, 0.0])
    assert outputs(DIGESTS)[0]


def test_what_an_engine_gives_that_does_not_agree_is_not_found_again(network):
    wrong, right = Engine(network, 0.1), AsItIs(network)
    for ways_left in ([wrong, right], [right]):
        found = Fastest(network, "net", ways_left).outputs(IMAGES, DIGESTS)
        np.testing.assert_allclose(found, run_once(network, IMAGES), atol=1e-6)


@pytest.mark.backend
@pytest.mark.skipif(not openvino_version(), reason="OpenVINO is not installed")
def test_many_images_are_predicted_on_openvino(network):
    fast = predictor(network, len(IMAGES), 8)
    assert fast.engine == f"OpenVINO {openvino_version()}"
    np.testing.assert_allclose(fast.outputs(IMAGES), run_once(network, IMAGES), atol=1e-5)
    assert fast.engine
