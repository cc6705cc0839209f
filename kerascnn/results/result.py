"""Runs on disk: each has a folder with its experiment, result, predictions and model."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from kerascnn.components.registry import plugin_packages
from kerascnn.engine.metrics.temperature import AS_TRAINED
from kerascnn.errors import InputError
from kerascnn.experiment.model import Training
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.screen import accuracy, listed, screen
from kerascnn.tracking.journal import JOURNAL, RUNS, Journal
from kerascnn.tracking.registry import PREFIX, registered_run
from kerascnn.tracking.store import TrackingError, fetch_run

EXPERIMENT = "experiment.toml"
RESULT = "result.json"
MODEL = "model"
PREDICTIONS = "predictions.csv"
VALIDATION_PREDICTIONS = "validation_predictions.csv"
SEEN = "seen.npy"  # SHA-256 of the pictures that it was trained or validated on: uint8 [N, 32]


def runs_folder() -> Path:
    """The folder that holds the runs' folders, in the working directory."""
    return Path(RUNS).absolute()


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Args:
        run_id: MLflow's id of the run.
        name: The experiment's name.
        backend: The backend that it was trained on.
        test_accuracy: On the test pictures, 0 to 1.
        test_accuracy_interval: 95% (Wilson).
        test: All metrics of the test pictures.
        stages: One table a stage.
        class_names: In the order of the probabilities.
        parameters: Number of weights.
        seconds: From the start to the saved result.
        data_seconds: Finding, decoding and packing the pictures, or finding them packed.
        data: Number of pictures and fingerprint of each split.
        experiment: The resolved experiment.
        plugins: Where each component comes from.
        artifacts: The run's folder.
        history: One table an epoch: stage, epoch from 1 within it, metrics.
        class_counts: Pictures of each class in each split.
        blocks: Each block of the network and its last layer that gives feature maps.
        device: What it was trained on.
        versions: Of Python and the packages that the result depends on.
        ended: When, in ISO 8601.
        findings: What was found wrong with the pictures: see `kerascnn.engine.data.hygiene.Findings`.
        notes: What the run said about its data.
        temperature: Calibrates the probabilities, see `kerascnn.engine.metrics.temperature`; 1 leaves them as
            trained. `predictions.csv` and `test` hold those as trained.
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
        """What the stages shared: among it how pictures are to be prepared."""
        return Training(**self.experiment["training"])

    @property
    def uncalibrated(self) -> "Result":
        """The same run with the probabilities as trained."""
        return replace(self, temperature=AS_TRAINED)

    @property
    def model(self) -> Any:
        """The trained Keras model, loaded from the run's folder."""
        return load_model(self)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __repr__(self) -> str:
        architecture = self.experiment["architecture"]["name"]
        tested = accuracy(self.test_accuracy, self.test_accuracy_interval)
        stages = [f"{stage['name']} {stage['val_accuracy']:.3f}" for stage in self.stages]
        rows = [
            ("network", f"{architecture}, {self.parameters:,} parameters"),
            ("test", f"accuracy {tested} on {self.test['images']:,} images"),
            ("stages", f"validation accuracy: {listed(stages)}"),
            ("classes", f"{len(self.class_names):,}: {listed(self.class_names)}"),
            ("folder", self.artifacts),
        ]
        return screen(f"run {self.run_id[:8]} · {self.name} · {self.seconds:.0f} s", rows)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from kerascnn.results.report.notebook import result_html

        return result_html(self)

    def write(self) -> None:
        write_whole(self.folder / RESULT, json.dumps(self.to_json(), indent=2))


def find_run(run: str | os.PathLike[str] | Result) -> Result:
    """Finds a finished run.

    Args:
        run: A run's id, a unique prefix of one, "last", "models:/NAME@ALIAS", or its folder; a
            result stands for itself.

    Raises:
        InputError: There is none such, or more than one.
    """
    if isinstance(run, Result):
        return run
    expect(run, (str, os.PathLike), "run", ' A run\'s id, a prefix of one, or "last" names it.')
    run = os.fspath(run)
    if not run:
        raise InputError('run: expected a run\'s id, a prefix of one, or "last", not "".')
    if Path(run, RESULT).is_file():
        return _read(Path(run, RESULT).resolve())
    if run.startswith(PREFIX):
        run = registered_run(run)
    if run == "last":
        if not (finished := all_runs()):
            raise InputError(
                f"there is no finished run here yet, in {runs_folder()}; "
                f"`{command('run', 'FILE')}` makes one."
            )
        return finished[-1]
    found = [file for file in _finished() if file.parent.name.startswith(run)]
    if len(found) > 1:
        ids = ", ".join(file.parent.name[:12] for file in found)
        raise InputError(f'"{run}" is the beginning of {len(found)} runs: {ids}.')
    if found:
        return _read(found[0])
    try:
        fetched = fetch_run(run, runs_folder())
    except TrackingError as error:
        raise InputError(f'there is no run "{run}" here, and {error}') from None
    if fetched is None or not (fetched / RESULT).is_file():
        raise InputError(
            f'there is no run "{run}" in {runs_folder()} or in MLflow; their ids are the names of '
            "the folders there."
        )
    return _read(fetched / RESULT)


def find_unfinished(run: str) -> Path:
    """Finds a run that can go on; returns its folder.

    Args:
        run: A run's id, a unique prefix of one, or "last": of those that have not ended well.

    Raises:
        InputError: There is none such, or more than one.
    """
    folders = sorted((file.parent for file in runs_folder().glob(f"*/{JOURNAL}")), key=_begun)
    if run == "last":
        unfinished = (folder for folder in reversed(folders) if not _has_ended_well(folder))
        if found := next(unfinished, None):
            return found
        raise InputError("there is no unfinished run here: nothing to resume.")
    named = [folder for folder in folders if folder.name.startswith(run)]
    if len(named) != 1:
        shown = ", ".join(folder.name[:12] for folder in named)
        is_it = f"is the beginning of {len(named)} runs: {shown}" if named else "is no run here"
        raise InputError(f'--resume {run}: "{run}" {is_it}.')
    if _has_ended_well(named[0]):
        raise InputError(f"--resume {run}: that run is finished: nothing to resume.")
    return named[0]


def _begun(folder: Path) -> int:
    """When a run began or was last resumed, in its own words: sending it changes its files too."""
    starts = [e for e in Journal.read(folder).entries if e["kind"] in ("create", "resume")]
    return max((entry.get("time", 0) for entry in starts), default=0)


def last_experiment() -> str | None:
    """The name of the experiment whose run was begun last."""
    begun = sorted((file.parent for file in runs_folder().glob(f"*/{JOURNAL}")), key=_begun)
    return Journal.read(begun[-1]).created.get("experiment") if begun else None


def first_run_of(experiment: str) -> Path | None:
    """The folder of the first run of an experiment that is here."""
    journals = [Journal.read(file.parent) for file in runs_folder().glob(f"*/{JOURNAL}")]
    runs = [journal for journal in journals if journal.created.get("experiment") == experiment]
    first = min(runs, key=lambda journal: journal.created.get("time", 0), default=None)
    return first.folder if first else None


def _has_ended_well(folder: Path) -> bool:
    entries = Journal.read(folder).entries
    return bool(entries) and entries[-1].get("status") == "FINISHED"


def backend_of(folder: Path) -> str | None:
    """The backend that a run began on."""
    tags = [entry["values"] for entry in Journal.read(folder).entries if entry["kind"] == "tags"]
    return next((values["backend"] for values in tags if "backend" in values), None)


def all_runs() -> list[Result]:
    """The finished runs of this folder, the oldest first."""
    return sorted(map(_read, _finished()), key=_ended)


def _ended(result: Result) -> tuple[float, float]:
    """When a run ended, in its own words; the file decides within one second."""
    changed = (result.folder / RESULT).stat().st_mtime
    told = datetime.fromisoformat(result.ended).timestamp() if result.ended else changed
    return told, changed


def _finished() -> list[Path]:
    return sorted(runs_folder().glob(f"*/{RESULT}"))


def _read(file: Path) -> Result:
    data = json.loads(file.read_text())
    data["test_accuracy_interval"] = tuple(data["test_accuracy_interval"])
    return Result(**{**data, "artifacts": str(file.parent)})


def load_model(result: Result) -> Any:
    """Loads a run's model; the process must be on a backend already."""
    import keras

    file = result.folder / MODEL / "data" / "model.keras"
    foreign = _import_layers(file)
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except (TypeError, ValueError) as error:
        if not foreign:
            raise
        raise InputError(
            f"the model of run {result.run_id[:8]} has layers of {', '.join(sorted(foreign))}, not "
            f"among the plugins that are installed and allowed here. The run was made with "
            f"{', '.join(dict.fromkeys(result.plugins.values()))}."
        ) from error


def _import_layers(file: Path) -> set[str]:
    """Imports the modules of plugins that define layers of a model, so that Keras knows these.

    Returns:
        The packages of its other layers, without Keras's own.
    """
    modules: set[str] = set()
    with ZipFile(file) as archive:
        json.loads(
            archive.read("config.json"),
            object_hook=lambda table: modules.add(table.get("module") or "keras"),
        )
    plugins = plugin_packages()
    for module in modules:
        if module.partition(".")[0] in plugins:
            import_module(module)
    return {module.partition(".")[0] for module in modules} - plugins - {"keras", "builtins"}
