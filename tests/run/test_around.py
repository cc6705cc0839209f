"""A run of the command line: what it imports, and what it leaves when a process beside it fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerascnn.results.find import find_run
from kerascnn.tracking.journal import Journal

WHOLE = {
    "confusion_matrix.png",
    "experiment.toml",
    "features.npy",
    "images.npz",
    "known_images.csv",
    "model",
    "predictions.csv",
    "report.html",
    "result.json",
    "tracking.json",
    "tracking.jsonl",
    "validation_predictions.csv",
}
BESIDE = {"mlflow", "matplotlib.figure", "sklearn", "pandas"}
RUN = "import sys; sys.argv[0] = 'kerascnn'; from kerascnn.cli import main; main()"
MODULES = f"import atexit, sys; atexit.register(lambda: print({BESIDE} & set(sys.modules)))\n"
NOT_WRITABLE = """
from kerascnn.run import runner
recorded = runner.record_result
def record_result(prepared, result, *others):
    (result.folder / "confusion_matrix.png").mkdir()
    recorded(prepared, result, *others)
runner.record_result = record_result
"""
LOST = """
from kerascnn.run import runner
from kerascnn.runtime.beside import Beside
recorded = runner.record_result
started = []
submit = Beside.submit
def remembered(self, *call):
    started.append(self)
    return submit(self, *call)
Beside.submit = remembered
def record_result(*arguments):
    for beside in set(started):
        beside._process._process.kill()
    recorded(*arguments)
runner.record_result = record_result
"""


def run(code, file):
    done = subprocess.run(
        [sys.executable, "-c", code + RUN, "run", file.name], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


def check_whole(workplace):
    """Everything is written and uploaded."""
    import mlflow

    folder = find_run("last").folder
    assert {file.name for file in folder.iterdir()} >= WHOLE
    assert not Journal.read(folder).pending
    client = mlflow.MlflowClient(f"sqlite:///{workplace}/mlflow.db")
    logged = client.get_run(folder.name)
    assert logged.info.status == "FINISHED"
    assert logged.outputs.model_outputs
    assert client.get_metric_history(folder.name, "val_accuracy")
    return {artifact.path for artifact in client.list_artifacts(folder.name)}


@pytest.mark.long  # a run in a process of its own
@pytest.mark.backend
def test_a_run_imports_neither_mlflow_nor_what_draws(workplace, shapes_file):
    assert run(MODULES, shapes_file).stdout == "set()\n"
    assert {"report.html", "confusion_matrix.png"} <= check_whole(workplace)


@pytest.mark.long  # a run in a process of its own
def test_a_drawing_that_fails_in_another_process_is_a_warning(workplace, shapes_file):
    done = run(NOT_WRITABLE, shapes_file)
    assert "could not write the confusion matrix: IsADirectoryError: " in done.stderr
    assert "report.html" in check_whole(workplace)


@pytest.mark.long  # a run in a process of its own
def test_processes_that_die_cost_a_run_nothing(workplace, shapes_file):
    assert "could not" not in run(LOST, shapes_file).stderr
    assert {"report.html", "confusion_matrix.png"} <= check_whole(workplace)


@pytest.mark.long  # a run in a process of its own
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks Linux for the processes")
def test_ctrl_c_ends_the_processes_beside_a_run(workplace, shapes_file):
    shapes_file.write_text(shapes_file.read_text().replace("epochs = 1", "epochs = 100000"))
    command = [sys.executable, "-c", RUN, "run", shapes_file.name]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert any(" 2/100000" in line for line in process.stderr)
        beside = children(process.pid)
        assert len(beside) == 2
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "--resume" in said
    deadline = time.monotonic() + 5
    while any(map(is_running, beside)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, beside))
    folder = next(workplace.glob("kerascnn-runs/*"))
    assert not Journal.read(folder).pending


def children(pid):
    """Those that any of its threads has started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
