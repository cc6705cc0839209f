"""A run's model as a callable that predicts encoded images."""

from collections.abc import Callable
from threading import BoundedSemaphore, Lock
from typing import Any

from kerascnn.engine.data.decoding.preparation import Centred, Preparation
from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.network.outputs import Said, with_outputs
from kerascnn.engine.network.predictor import Answering
from kerascnn.engine.network.prefix.fastest import Fastest
from kerascnn.engine.network.prefix.ways import ways_to_predict
from kerascnn.engine.result.run import Result
from kerascnn.results.inference.images import read_images
from kerascnn.results.inference.predict import best_guesses
from kerascnn.results.known.caution import Caution
from kerascnn.runtime.backend import start_backend

DECODED_AT_ONCE = 2  # requests; decoding the largest allowed image takes 2 GB


class Classifier:
    """Thread-safe.

    Args:
        result: The run.
        top: Labels listed per prediction.
        backend: As of `start_backend`.
        caution: What else is said of an image; default nothing.
        warned: Receives a warning if OpenVINO cannot run the network; default none.

    Attributes:
        result: The run.
        network: Its model.
        caution: As given.
        computing: Held while its variables are in use: on JAX a call takes them from any other.
    """

    def __init__(
        self,
        result: Result,
        top: int,
        backend: str,
        caution: Caution | None = None,
        warned: Callable[[str], None] = lambda message: None,
    ) -> None:
        start_backend(backend)
        self.result, self.network, self._top = result, result.model, top
        self.caution = caution
        self._preparation = Preparation.of(result.training)
        self._answer = _answering(self.network, result, warned)
        self._decoding, self.computing = BoundedSemaphore(DECODED_AT_ONCE), Lock()

    def __call__(self, images: list[bytes]) -> list[dict[str, Any]]:
        """For each image its label, probability and `top`, and what the caution says of it.

        Raises:
            InputError: Some cannot be read.
        """
        with self._decoding:
            pixels = read_images(images, self.result)
        return self.guesses(self.said(self._preparation.windows(pixels)))

    def read(self, image: bytes) -> Centred:
        """One image as the network sees it: uint8 [1, S, S, 3].

        Raises:
            ImageError: It cannot be read.
        """
        with self._decoding:
            pixels = self._preparation.prepare(image)
        return self._preparation.windows(pixels[None])

    def said(self, windows: Centred) -> Said:
        """What the network says of images, as trained."""
        with self.computing:
            return self._answer(windows)  # one at a time: the same shape always

    def guesses(self, said: Said) -> list[dict[str, Any]]:
        """For each image its label, calibrated probability and `top`, and the caution's."""
        probabilities = tempered(said.probabilities, self.result.temperature)
        guesses = [best_guesses(row, self.result.class_names, self._top) for row in probabilities]
        answers = [{**guess[0], "top": guess} for guess in guesses]
        if self.caution is None:
            return answers
        checked = self.caution.about(probabilities, said.features)
        return [{**answer, **more} for answer, more in zip(answers, checked, strict=True)]


def _answering(network: Any, result: Result, warned: Callable[[str], None]) -> Answering:
    """One image at a time on the fastest engine, which pays for many requests."""
    outputs = with_outputs(network)
    engine = "backend" if result.training.prefix_engine == "backend" else "auto"
    ways = ways_to_predict(outputs.model, engine, 1)
    sections = (outputs.probabilities,)
    fastest = Fastest(outputs.model, result.name, ways, sections=sections, warned=warned)
    return Answering(outputs, fastest)
