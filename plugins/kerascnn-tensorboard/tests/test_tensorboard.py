import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kerascnn import Observer, load_experiment, run_experiment

pytest.importorskip("kerascnn_tensorboard")
EXPERIMENT = """
name = "logged"
dataset = { name = "shapes", train = 16, validation = 8, test = 8 }
[architecture]
name = "sequential_cnn"
depth = 2
filters = 4
[training]
image_size = 16
batch_size = 8
checkpoint_seconds = 0
[[stages]]
name = "all"
unfreeze = "all"
epochs = 2
learning_rate = 1e-3
[[stages]]
name = "head"
epochs = 1
learning_rate = 1e-3
[[observers]]
name = "tensorboard"
"""


class Interrupting(Observer):
    """Interrupts the run before its second epoch ends."""

    def epoch(self, epoch: Any, total: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logged.toml").write_text(EXPERIMENT)
    return tmp_path / "logged.toml"


def read(folder: Path) -> Any:
    """What TensorBoard makes of the files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def scalars(found: Any, tag: str) -> dict[int, float]:
    return {event.step: event.value for event in found.Scalars(tag)}


@pytest.mark.kerascnn("observer", "tensorboard")
def test_contract(kerascnn_check: Any, tmp_path: Path) -> None:
    kerascnn_check(log_dir=str(tmp_path))


def test_tensorboard_reads_what_the_run_recorded(file: Path) -> None:
    result = run_experiment(load_experiment(file), Observer())
    found = read(result.folder / "tensorboard")
    for metric in ("train_loss", "val_accuracy", "learning_rate"):
        recorded = {number: row[metric] for number, row in enumerate(result.history, 1)}
        assert scalars(found, metric) == pytest.approx(recorded)
    assert scalars(found, "test/accuracy") == pytest.approx({3: result.test_accuracy})
    stages = {number: stage["val_accuracy"] for number, stage in enumerate(result.stages, 1)}
    assert scalars(found, "stage/val_accuracy") == pytest.approx(stages)
    [text] = found.Tensors("experiment")
    assert b'"sequential_cnn"' in text.tensor_proto.string_val[0]
    assert "_hparams_/session_start_info" in found.PluginTagToContent("hparams")


def test_a_resumed_run_continues_its_curves(file: Path) -> None:
    experiment = load_experiment(file, {"observers": [{"name": "tensorboard", "log_dir": "logs"}]})
    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, Interrupting(), fresh=True)
    result = run_experiment(experiment, Observer(), resume="last")
    found = read(Path("logs", result.run_id))
    recorded = {number: row["val_loss"] for number, row in enumerate(result.history, 1)}
    assert scalars(found, "val_loss") == pytest.approx(recorded)
    assert len(found.Scalars("val_loss")) == len(recorded)


def test_neither_a_backend_nor_tensorboard_is_imported_with_the_plugin() -> None:
    code = "import sys, kerascnn_tensorboard; print({'tensorboard', 'keras'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
