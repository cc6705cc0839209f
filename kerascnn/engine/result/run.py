"""The result of a run: typed, versioned, and readable from any version of `result.json`."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import kerascnn
from kerascnn.engine.metrics.calibration import AS_TRAINED
from kerascnn.engine.network.saved import load_model
from kerascnn.engine.result.ensemble import EnsembleTable
from kerascnn.engine.result.tables import MetricTable, SplitTable, StageTable, WeightsTable
from kerascnn.engine.result.teacher import TeacherTable
from kerascnn.engine.result.update import UpdateTable
from kerascnn.engine.result.versioned import known_fields, read_json
from kerascnn.experiment.training import Training
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.screen import accuracy, screen
from kerascnn.runtime.text import abbreviated

VERSION = 1
"""Of `result.json`; files without a `version` are from before there were versions: 0."""

EXPERIMENT = "experiment.toml"
RESULT = "result.json"
SWEEP_PLAN = "sweep.toml"  # in the folder of a sweep
SWEEP = "sweep.json"  # in that of one that has ended
BEST_PLAN, BEST = "best.toml", "best.json"  # in the folder of a study of `best`
MODEL = "model"
PREDICTIONS = "predictions.csv"
VALIDATION_PREDICTIONS = "validation_predictions.csv"
MEMBERS = "members.npy"  # calibrated probabilities of an ensemble's members: float32 [M, N, K]
FEATURES = "features.npy"  # of some images, as the network sees them: float16 [N, F]
REJECTION = "rejection.json"  # how well an unknown class is noticed
KNOWN_IMAGES = "known_images.csv"
"""Which images the rows of `FEATURES` are, for people and other tools: image, sha256, label, split.
`images.npz` has all images, perhaps millions, for searching by content: by hashes alone."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a run.

    Args:
        version: Of the file that it was read from, else `VERSION`.
        run_id: MLflow's id of the run.
        name: The experiment's name.
        backend: The backend that it was trained on.
        test_accuracy: On the test images, 0 to 1.
        test_accuracy_interval: 95% (Wilson).
        test: All metrics of the test images, as in `engine.metrics.score.Metrics`.
        stages: One table per stage.
        class_names: In the order of the probabilities.
        parameters: Number of weights.
        seconds: From the start to the saved result.
        data_seconds: Finding, decoding and packing the images, or finding them packed.
        data: The number of images, the fingerprint and the number packed of each split.
        experiment: The resolved experiment.
        plugins: The package of each component.
        artifacts: The run's folder.
        history: One table per epoch: stage, epoch from 1 within it, metrics.
        class_counts: Images per class in each split.
        blocks: Each block of the network and its last layer that gives feature maps.
        device: The device that it was trained on.
        devices: How many of them; several numbers if it was resumed on another.
        versions: Of Python and the packages that affect the result.
        ended: Time of the end, in ISO 8601.
        findings: Problems found in the images: see `engine.data.findings.Findings`.
        notes: Remarks on the data.
        modules: Modules to import before the model is loaded: those of layers not of Keras.
        temperature: Calibrates the probabilities, see `engine.metrics.temperature`; 1 leaves them
            as trained. `predictions.csv`, `test` and `metrics` are not calibrated.
        metrics: The experiment's metrics by name.
        engine: What computed `test`, such as "OpenVINO 2026.4.1"; "" if the backend did.
        ensemble: The members of an ensemble and how it was made; None for other runs.
        teacher: The run that taught the network; None without one.
        weights: The pretrained weights that the network started from: none from scratch; of an
            ensemble those of all its members.
        update: The run that this one updates, and both side by side; None for other runs.
    """

    version: int = VERSION
    run_id: str
    name: str
    backend: str
    test_accuracy: float
    test_accuracy_interval: tuple[float, float]
    test: dict[str, Any]
    stages: list[StageTable]
    class_names: list[str]
    parameters: int
    seconds: float
    data_seconds: float = 0.0
    data: dict[str, SplitTable]
    experiment: dict[str, Any]
    plugins: dict[str, str]
    artifacts: str
    history: list[dict[str, Any]] = field(default_factory=list)
    class_counts: dict[str, list[int]] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)
    device: str = ""
    devices: list[int] = field(default_factory=lambda: [1])
    versions: dict[str, str] = field(default_factory=dict)
    ended: str = ""
    findings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    temperature: float = AS_TRAINED
    metrics: dict[str, MetricTable] = field(default_factory=dict)
    engine: str = ""
    ensemble: EnsembleTable | None = None
    teacher: TeacherTable | None = None
    weights: list[WeightsTable] = field(default_factory=list)
    update: UpdateTable | None = None

    @classmethod
    def read(cls, file: Path) -> "Result":
        """Reads `result.json` of any version, ignoring unknown keys with a warning.

        Raises:
            InputError: It is not a JSON object, or lacks a key that every version has.
        """
        return cls.of(read_json(file), str(file))

    @classmethod
    def of(cls, found: dict[str, Any], origin: str) -> "Result":
        """A result from its JSON; `origin` says where that was read, for messages.

        Raises:
            InputError: It lacks a key that every version has.
        """
        read = known_fields(cls, found, origin, RESULT, VERSION)
        return cls(**{**read, "test_accuracy_interval": tuple(read["test_accuracy_interval"])})

    @property
    def folder(self) -> Path:
        return Path(self.artifacts)

    @property
    def epochs(self) -> int:
        """Of all stages together."""
        return sum(stage["epochs"] for stage in self.stages)

    @property
    def training(self) -> Training:
        """Settings shared by the stages, such as how to prepare images."""
        return training_of(self.experiment)

    @property
    def trained_on(self) -> str:
        """The device or devices, such as "CPU, 2 cores" or "4 devices: GPU NVIDIA H100"."""
        if self.devices == [1]:
            return self.device
        return f"{', then '.join(map(str, self.devices))} devices: {self.device}"

    @property
    def tested(self) -> str:
        """The fingerprint of the test images."""
        return self.data["test"]["fingerprint"]

    @property
    def repeats(self) -> int:
        return 1

    @property
    def divided(self) -> str:
        return ""

    @property
    def uncalibrated(self) -> "Result":
        """The same result without calibration."""
        return replace(self, temperature=AS_TRAINED)

    @property
    def model_file(self) -> Path:
        return self.folder / MODEL / "data" / "model.keras"

    @property
    def model(self) -> Any:
        """The trained Keras model, loaded from the run's folder."""
        return load_model(self.model_file, self.plugins.values(), self.modules)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __repr__(self) -> str:
        architecture = self.experiment["architecture"]["name"]
        tested = accuracy(self.test_accuracy, self.test_accuracy_interval)
        stages = [f"{stage['name']} {stage['val_accuracy']:.3f}" for stage in self.stages]
        named = [
            f"{name} {of['value']:.3f}"
            for name, of in self.metrics.items()
            if of["value"] is not None and name != "accuracy"
        ]
        rows = [
            ("network", f"{architecture}, {self.parameters:,} parameters"),
            ("test", f"accuracy {tested} on {self.test['images']:,} images"),
            *([("metrics", abbreviated(named))] if named else []),
            *([("stages", f"validation accuracy: {abbreviated(stages)}")] if stages else []),
            ("classes", f"{len(self.class_names):,}: {abbreviated(self.class_names)}"),
            ("folder", self.artifacts),
        ]
        return screen(f"run {self.run_id[:8]} · {self.name} · {self.seconds:.0f} s", rows)

    def _repr_html_(self) -> str:
        """The display in a notebook."""
        return kerascnn.as_html(self)

    def write(self) -> None:
        write_whole(self.folder / RESULT, json.dumps(self.to_json(), indent=2))


def training_of(experiment: dict[str, Any]) -> Training:
    """The table `training` of a resolved experiment of any version."""
    given = experiment["training"]
    return Training(**{key: given[key] for key in Training.model_fields if key in given})
