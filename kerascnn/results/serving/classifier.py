"""A run's model as a callable that predicts encoded images."""

from threading import BoundedSemaphore, Lock
from typing import Any

from kerascnn.engine.data.preparation import Centred, Preparation
from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.network.fastest import Fastest
from kerascnn.engine.network.outputs import Said, with_outputs
from kerascnn.engine.network.ways import ways_to_predict
from kerascnn.engine.result import Result
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

    Attributes:
        result: The run.
        network: Its model.
    """

    def __init__(
        self, result: Result, top: int, backend: str, caution: Caution | None = None
    ) -> None:
        start_backend(backend)
        self.result, self.network, self._top = result, result.model, top
        self._outputs, self._caution = with_outputs(self.network), caution
        engine = "backend" if result.training.prefix_engine == "backend" else "auto"
        ways = ways_to_predict(self._outputs.model, engine, 1)
        sections = (self._outputs.probabilities,)
        self._model = Fastest(self._outputs.model, result.name, ways, sections=sections)
        self._preparation = Preparation.of(result.training)
        self._decoding, self._predicting = BoundedSemaphore(DECODED_AT_ONCE), Lock()

    def __call__(self, images: list[bytes]) -> list[dict[str, Any]]:
        """For each image its label, probability and `top`, and what the caution says of it.

        Raises:
            InputError: Some cannot be read.
        """
        with self._decoding:
            pixels = read_images(images, self.result)
        return self.predict(self._preparation.windows(pixels))

    def read(self, image: bytes) -> Centred:
        """One image as the network sees it: uint8 [1, S, S, 3].

        Raises:
            ImageError: It cannot be read.
        """
        with self._decoding:
            pixels = self._preparation.prepare(image)
        return self._preparation.windows(pixels[None])

    def predict(self, windows: Centred) -> list[dict[str, Any]]:
        """As for the images that these are of."""
        return self.described(self.said(windows))

    def said(self, windows: Centred) -> Said:
        """All that the model gives for them."""
        with self._predicting:
            values = self._model.outputs(windows)  # one at a time: the same shape always
        return self._outputs.said(values)

    def described(self, said: Said) -> list[dict[str, Any]]:
        """For each image what is answered."""
        probabilities = tempered(said.probabilities, self.result.temperature)
        guesses = [best_guesses(row, self.result.class_names, self._top) for row in probabilities]
        answers = [{**guess[0], "top": guess} for guess in guesses]
        if self._caution:
            for answer, more in zip(
                answers, self._caution.about(probabilities, said.features), strict=True
            ):
                answer |= more
        return answers
