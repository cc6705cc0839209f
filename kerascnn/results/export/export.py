"""Exports a run's model to another format, and checks the file in its own runtime."""

import json
import os
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.preparation import PADDING, Preparation
from kerascnn.engine.load import load_data
from kerascnn.engine.observer import Observer
from kerascnn.engine.result import Result
from kerascnn.errors import InputError, KerascnnError, RunError
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.export.conversion import convert
from kerascnn.results.export.formats import FORMATS, TENSORFLOW
from kerascnn.results.find import find_run
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.commands import pip_install
from kerascnn.runtime.files import folder_bytes
from kerascnn.runtime.process import contained

TOLERANCE = 1e-4
"""Largest allowed difference between a probability of the file and that of Keras."""
IMAGES = 64
"""Images that both are compared on."""


@dataclass(frozen=True)
class Exported:
    """An exported model, checked in its runtime.

    Args:
        path: The file, or the folder of a SavedModel.
        description: A JSON file next to it: the classes, and how to prepare images.
        bytes: Size of the file or folder.
        images: Number of images that Keras and the runtime were compared on.
        asked_about: "test images", or "random images" if those of the run are gone.
        runtime: The package that ran the file, with its version.
        difference: Largest difference between two probabilities.
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


@contained()
def export_run(
    run: str | Result,
    format: str,
    output: str | Path | None = None,
) -> Exported:
    """Writes a run's model in another format and checks that it gives the same probabilities.

    The file takes float32 [B, S, S, 3] in 0-255 and gives the probabilities [B, K] of `predict`:
    the run's temperature is built in. A model trained on any backend can be exported; TensorFlow,
    in another process, converts it.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result; `result.uncalibrated` omits
            the temperature.
        format: "keras", "saved_model", "onnx" or "litert".
        output: Path to write; default the run's name and id, in the working directory.

    Raises:
        InputError: No such run; the path exists; a converter or a runtime is not installed.
        RunError: The file's probabilities differ from those of Keras; it is deleted.
    """
    if output is not None:
        expect(output, (str, os.PathLike), "output")
    start = time.perf_counter()
    backend = _converter(format)
    result = find_run(run)
    path = Path(output or f"{result.name}-{result.run_id[:8]}{FORMATS[format].suffix}")
    if path.exists():
        raise InputError(f"{path} already exists; remove it, or choose another path with --output.")
    images, asked_about = _images(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as scratch:
        written = Path(scratch) / f"model{FORMATS[format].suffix}"
        difference = convert(backend, result, format, str(written), images)
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
    """The backend that converts; raises InputError if a required package is missing."""
    expect(format, str, "format")
    if format not in FORMATS:
        raise InputError(f'unknown format "{format}"; known are {", ".join(FORMATS)}.')
    needs = FORMATS[format].needs
    lacking = [name for name in needs if not find_spec(name.replace("-", "_"))]
    if lacking:
        raise InputError(
            f"{format} needs {' and '.join(lacking)}: `{pip_install(*lacking)}`. TensorFlow "
            "converts the models of every backend."
        )
    return TENSORFLOW if needs else select_backend()


def _images(result: Result) -> tuple[np.ndarray, str]:
    """Some of the run's test images, or noise if they are gone: float32 [N, S, S, 3]."""
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


def _check(difference: float, format: str, images: int, asked_about: str) -> None:
    if not difference <= TOLERANCE:
        raise RunError(
            f"the probabilities of the {format} file differ from those of Keras by up to "
            f"{difference:.1e} on {images} {asked_about}; at most {TOLERANCE:.0e} is allowed. The "
            "file was deleted."
        )


def _description(result: Result, exported: Exported) -> dict[str, Any]:
    """What users of the file must know: its classes, and how to prepare an image."""
    preparation, size = Preparation.of(result.training), result.training.image_size
    return {
        "classes": result.class_names,
        "input": {"shape": [None, size, size, 3], "dtype": "float32", "range": [0, 255]},
        "output": {"shape": [None, len(result.class_names)], "dtype": "float32"},
        "temperature": result.temperature,  # built into the file
        "preparation": [
            *_depth(preparation),
            "apply the EXIF orientation; convert to RGB",
            _RESIZING[preparation.resize].format(preparation.packed_size),
            f"crop the central {size} × {size} pixels",
            "do not rescale values: the model does",
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
    return [f"for more than 8 bits per channel, map {black:g} to 0 and {white:g} to 255"]


_RESIZING = {
    "crop": "resize the shorter side to {0} pixels, bicubic and antialiased, and crop the centre",
    "pad": "resize the longer side to {0} pixels, bicubic and antialiased, and pad the shorter "
    f"one with the colour {PADDING}",
    "stretch": "resize both sides to {0} pixels, bicubic and antialiased",
}
