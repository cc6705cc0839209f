"""What is made once for several experiments, and what that leaves behind."""

import random

import numpy as np
import pytest

from kerascnn import build_once
from kerascnn.engine.kept import LAST, Kept
from kerascnn.engine.network.build import Built
from kerascnn.engine.training.variables import random_state, values
from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.determinism import make_reproducible
from kerascnn.runtime.process import contained


@pytest.fixture(autouse=True)
def process():
    with contained():
        start_backend()
        yield


def drawn():
    return random.random(), np.random.random()


def test_it_is_made_once_and_leaves_the_generators_as_if_made_again():
    kept = Kept()
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()
    first, then = kept.once("numbers", ["a"], drawn), drawn()
    random.setstate(before[0])
    np.random.set_state(before[1])
    assert kept.once("numbers", ["a"], lambda: pytest.fail("made again")) is first
    assert drawn() == then


@pytest.mark.parametrize(
    ("what", "decides"), [("others", ["a"]), ("numbers", ["b"]), ("numbers", [""])]
)
def test_other_things_are_made(what, decides):
    kept, state = Kept(), random.getstate()
    first = kept.once("numbers", decides if decides == [""] else ["a"], drawn)
    random.setstate(state)
    assert kept.once(what, decides, lambda: "made") == "made" != first


def test_another_state_of_the_generators_is_another_thing():
    kept = Kept()
    assert kept.once("numbers", [1], drawn) != kept.once("numbers", [1], drawn)


def test_only_the_last_are_kept():
    kept = Kept()
    for number in range(LAST + 1):
        kept.once("number", [number], lambda: "first")
    assert kept.once("number", [1], lambda: "again") == "first"
    assert kept.once("number", [0], lambda: "again") == "again"


def network(rate):
    import keras

    def body():
        images = keras.Input((4,))
        return keras.Model(images, keras.layers.Dense(3, name="body")(images))

    shared = build_once(("body",), body)
    outputs = keras.layers.Dropout(rate)(shared.output)
    model = keras.Model(shared.input, keras.layers.Dense(2, name="head_dense")(outputs))
    return Built(model, {}, ())


def as_built(network):
    variables = network.model.variables
    return zip(variables, values(variables), strict=True)


def test_networks_share_a_part_and_begin_with_its_first_weights():
    kept = Kept()
    make_reproducible(2)
    first = kept.build([0.1], lambda: network(0.1))
    weights = [value.copy() for value in first.model.get_weights()]
    after = random_state()["python"]
    kept.about_to_train(first, as_built(first))
    body = first.model.get_layer("body")
    body.trainable = False
    first.model.set_weights([value + 1 for value in weights])
    calls = len(body._outbound_nodes)
    for rate in (0.2, 0.3):
        make_reproducible(2)
        other = kept.build([rate], lambda rate=rate: network(rate))
        assert other.model.get_layer("body") is body
        assert body.trainable
        assert random_state()["python"] == after
        for value, then in zip(other.model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(value, then)
        assert len(body._outbound_nodes) == calls
        kept.about_to_train(other, as_built(other))
        other.model.set_weights([value + 1 for value in weights])


def test_alone_a_part_is_built_anew():
    assert network(0.1).model.get_layer("body") is not network(0.1).model.get_layer("body")
