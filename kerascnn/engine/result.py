"""What a run came to."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import kerascnn
from kerascnn.engine.metrics.temperature import AS_TRAINED
from kerascnn.engine.network.saved import load_model
from kerascnn.experiment.model import Training
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.screen import accuracy, screen
from kerascnn.runtime.text import abbreviated

EXPERIMENT = "experiment.toml"
RESULT = "result.json"
MODEL = "model"
PREDICTIONS = "predictions.csv"
VALIDATION_PREDICTIONS = "validation_predictions.csv"
SEEN = "seen.npy"  # SHA-256 of the images that it was trained or validated on: uint8 [N, 32]


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Args:
        run_id: MLflow's id of the run.
        name: The experiment's name.
        backend: The backend that it was trained on.
        test_accuracy: On the test images, 0 to 1.
        test_accuracy_interval: 95% (Wilson).
        test: All metrics of the test images.
        stages: One table a stage.
        class_names: In the order of the probabilities.
        parameters: Number of weights.
        seconds: From the start to the saved result.
        data_seconds: Finding, decoding and packing the images, or finding them packed.
        data: Number of images and fingerprint of each split.
        experiment: The resolved experiment.
        plugins: Where each component comes from.
        artifacts: The run's folder.
        history: One table an epoch: stage, epoch from 1 within it, metrics.
        class_counts: Images of each class in each split.
        blocks: Each block of the network and its last layer that gives feature maps.
        device: What it was trained on.
        versions: Of Python and the packages that the result depends on.
        ended: When, in ISO 8601.
        findings: What was found wrong with the images: see `engine.data.findings.Findings`.
        notes: What the run said about its data.
        temperature: Calibrates the probabilities, see `engine.metrics.temperature`; 1 leaves them
            as trained. `predictions.csv` and `test` hold those as trained.
    """

    run_id: str
    name: str
    backend: str
    test_accuracy: float
    test_accuracy_interval: tuple[float, float]
    test: dict[str, Any]
    stages: list[dict[str, Any]]
    class_names: list[str]
    parameters: int
    seconds: float
    data_seconds: float
    data: dict[str, Any]
    experiment: dict[str, Any]
    plugins: dict[str, str]
    artifacts: str
    history: list[dict[str, Any]] = field(default_factory=list)
    class_counts: dict[str, list[int]] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    ended: str = ""
    findings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    temperature: float = AS_TRAINED

    @property
    def folder(self) -> Path:
        return Path(self.artifacts)

    @property
    def training(self) -> Training:
        """What the stages shared: among it how images are to be prepared."""
        return Training(**self.experiment["training"])

    @property
    def uncalibrated(self) -> "Result":
        """The same run with the probabilities as trained."""
        return replace(self, temperature=AS_TRAINED)

    @property
    def model(self) -> Any:
        """The trained Keras model, loaded from the run's folder."""
        return load_model(self.folder / MODEL / "data" / "model.keras", self.plugins.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __repr__(self) -> str:
        architecture = self.experiment["architecture"]["name"]
        tested = accuracy(self.test_accuracy, self.test_accuracy_interval)
        stages = [f"{stage['name']} {stage['val_accuracy']:.3f}" for stage in self.stages]
        rows = [
            ("network", f"{architecture}, {self.parameters:,} parameters"),
            ("test", f"accuracy {tested} on {self.test['images']:,} images"),
            ("stages", f"validation accuracy: {abbreviated(stages)}"),
            ("classes", f"{len(self.class_names):,}: {abbreviated(self.class_names)}"),
            ("folder", self.artifacts),
        ]
        return screen(f"run {self.run_id[:8]} · {self.name} · {self.seconds:.0f} s", rows)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return kerascnn.as_html(self)

    def write(self) -> None:
        write_whole(self.folder / RESULT, json.dumps(self.to_json(), indent=2))
