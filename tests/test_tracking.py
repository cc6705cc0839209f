"""Whatever is wrong with the tracking store: the same weights, nothing lost, no traceback."""

import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from statistics import quantiles

import pytest

from kerascnn import load_experiment, run_experiment
from kerascnn.engine.observer import Observer
from kerascnn.results.lookup import runs_folder
from kerascnn.runtime.redact import scrubbed, shown_uri
from kerascnn.tracking.journal import RUNS, Journal, send_pending

EXPERIMENT = """
name = "shapes"
dataset = { name = "shapes", classes = 2, train = 16, validation = 8, test = 8 }
architecture = { name = "sequential_cnn", depth = 2, filters = 4 }
training = { image_size = 16, batch_size = 8 }
stages = [{ name = "all", unfreeze = "all", epochs = 3, learning_rate = 1e-3 }]
"""


@pytest.fixture
def place(workplace, fresh_database, monkeypatch):
    """A working directory with the experiment and a sound database, sound.db."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    (workplace / "shapes.toml").write_text(EXPERIMENT)
    shutil.copy(fresh_database, workplace / "sound.db")
    return workplace


class Heard(Observer):
    def __init__(self):
        self.warnings = []

    def warned(self, message):
        self.warnings.append(message)


def run():
    """Runs the experiment; returns the result and what was warned of."""
    heard = Heard()
    experiment = load_experiment("shapes.toml")
    return run_experiment(experiment, heard, fresh=True), heard.warnings


def weights_sha256(result):
    return hashlib.sha256(b"".join(w.tobytes() for w in result.model.get_weights())).hexdigest()


@pytest.fixture(scope="module")
def untroubled(shared_workplace):
    """The weights of a run that nothing troubles."""
    (shared_workplace / "shapes.toml").write_text(EXPERIMENT)
    result, warnings = run()
    assert warnings == []
    return weights_sha256(result)


@contextmanager
def sound(place):
    yield f"sqlite:///{place}/sound.db"


@contextmanager
def refusing(place):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@contextmanager
def hanging(place):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


@contextmanager
def failing(place, answer=b"<html>Internal Server Error", status=500):
    class Failing(BaseHTTPRequestHandler):
        def do_GET(self):
            with suppress(ConnectionError):  # who asked may have given up
                self.send_response(status)
                self.end_headers()
                self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def nonsense(place):
    with failing(place, b"[]", 200) as uri:
        yield uri


@contextmanager
def locked(place):
    shutil.copy(place / "sound.db", place / "locked.db")
    with closing(sqlite3.connect(place / "locked.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield f"sqlite:///{place}/locked.db"


@contextmanager
def corrupt(place):
    shutil.copy(place / "sound.db", place / "corrupt.db")
    with (place / "corrupt.db").open("r+b") as file:
        file.write(b"\x00garbage" * 512)
    yield f"sqlite:///{place}/corrupt.db"


@contextmanager
def of_schema(place, revision):
    shutil.copy(place / "sound.db", place / "schema.db")
    with closing(sqlite3.connect(place / "schema.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", [revision])
    yield f"sqlite:///{place}/schema.db"


def old_schema(place):
    return of_schema(place, "90e64c465722")


def newer_schema(place):
    return of_schema(place, "ffffffffffff")


@contextmanager
def no_folder(place):
    (place / "file").touch()
    yield f"sqlite:///{place}/file/mlflow.db"


SLOW = pytest.mark.slow
FAULTS = [
    pytest.param(failing, "it answered with error 500", id="failing"),
    pytest.param(corrupt, "the database is damaged", id="corrupt", marks=pytest.mark.long),
    pytest.param(refusing, "nothing answers there", id="refusing", marks=SLOW),
    pytest.param(nonsense, "", id="nonsense", marks=SLOW),
    pytest.param(hanging, "it did not answer in time", id="hanging", marks=SLOW),
    pytest.param(locked, "locked by another process", id="locked", marks=SLOW),
    pytest.param(old_schema, "mlflow db upgrade", id="old", marks=SLOW),
    pytest.param(newer_schema, "upgrade MLflow", id="newer", marks=SLOW),
    pytest.param(no_folder, "file: File exists", id="no folder", marks=SLOW),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_a_fault_of_the_store_changes_and_loses_nothing(
    place, untroubled, monkeypatch, fault, reason, run_cli
):
    with fault(place) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        result, warnings = run()
        check_commands(run_cli, result)
    assert weights_sha256(result) == untroubled
    assert reason in warnings[-1]
    kept = Journal.read(result.folder)
    metrics = sum(len(entry["values"]) for entry in kept.entries if entry["kind"] == "metrics")
    assert (
        f"{len(kept.entries)} log entries ({metrics} metrics) could not be uploaded" in warnings[-1]
    )
    assert kept.sent == 0
    check_it_comes_in_the_end(place, kept)


def check_commands(run_cli, result):
    """Each ends with what it can do without the store, or with a sentence."""
    for arguments, code in [
        (("compare",), 0),
        (("doctor",), 1),
        (("ui",), None),
        (("predict", "last", "missing.png"), 2),
        (("predict", "nothing", "missing.png"), None),
        (("evaluate", "last", "--data", "missing"), 2),
        (("register", "last"), None),
    ]:
        ended = run_cli(*arguments)
        assert "Traceback" not in ended.stderr
        assert "Error:" not in ended.stdout
        assert ended.exit_code in ((0, 1, 2) if code is None else (code,)), arguments


def check_it_comes_in_the_end(place, kept):
    """A sound database at the journal's address gets each metric of each step once."""
    import mlflow

    state = json.loads((kept.folder / "tracking.json").read_text())
    uri = f"sqlite:///{place}/sound.db"
    (kept.folder / "tracking.json").write_text(json.dumps(state | {"uri": uri}))
    assert len(send_pending(runs_folder())) == 1
    client = mlflow.MlflowClient(uri)
    [stored] = client.search_runs([e.experiment_id for e in client.search_experiments()])
    steps = {
        (metric.key, metric.step)
        for key in stored.data.metrics
        for metric in client.get_metric_history(stored.info.run_id, key)
    }
    assert {(name.replace("@", "_"), step) for name, step in kept.logged()} == steps
    assert stored.info.status == "FINISHED"
    assert len(stored.outputs.model_outputs) == 1


class Clock(Observer):
    """The processor time of all threads at the end of each epoch."""

    def __init__(self):
        self.times = []

    def epoch(self, epoch, total):
        self.times.append(time.process_time())


@SLOW
@pytest.mark.parametrize("fault", [failing, hanging, locked])
def test_an_epoch_takes_at_most_5_percent_longer(place, monkeypatch, fault):
    overrides = {"stages.0.epochs": 20, "dataset.train": 200}
    experiment = load_experiment("shapes.toml", overrides)
    seconds = {sound: [], fault: []}
    for store, measured in 4 * list(seconds.items()):
        with store(place) as uri:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
            clock = Clock()
            run_experiment(experiment, clock, fresh=True)
            measured += [after - before for before, after in pairwise(clock.times)]
    least = {store: quantiles(measured, n=4)[0] for store, measured in seconds.items()}
    assert least[fault] < 1.05 * least[sound], seconds


CANARY = "canary-5f0c1d"


@pytest.mark.parametrize(
    "fault", [pytest.param(failing, id="server"), pytest.param(None, id="db", marks=SLOW)]
)
def test_no_secret_is_written_down(place, untroubled, monkeypatch, fault, run_cli):
    for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, f"{CANARY}-{name}")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "user")
    with (fault or sound)(place) as uri:
        if fault:
            login = f"http://user:{CANARY}-password@"
            uri = f"{uri.replace('http://', login)}?token={CANARY}-query"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        result, warnings = run()
        said = [run_cli(command) for command in ("compare", "doctor")]
    assert not any(CANARY in message for message in warnings)
    assert not any(CANARY in ended.stdout + ended.stderr for ended in said)
    written = [file for file in place.rglob("*") if file.is_file()]
    assert result.folder / "experiment.toml" in written
    assert [file for file in written if CANARY.encode() in file.read_bytes()] == []


def test_a_secret_in_an_error_is_not_written_down(place, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", CANARY)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}/sound.db")
    monkeypatch.setattr("kerascnn.run.runner.record_start", fail_with_canary)
    with pytest.raises(Exception, match="canary"):
        run()
    [folder] = runs_folder().iterdir()
    assert CANARY not in (folder / "tracking.jsonl").read_text()
    assert "GET with ***" in (folder / "tracking.jsonl").read_text()


def fail_with_canary(*_):
    raise ValueError(f"GET with {CANARY}")


def test_scrubbed(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:p%40ssword@host/x?token=abcdefgh")
    monkeypatch.setenv("SHORT_TOKEN", "on")
    monkeypatch.setenv("KEY_FILE_TOKEN", "/run/secrets/token")
    text = "p@ssword p%40ssword abcdefgh on /run/secrets/token https://host/x"
    assert scrubbed(text) == "*** *** *** on /run/secrets/token https://host/x"
    assert shown_uri("https://me:p%40ssword@host/x?token=abcdefgh") == "https://host/x"


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"MLFLOW_TRACKING_URI": "databricks"}, "pip install databricks-sdk"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///q.db?timeout=30"}, "q.db?timeout=30 is locked"),
        ({"BACKEND_URI": "postgresql://mlflow:mlflow@db/mlflow"}, "`mlflow db upgrade`"),
        ({"DB_PASSWORD": "databricks"}, "pip install databricks-sdk"),
    ],
)
def test_names_that_are_no_secrets_stay_as_they_are(monkeypatch, variables, text):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert scrubbed(text) == text


def test_a_secret_is_hidden_inside_other_text_too(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "dapi0123")
    monkeypatch.setenv("DB_PASSWORD", "swordfish")
    monkeypatch.setenv("BACKEND_URI", "user:t0psecret@db/x")
    assert scrubbed("xdapi0123x swordfish! t0psecret") == "x***x ***! ***"


@SLOW
def test_eight_processes_start_at_once_on_a_fresh_store(place):
    """Each does what a run does first, and logs a step."""
    code = (
        "from pathlib import Path; from kerascnn.tracking.tracker import Tracker\n"
        "with Tracker('shapes', 'a run', Path('kerascnn-runs')) as tracker:\n"
        "    tracker.open()\n"
        "    tracker.metrics({'val_accuracy': 0.5}, step=1)\n"
        "print(tracker.unsent or 'sent')"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    said = [process.communicate()[0].strip() for process in started]
    assert all(process.returncode == 0 for process in started)
    send_pending(runs_folder())
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{place}/mlflow.db")
    experiment = client.get_experiment_by_name("shapes")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.data.metrics for run in runs] == [{"val_accuracy": 0.5}] * 8, said


@contextmanager
def mlflow_server(place, port):
    """MLflow's own server on a database and a folder for artifacts."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{place}/sound.db", "--workers", "1"]
    command += ["--artifacts-destination", str(place / "artifacts")]
    server = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 9)
        server.wait()


class Dying(Observer):
    """Ends the server with the second epoch."""

    def __init__(self, server):
        self.server = server
        self.warnings = []

    def epoch(self, epoch, total):
        if epoch.number == 2:
            self.server.__exit__(None, None, None)

    def warned(self, message):
        self.warnings.append(message)


@SLOW
def test_a_server_that_dies_and_comes_back_has_everything_once(
    place, untroubled, monkeypatch, run_cli
):
    import mlflow

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = mlflow_server(place, port)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.__enter__())
    watching = Dying(server)
    result = run_experiment(load_experiment("shapes.toml"), watching, fresh=True)
    assert weights_sha256(result) == untroubled
    assert "could not be uploaded" in watching.warnings[-1]
    with mlflow_server(place, port) as uri:
        assert len(send_pending(runs_folder())) == 1
        client = mlflow.MlflowClient(uri)
        epochs = client.get_metric_history(result.run_id, "val_accuracy")
        assert [metric.step for metric in epochs[:3]] == [1, 2, 3]
        assert client.get_run(result.run_id).info.status == "FINISHED"
        check_registry_of_a_server(place, result, run_cli)


def check_registry_of_a_server(place, result, run_cli):
    assert run_cli("register", "last", "--alias", "champion").exit_code == 0
    shutil.rmtree(place / RUNS)  # as on another machine
    ended = run_cli("predict", "models:/shapes@champion", "missing.png")
    assert "missing.png" in ended.stderr
    assert (place / RUNS / result.run_id / "model" / "data" / "model.keras").is_file()
