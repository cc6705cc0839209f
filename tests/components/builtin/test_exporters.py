"""The built-in exporters under the checks that those of other packages are under."""

from importlib.util import find_spec

import pytest

from kerascnn import InputError
from kerascnn.results.export.exporter import BuiltExporter

CONVERTERS = {"onnx": ("tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
INSTALLED = [name for name, needs in CONVERTERS.items() if all(map(find_spec, needs))]


@pytest.mark.backend
@pytest.mark.long  # loads Keras in another process
@pytest.mark.kerascnn("exporter", "keras")
def test_keras(kerascnn_check):
    kerascnn_check()


@pytest.mark.long  # as above; a converter takes seconds
@pytest.mark.skipif(not find_spec("tensorflow"), reason="needs TensorFlow")
@pytest.mark.kerascnn("exporter", "saved_model", *INSTALLED)
def test_converters(kerascnn_check):
    kerascnn_check()


@pytest.mark.skipif("onnx" not in INSTALLED, reason="needs the extra export")
def test_the_operators_of_onnx_have_the_version_that_is_asked_for(tmp_path):
    onnx, keras = pytest.importorskip("onnx"), pytest.importorskip("keras")
    images = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model(images, keras.layers.Dense(2, "softmax")(pooled))
    model(keras.ops.zeros((1, 8, 8, 3)))
    path = BuiltExporter.find("onnx", {"opset": 13}).write(model, tmp_path)
    [operators] = [one for one in onnx.load(path).opset_import if not one.domain]
    assert operators.version == 13
    with pytest.raises(InputError, match=r"exporter.opset = 6: expected a number of at least 7"):
        BuiltExporter.find("onnx", {"opset": 6})
