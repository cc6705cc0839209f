"""An exporter, found and built: writes a model, and compares what was written with Keras."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.components.component import BoundComponent
from kerascnn.components.registry import load_registry
from kerascnn.errors import PluginError, RunError
from kerascnn.experiment.problems import bind_alone, check_alone
from kerascnn.hookspecs import Exporter
from kerascnn.runtime.backend import BACKENDS, require_backend, select_backend
from kerascnn.runtime.text import counted


@dataclass(frozen=True)
class BuiltExporter:
    """An exporter under the rules of `kerascnn.hookspecs`; errors name its package.

    Args:
        bound: The component.
        exporter: What it builds.
    """

    bound: BoundComponent
    exporter: Exporter

    @classmethod
    def find(cls, name: str, params: Mapping[str, Any]) -> "BuiltExporter":
        """Finds and builds an installed exporter, without Keras.

        Raises:
            InputError: There is no such exporter, its parameters are invalid, or a package or
                backend that it needs is not installed.
        """
        bound = bind_alone(load_registry().find(name, "exporter"), params)
        built = cls(bound, bound.build())
        if (backend := built.exporter.backend) and backend not in BACKENDS:
            raise built._fault(f'backend = "{backend}"; expected one of {", ".join(BACKENDS)}')
        require_backend(built.backend)
        return built

    @property
    def backend(self) -> str:
        """The Keras backend to write on."""
        return self.exporter.backend or select_backend()

    @property
    def runtime(self) -> str:
        """The package that runs what was written, with its version."""
        if not self.exporter.runtime:
            return str(self.bound.registered.origin)
        try:
            return f"{self.exporter.runtime} {version(self.exporter.runtime)}"
        except PackageNotFoundError:
            return self.exporter.runtime

    def check(self, image_size: int) -> None:
        """Raises InputError with what the exporter's own check finds."""
        check_alone(self.bound, image_size)

    def write(self, model: Any, folder: Path) -> Path:
        """Writes a model into an empty folder; returns the file, or the folder.

        Raises:
            PluginError: The exporter fails, or returns something else than what it wrote.
        """
        with self.bound.registered.blamed("in write(model, folder)"):
            path = self.exporter.write(model, folder)
        if not isinstance(path, Path):
            raise self._fault(f"write must return a Path, not {type(path).__name__}")
        names = sorted(entry.name for entry in folder.iterdir())
        if not names:
            raise self._fault(
                f'write returned "{path.name}", but wrote nothing into the folder that it was given'
            )
        if path.resolve() != folder.resolve() and names != [path.name]:
            raise self._fault(
                f"write returned {path.name}, but the folder holds {', '.join(names)}; it must "
                "return the only file there, or the folder"
            )
        return path

    def predict(self, path: Path, images: np.ndarray) -> np.ndarray:
        """The probabilities [N, K] that the exporter's runtime gives.

        Raises:
            PluginError: The exporter fails, or returns something else.
        """
        with self.bound.registered.blamed("in predict(path, images)"):
            found = np.asarray(self.exporter.predict(path, images))
        if found.ndim != 2 or len(found) != len(images):
            shape = list(found.shape)
            raise self._fault(f"predict must return [{len(images)}, K] probabilities, not {shape}")
        return found

    def compare(self, path: Path, images: np.ndarray, expected: np.ndarray) -> float:
        """The largest difference between a probability of what was written and that of Keras.

        Args:
            images: float32 [N, S, S, 3] in 0-255.
            expected: The probabilities of Keras, [N, K].

        Raises:
            RunError: It is larger than the exporter's tolerance.
        """
        found = self.predict(path, images)
        if found.shape != expected.shape:
            raise self._fault(f"it gives {found.shape[1]} probabilities, not {expected.shape[1]}")
        difference = float(np.abs(found - expected).max())
        if not difference <= self.exporter.tolerance:  # NaN included
            raise RunError(
                f"the probabilities of the {self.bound.name} model differ from those of Keras by "
                f"up to {difference:.1e} on {counted(len(images), 'image')}; at most "
                f"{self.exporter.tolerance:.0e} is allowed."
            )
        return difference

    def _fault(self, what: str) -> PluginError:
        return PluginError(f"{self.bound.registered}: {what}.")
