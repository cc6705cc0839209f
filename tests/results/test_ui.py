"""`kerascnn ui`: MLflow's page, its port, and the address that it prints."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from swept import swept

from kerascnn.results.lookup import runs_folder
from kerascnn.results.ui import swept_columns
from kerascnn.runtime.address import tracking_uri
from kerascnn.tracking.store import open_store, runs_table
from kerascnn.tracking.tracker import Tracker

COMMAND = "from kerascnn.cli import main; main()"


@pytest.fixture
def run(workplace, fresh_database):
    """A run in a local store; gives its id."""
    shutil.copy(fresh_database, "mlflow.db")
    with Tracker("photos", "a run", runs_folder()) as tracker:
        run_id, _ = tracker.open()
    assert tracker.unsent is None
    return run_id


def test_a_taken_port_is_an_error_of_the_input_at_once(run_cli, workplace):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        start = time.perf_counter()
        ended = run_cli("ui", "--port", port)
    assert time.perf_counter() - start < 5
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert f"port {port} of 127.0.0.1: Address already in use; choose another" in ended.stderr


def test_the_page_opens_at_the_runs_with_their_test_accuracy(run):
    with open_store(tracking_uri()) as client:
        table = runs_table(client, "photos")
        experiment = client.get_experiment_by_name("photos")
        assert runs_table(client, "none such") == runs_table(client, None) == "#/experiments"
    assert table == f"#/experiments/{experiment.experiment_id}/runs?viewStateShareKey=kerascnn"
    with open_store(tracking_uri()) as client:
        tags = client.get_experiment_by_name("photos").tags
    assert "metrics.`test_accuracy`" in tags["mlflow.sharedViewState.kerascnn"]


def test_after_a_sweep_the_table_has_what_it_tried(workplace):
    folder = runs_folder() / "c0ffee"
    folder.mkdir(parents=True)
    swept(folder, keys=2, name="photos").write()
    assert swept_columns("others") == []
    assert swept_columns("photos") == [
        "metrics.`val_accuracy`",
        "params.`stages.head.learning_rate`",
        "params.`architecture.name`",
        "tags.`pruned`",
    ]


@pytest.mark.slow
def test_the_address_is_printed_once_it_answers_and_nothing_else_is(run):
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "ui", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as page:
        try:
            address = page.stdout.readline().strip()
            assert address.endswith("/runs?viewStateShareKey=kerascnn")
            with urllib.request.urlopen(address.partition("#")[0], timeout=10) as answer:
                assert answer.status == 200
        finally:
            os.kill(page.pid, signal.SIGINT)
        said, complained = page.communicate(timeout=60)
    assert (said, complained.strip()) == ("", "interrupted")
    assert page.returncode == 130
