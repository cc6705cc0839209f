"""What the page shows of an image: classes, Grad-CAM and the most similar training images."""

from contextlib import suppress
from typing import Any

import numpy as np

from kerascnn.engine.network.explain.grad_cam import GradCam, overlay
from kerascnn.errors import InputError
from kerascnn.results.known.rejection import SHARE, Rejection
from kerascnn.results.page import data_uri
from kerascnn.results.serving.classifier import Classifier
from kerascnn.results.serving.similar import Similar

STRANGE = (
    "It differs more from the training images than {:g}% of the images of these classes do. If it "
    "is one of them after all:"
)


class Looker:
    """Answers with what a template's script shows; thread-safe."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._similar = Similar(classifier.result)
        self._rejection: Rejection | None = None
        asked = classifier.caution and classifier.caution.share
        with suppress(InputError):  # it has too few validation images
            self._rejection = Rejection(classifier.result, asked or SHARE)
        self._heat: GradCam | None = None
        with suppress(InputError):  # a network without maps of the image
            self._heat = GradCam(classifier.network, batch_size=1)

    def __call__(self, image: bytes) -> dict[str, Any]:
        windows = self._classifier.read(image)
        said = self._classifier.said(windows)
        [guess], [window] = self._classifier.guesses(said), windows[:]
        return {
            **guess,
            **self._strange(said.features),
            "image": data_uri(window),
            "heat": self._heat_of(window, guess["label"]),
            "note": self._similar.note(image),
            **self._similar(said.features),
        }

    def _strange(self, features: np.ndarray) -> dict[str, Any]:
        """Whether the image of features [1, F] is refused as none of the classes, and why."""
        if self._rejection is None:
            return {"rejected": False, "why": ""}
        [score] = self._rejection.scores(features)
        if score <= self._rejection.threshold:
            return {"rejected": False, "why": ""}
        return {"rejected": True, "why": STRANGE.format(100 * (1 - self._rejection.share))}

    def _heat_of(self, window: np.ndarray, label: str) -> str:
        """Grad-CAM over the image, a data: URI; "" if the network has no maps."""
        if not self._heat:
            return ""
        index = self._classifier.result.class_names.index(label)
        with self._classifier.computing:
            [heat] = self._heat(window[None], [index])
        return data_uri(overlay(window, heat))
