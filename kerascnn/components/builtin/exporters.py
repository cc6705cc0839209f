"""The built-in exporters: Keras's own format, and those that TensorFlow converts to."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pydantic import Field

from kerascnn import Component, Exporter, InputError, NoParams, Params, hookimpl, pip_install

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

TENSORFLOW = "tensorflow"


class OnnxParams(Params):
    """The parameters of "onnx"."""

    opset: int | None = Field(
        None,
        ge=7,
        description="Version of the ONNX operators; default that of the installed converter.",
    )


def build_keras(params: NoParams) -> Exporter:
    def write(model: Any, folder: "Path") -> "Path":
        path = folder / "model.keras"
        model.save(path)
        return path

    def predict(path: "Path", images: "np.ndarray") -> "np.ndarray":
        import keras

        model = keras.saving.load_model(path, compile=False)
        return keras.ops.convert_to_numpy(model(images))

    return Exporter(write, predict, runtime="keras")


def build_saved_model(params: NoParams) -> Exporter:
    _require("saved_model", TENSORFLOW)

    def write(model: Any, folder: "Path") -> "Path":
        model.export(folder, format="tf_saved_model", verbose=False)
        return folder

    def predict(path: "Path", images: "np.ndarray") -> "np.ndarray":
        import tensorflow

        loaded = tensorflow.saved_model.load(path)  # must outlive the call: it owns the variables
        return loaded.serve(images).numpy()

    return Exporter(write, predict, TENSORFLOW, TENSORFLOW)


def build_onnx(params: OnnxParams) -> Exporter:
    _require("onnx", TENSORFLOW, "tf2onnx", "onnxruntime")

    def write(model: Any, folder: "Path") -> "Path":
        path = folder / "model.onnx"
        model.export(str(path), format="onnx", opset_version=params.opset, verbose=False)
        return path

    def predict(path: "Path", images: "np.ndarray") -> "np.ndarray":
        from onnxruntime import InferenceSession

        session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: images})[0]

    return Exporter(write, predict, TENSORFLOW, "onnxruntime")


def build_litert(params: NoParams) -> Exporter:
    _require("litert", TENSORFLOW, "ai-edge-litert")

    def write(model: Any, folder: "Path") -> "Path":
        path = folder / "model.tflite"
        model.export(path, format="litert", verbose=False)
        return path

    def predict(path: "Path", images: "np.ndarray") -> "np.ndarray":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path))
        given, wanted = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        interpreter.resize_tensor_input(given["index"], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(wanted["index"])

    return Exporter(write, predict, TENSORFLOW, "ai-edge-litert")


def _require(format: str, *packages: str) -> None:
    lacking = [name for name in packages if not find_spec(name.replace("-", "_"))]
    if lacking:
        raise InputError(
            f"{format} needs {' and '.join(lacking)}: `{pip_install(*lacking)}`. TensorFlow "
            "converts the models of every backend."
        )


@hookimpl
def kerascnn_exporters() -> list[Component]:
    return [
        Component("keras", build_keras, summary="a .keras file, which Keras loads on any backend"),
        Component("saved_model", build_saved_model, summary="TensorFlow's SavedModel, a folder"),
        Component("onnx", build_onnx, OnnxParams, "ONNX, which most runtimes read"),
        Component("litert", build_litert, summary="LiteRT (.tflite), for phones and small devices"),
    ]
