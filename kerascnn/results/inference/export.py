"""A run's model in the formats of other runtimes, each run in its own after it has been written."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.data.resizing import PADDING
from kerascnn.engine.load import load_data
from kerascnn.engine.metrics.standing import LEAST_PROBABILITY
from kerascnn.engine.metrics.temperature import AS_TRAINED, tempered
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.observer import Observer
from kerascnn.engine.result import Result
from kerascnn.errors import InputError, KerascnnError, RunError
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.find import find_run
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.commands import pip_install
from kerascnn.runtime.files import folder_bytes
from kerascnn.runtime.keras_internals import nested_layers
from kerascnn.runtime.process import contained
from kerascnn.runtime.workers import backend_process

TOLERANCE = 1e-4
"""By how much a probability may differ from the one that Keras gives."""
TENSORFLOW = "tensorflow"
IMAGES = 64
"""How many images both are asked about."""


@dataclass(frozen=True)
class Exported:
    """A file that has been written and checked.

    Args:
        path: The file, or the folder of a SavedModel.
        description: The JSON file beside it: classes, and how images are to be prepared.
        bytes: Of the file or folder.
        images: How many images Keras and the runtime were both asked about.
        asked_about: "test images", or "random images" where the run's are gone.
        runtime: What ran it, with its version.
        difference: The greatest between two probabilities.
    """

    run_id: str
    format: str
    path: str
    description: str
    bytes: int
    images: int
    asked_about: str
    runtime: str
    difference: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _run_keras(path: str, images: np.ndarray) -> np.ndarray:
    import keras

    return to_numpy(keras.saving.load_model(path, compile=False)(images))


def _run_saved_model(path: str, images: np.ndarray) -> np.ndarray:
    import tensorflow

    loaded = tensorflow.saved_model.load(path)  # owns the variables that `serve` reads
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
        keras_name: What Keras calls the format in `Model.export`; "" for its own.
        needs: The packages that it takes beside Keras.
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


@contained()
def export_run(
    run: str | Result,
    format: str,
    output: str | Path | None = None,
) -> Exported:
    """Writes a run's model in another format and proves that it gives the same probabilities.

    They are those of `predict`: the run's temperature is part of the file. It takes float32
    [B, S, S, 3] in 0-255 and gives probabilities [B, K]. A model is not bound to the backend that
    it was trained on: another process, on TensorFlow, converts.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result; `result.uncalibrated` leaves
            the temperature out.
        format: "keras", "saved_model", "onnx" or "litert".
        output: Where to; default the run's name and id, in the working directory.

    Raises:
        InputError: No such run; the path exists; a converter or a runtime is not installed.
        RunError: The file does not give what Keras gives; it is not kept.
    """
    if output is not None:
        expect(output, (str, os.PathLike), "output")
    start = time.perf_counter()
    backend = _converter(format)
    result = find_run(run)
    path = Path(output or f"{result.name}-{result.run_id[:8]}{FORMATS[format].suffix}")
    if path.exists():
        raise InputError(f"{path} exists; remove it, or name another place with --output.")
    images, asked_about = _images(result)
    with tempfile.TemporaryDirectory(dir=_folder(path), prefix=".export-") as scratch:
        written = Path(scratch) / f"model{FORMATS[format].suffix}"
        difference = _elsewhere(backend, _convert, result, format, str(written), images)
        _check(difference, format, len(images), asked_about)
        shutil.move(written, path)
    exported = Exported(
        run_id=result.run_id,
        format=format,
        path=str(path),
        description=f"{path}.json",
        bytes=folder_bytes(path),
        images=len(images),
        asked_about=asked_about,
        runtime=f"{FORMATS[format].runtime} {version(FORMATS[format].runtime)}",
        difference=difference,
        seconds=time.perf_counter() - start,
    )
    Path(exported.description).write_text(json.dumps(_description(result, exported), indent=2))
    return exported


def _converter(format: str) -> str:
    """The backend to convert on, where all that the format needs is installed."""
    expect(format, str, "format")
    if format not in FORMATS:
        raise InputError(f'there is no format "{format}"; there are {", ".join(FORMATS)}.')
    needs = FORMATS[format].needs
    lacking = [name for name in needs if not find_spec(name.replace("-", "_"))]
    if lacking:
        raise InputError(
            f"{format} needs {' and '.join(lacking)}: `{pip_install(*lacking)}`. TensorFlow "
            "converts the models of all backends."
        )
    return TENSORFLOW if needs else select_backend()


def _folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.parent


def _images(result: Result) -> tuple[np.ndarray, str]:
    """Some of the run's test images, or noise where these are gone: float32 [N, S, S, 3]."""
    size = result.training.image_size
    try:
        test = load_data(bind_experiment(result.experiment), Observer()).test
        if test.fingerprint == result.data["test"]["fingerprint"]:
            some = np.linspace(0, len(test) - 1, min(IMAGES, len(test)), dtype=int)
            return Preparation.of(result.training).windows(test.images)[some].astype(
                np.float32
            ), "test images"
    except KerascnnError:
        pass
    noise = np.random.default_rng(0).uniform(0, 255, (IMAGES, size, size, 3))
    return noise.astype(np.float32), "random images"


def _elsewhere(backend: str, function: Callable[..., Any], *arguments: Any) -> Any:
    with backend_process(backend, silent=True) as process:  # converters print a lot
        try:
            return process.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise RunError(
                "the process that converts ended abruptly: too little memory?"
            ) from error


def _convert(result: Result, format: str, path: str, images: np.ndarray) -> float:
    """Writes the model; returns the greatest difference of what it and `predict` say of images."""
    model, how = result.model, FORMATS[format]
    if how.keras_name:
        _compute_in_float32(model)
    expected = tempered(to_numpy(model(images)), result.temperature)
    if result.temperature != AS_TRAINED:
        model = _calibrated(model, result.temperature)
        model(images)  # Keras exports only what has been called
    if how.keras_name:
        model.export(path, format=how.keras_name, verbose=False)
    else:
        model.save(path)
    return float(np.abs(how.run(path, images) - expected).max())


def _calibrated(model: Any, temperature: float) -> Any:
    """The model with the temperature in it, as `tempered` applies it."""
    import keras

    probabilities = keras.ops.maximum(model.output, LEAST_PROBABILITY)
    return keras.Model(model.input, keras.ops.softmax(keras.ops.log(probabilities) / temperature))


def _compute_in_float32(model: Any) -> None:
    """Other runtimes know no mixed precision; the weights are float32 in any case."""
    for layer in (model, *nested_layers(model)):
        layer.dtype_policy = "float32"


def _check(difference: float, format: str, images: int, asked_about: str) -> None:
    if not difference <= TOLERANCE:
        raise RunError(
            f"the {format} file gives probabilities that differ by {difference:.1e} from those of "
            f"Keras on {images} {asked_about}; at most {TOLERANCE:.0e} was expected. It was not "
            "kept."
        )


def _description(result: Result, exported: Exported) -> dict[str, Any]:
    """What the file's user must know: its classes, and how an image is to be prepared."""
    preparation = Preparation.of(result.training)
    size = preparation.image_size
    return {
        "classes": result.class_names,
        "input": {"shape": [None, size, size, 3], "dtype": "float32", "range": [0, 255]},
        "output": {"shape": [None, len(result.class_names)], "dtype": "float32"},
        "temperature": result.temperature,  # is in the file
        "preparation": [
            *_depth(preparation),
            "turn the image upright by its EXIF orientation; RGB",
            _RESIZING[preparation.resize].format(preparation.packed_size),
            f"take the middle {size} × {size} pixels",
            "rescale nothing: the model does",
        ],
        "run": result.run_id,
        "checked": {
            "by": exported.runtime,
            "images": f"{exported.images} {exported.asked_about}",
            "greatest_difference": exported.difference,
        },
    }


def _depth(preparation: Preparation) -> list[str]:
    if preparation.value_range is None:
        return []
    black, white = preparation.value_range
    return [f"of values with more than 8 bits, bring {black:g} to 0 and {white:g} to 255"]


_RESIZING = {
    "crop": "bring the shorter side to {0} pixels, bicubic and antialiased, and cut out the middle",
    "pad": "bring the longer side to {0} pixels, bicubic and antialiased, and fill up the shorter "
    f"one with the colour {PADDING}",
    "stretch": "bring both sides to {0} pixels, bicubic and antialiased",
}
