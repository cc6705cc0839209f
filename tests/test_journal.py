import json
import shutil
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kerascnn import journal, tracking
from kerascnn.journal import Journal, Tracker, send_pending
from kerascnn.tracking import shown_uri


@pytest.fixture
def store(fresh_database, tmp_path, monkeypatch):
    """A client of a fresh local store, which trackers use too."""
    import mlflow

    database = shutil.copy(fresh_database, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    return mlflow.MlflowClient(f"sqlite:///{database}")


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "kerascnn-runs"


def track(runs, epochs=3):
    """Tracks a small run; returns its id, its folder and what could not be sent."""
    tracker = Tracker("experiment", "a run", runs)
    run_id, folder = tracker.open()
    tracker.params({f"key.{i}": i for i in range(150)})
    for epoch in range(1, epochs + 1):
        tracker.metrics({"val_accuracy": epoch / 10, "learning_rate": 1e-3}, step=epoch)
    (folder / "predictions.csv").write_text("image,label\n")
    tracker.artifact(folder / "predictions.csv")
    return run_id, folder, tracker.close()


def history(client, run_id):
    return [(m.step, m.value) for m in client.get_metric_history(run_id, "val_accuracy")]


def test_everything_logged_is_in_the_store(store, runs):
    run_id, folder, unsent = track(runs)
    run = store.get_run(run_id)
    assert unsent is None
    assert folder == runs / run_id
    assert run.info.status == "FINISHED"
    assert len(run.data.params) == 150
    assert history(store, run_id) == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert [a.path for a in store.list_artifacts(run_id)] == ["predictions.csv"]
    assert run.data.tags[tracking.TAG] == run_id


def test_artifacts_of_a_local_store_lie_beside_it(store, runs, tmp_path):
    run_id, _, _ = track(runs)
    assert store.get_run(run_id).info.artifact_uri.startswith(str(tmp_path / "mlartifacts"))


def test_sending_again_logs_each_step_once(store, runs):
    run_id, folder, _ = track(runs)
    kept = Journal.read(folder)
    kept.sent = 1  # all but the creation of the run
    kept.send()
    assert history(store, run_id) == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_a_store_that_comes_back_gets_everything(fresh_database, runs, tmp_path, monkeypatch):
    import mlflow

    uri = f"sqlite:///{tmp_path}/elsewhere/mlflow.db"
    (tmp_path / "elsewhere").touch()  # a file where the folder should be
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run_id, _, unsent = track(runs)
    assert "kept in" in unsent
    assert send_pending(runs) == []
    (tmp_path / "elsewhere").unlink()
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(fresh_database, tmp_path / "elsewhere")
    assert len(send_pending(runs)) == 1
    client = mlflow.MlflowClient(uri)
    [experiment] = [e for e in client.search_experiments() if e.name == "experiment"]
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.tags[tracking.TAG] == run_id
    assert history(client, run.info.run_id) == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert run.info.status == "FINISHED"
    assert send_pending(runs) == []


def test_a_server_that_refuses_costs_little(runs, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{unused.getsockname()[1]}")
        start = time.perf_counter()
        _, folder, unsent = track(runs)
    assert time.perf_counter() - start < 10
    assert str(folder) in unsent
    assert [json.loads(line)["kind"] for line in (folder / journal.JOURNAL).open()][-1] == "end"


def test_a_server_that_hangs_stops_nobody(runs, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        tracker = Tracker("experiment", "a run", runs)
        tracker.open()
        start = time.perf_counter()
        for step in range(100):
            tracker.metrics({"loss": 1.0}, step=step)
        assert time.perf_counter() - start < 1
        assert tracker.close() is not None


def test_a_server_that_fails_is_named_without_its_password(runs, monkeypatch):
    class Failing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(500)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    uri = f"http://user:secret@127.0.0.1:{server.server_port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    _, _, unsent = track(runs)
    server.shutdown()
    server.server_close()
    [folder] = runs.iterdir()
    assert Journal.read(folder).uri == uri
    assert "127.0.0.1" in unsent
    assert "secret" not in unsent
    assert not any("secret" in file.read_text() for file in runs.rglob("*") if file.is_file())


def test_shown_uri():
    assert shown_uri("https://me:pass@host:5000/x") == "https://host:5000/x"
    assert shown_uri("sqlite:////a/b@c.db") == "sqlite:////a/b@c.db"
