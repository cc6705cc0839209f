"""The model behind the page and the server: what computes it."""

from io import BytesIO

import pytest
from PIL import Image

from kerascnn.engine.network.prefix.ways import AsItIs
from kerascnn.results.serving import classifier
from kerascnn.results.serving.classifier import Classifier
from tests.results.inference.test_predict import Fails


@pytest.mark.parametrize("fails", [True, False])
def test_a_fallback_from_openvino_is_said_once(result, monkeypatch, fails):
    def ways(network, *_):
        return [Fails(network)] * fails + [AsItIs(network)]

    monkeypatch.setattr(classifier, "ways_to_predict", ways)
    image, said = BytesIO(), []
    Image.new("RGB", (20, 20)).save(image, "PNG")
    served = Classifier(result, 3, "auto", warned=said.append)
    first, second = (served([image.getvalue()]) for _ in range(2))
    assert first == second
    assert said == fails * [
        "the network runs unchanged instead of on OpenVINO 1: no rule for Cumsum"
    ]
