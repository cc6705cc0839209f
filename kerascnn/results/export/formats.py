"""The formats that a model can be exported to: how each is written and run."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerascnn.engine.network.inference import to_numpy

TENSORFLOW = "tensorflow"


def _run_keras(path: str, images: np.ndarray) -> np.ndarray:
    import keras

    return to_numpy(keras.saving.load_model(path, compile=False)(images))


def _run_saved_model(path: str, images: np.ndarray) -> np.ndarray:
    import tensorflow

    loaded = tensorflow.saved_model.load(path)  # must outlive the call: it owns the variables
    return loaded.serve(images).numpy()


def _run_onnx(path: str, images: np.ndarray) -> np.ndarray:
    from onnxruntime import InferenceSession

    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def _run_litert(path: str, images: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    given, wanted = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(given["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(wanted["index"])


@dataclass(frozen=True)
class Format:
    """How a format is written and run.

    Args:
        suffix: Of the file; "" for a folder.
        keras_name: The format's name in `Model.export`; "" for the format of Keras.
        needs: The packages required besides Keras.
        runtime: The package that runs the file.
        run: `run(path, images) -> probabilities`.
    """

    suffix: str
    keras_name: str
    needs: tuple[str, ...]
    runtime: str
    run: Callable[[str, np.ndarray], np.ndarray]


FORMATS = {
    "keras": Format(".keras", "", (), "keras", _run_keras),
    "saved_model": Format("", "tf_saved_model", (TENSORFLOW,), TENSORFLOW, _run_saved_model),
    "onnx": Format(
        ".onnx", "onnx", (TENSORFLOW, "tf2onnx", "onnxruntime"), "onnxruntime", _run_onnx
    ),
    "litert": Format(
        ".tflite", "litert", (TENSORFLOW, "ai-edge-litert"), "ai-edge-litert", _run_litert
    ),
}
