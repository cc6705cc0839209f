"""A run's journal, and the tracker that writes and sends it."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kerascnn.errors import InputError, ResumeError
from kerascnn.runtime.beside import Beside
from kerascnn.runtime.redact import shown_uri
from kerascnn.tracking import journal
from kerascnn.tracking.artifacts import local_path
from kerascnn.tracking.entries import FAILURE, PARENT
from kerascnn.tracking.journal import Journal, send_pending
from kerascnn.tracking.store import TAG
from kerascnn.tracking.tracker import Tracker


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
    with Tracker("experiment", "a run", runs) as tracker:
        run_id, folder = tracker.open()
        tracker.params({f"key.{i}": i for i in range(150)})
        for epoch in range(1, epochs + 1):
            tracker.metrics({"val_accuracy": epoch / 10, "learning_rate": 1e-3}, step=epoch)
        (folder / "predictions.csv").write_text("image,label\n")
        tracker.artifact(folder / "predictions.csv")
    return run_id, folder, tracker.unsent


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
    assert run.data.tags[TAG] == run_id


@pytest.mark.long  # another process imports MLflow
@pytest.mark.parametrize("killed", [False, True])
def test_nothing_that_another_process_uploads_is_lost(store, runs, monkeypatch, killed):
    beside = Beside("absent")
    monkeypatch.setattr("kerascnn.tracking.tracker.Beside", lambda _: beside)
    with Tracker("experiment", "a run", runs) as tracker:
        run_id, _ = tracker.open()
        for epoch in range(1, 201):
            tracker.metrics({"val_accuracy": epoch / 1000}, step=epoch)
            if killed and epoch == 100:
                beside._process._process.kill()
    assert tracker.unsent is None
    assert history(store, run_id) == [(epoch, epoch / 1000) for epoch in range(1, 201)]
    assert store.get_run(run_id).info.status == "FINISHED"


def test_artifacts_of_a_local_store_lie_beside_it(store, runs, tmp_path):
    run_id, _, _ = track(runs)
    assert store.get_run(run_id).info.artifact_uri.startswith((tmp_path / "mlartifacts").as_uri())


def test_sending_again_logs_each_step_once(store, runs):
    run_id, folder, _ = track(runs)
    kept = Journal.read(folder)
    kept.sent = 1  # all but the creation of the run
    kept.send()
    assert history(store, run_id) == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_a_store_that_comes_back_gets_everything(fresh_database, runs, tmp_path, monkeypatch):
    import mlflow

    database = tmp_path / "elsewhere" / "mlflow.db"
    uri = f"sqlite:///{database}"
    (tmp_path / "elsewhere").touch()  # a file where the folder should be
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run_id, _, unsent = track(runs)
    assert "kept in" in unsent
    [counted] = send_pending(runs)
    assert counted == f"1 run still to upload to {database}; `kerascnn runs send` says why."
    [kept] = send_pending(runs, why=True)
    assert "log entries (6 metrics) of 1 run not yet uploaded: " in kept
    (tmp_path / "elsewhere").unlink()
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(fresh_database, tmp_path / "elsewhere")
    assert len(send_pending(runs)) == 1
    client = mlflow.MlflowClient(uri)
    [experiment] = [e for e in client.search_experiments() if e.name == "experiment"]
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.tags[TAG] == run_id
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
        with Tracker("experiment", "a run", runs) as tracker:
            tracker.open()
            start = time.perf_counter()
            for step in range(100):
                tracker.metrics({"loss": 1.0}, step=step)
            assert time.perf_counter() - start < 1
        assert tracker.unsent is not None


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


def cut_last_line(folder, left=10):
    """As a kill in the middle of writing it leaves the journal."""
    file = folder / journal.JOURNAL
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:left])


def set_state(folder, **values):
    state = json.loads((folder / journal.STATE).read_text())
    (folder / journal.STATE).write_text(json.dumps(state | values))


def test_a_line_that_a_kill_cut_off_is_as_if_never_written(store, runs):
    _, folder, _ = track(runs)
    cut_last_line(folder)
    kept = Journal.read(folder)
    assert kept.entries[-1]["kind"] == "artifact"
    assert not kept.ended
    kept.add("metrics", values={"late": 1.0}, step=4)
    assert Journal.read(folder).entries == kept.entries


@pytest.mark.parametrize("line", [b"{", b"\xff\xfe", b"[1]", b"", b"null"])
def test_a_damaged_line_is_counted_and_stops_no_other(store, runs, line):
    run_id, folder, _ = track(runs)
    lines = (folder / journal.JOURNAL).read_bytes().splitlines()
    [second] = [i for i, text in enumerate(lines) if b'"step": 2' in text]
    (folder / journal.JOURNAL).write_bytes(
        b"\n".join([*lines[:second], line, *lines[second:]]) + b"\n"
    )
    set_state(folder, sent=second, complete=False)
    sent, refused = send_pending(runs)
    assert run_id[:8] in sent
    assert "refused 1 log entry of" in refused
    assert "damaged: the line is damaged" in refused
    assert history(store, run_id) == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert send_pending(runs) == []


@pytest.mark.parametrize("state", ["", "{", "[]", '{"sent": 0, "mlflow_id": null}'])
def test_without_its_state_a_journal_is_sent_again_to_the_same_run(store, runs, state):
    run_id, folder, _ = track(runs)
    (folder / journal.STATE).write_text(state)
    assert len(send_pending(runs)) == 1
    [run] = store.search_runs(["1"])
    assert run.info.run_id == run_id
    assert history(store, run_id) == [(1, 0.1), (2, 0.2), (3, 0.3)]


@contextmanager
def tracked(runs, **options):
    """A run that has logged a step."""
    with Tracker("experiment", "a run", runs, **options) as tracker:
        run_id, folder = tracker.open()
        tracker.metrics({"val_accuracy": 0.1}, step=1)
        yield tracker, run_id, folder


def test_a_run_at_work_is_left_alone(store, runs, monkeypatch):
    with tracked(runs) as (_, _, folder):
        set_state(folder, sent=0)
        assert send_pending(runs) == []
        monkeypatch.setattr("kerascnn.tracking.log.LOCK_SECONDS", 0.1)
        again = Tracker("experiment", "a run", runs, resume=folder)
        with pytest.raises(InputError, match="in use by process"), again:
            pytest.fail("entered")


KILLED = """
import os, sys
from pathlib import Path
from kerascnn.tracking.tracker import Tracker
with Tracker("experiment", "a run", Path(sys.argv[1])) as tracker:
    tracker.open()
    tracker.metrics({"val_accuracy": 0.1}, step=1)
    os.kill(os.getpid(), 9)
"""


def test_a_killed_run_is_completed_and_ended_by_the_next_command(store, runs):
    subprocess.run([sys.executable, "-c", KILLED, str(runs)], check=False)
    [folder] = runs.iterdir()
    assert len(send_pending(runs)) == 1
    [run] = store.search_runs(["1"])
    assert run.info.status == "KILLED"
    assert run.info.end_time == Journal.read(folder).entries[-2]["time"]
    assert history(store, run.info.run_id) == [(1, 0.1)]
    assert send_pending(runs) == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "FINISHED"),
        (KeyboardInterrupt, "KILLED"),
        (ResumeError, "KILLED"),
        (OSError, "FAILED"),
    ],
)
def test_a_run_ends_as_its_block_ends(store, runs, error, status):
    with suppress(BaseException), tracked(runs) as (_, run_id, _):
        if error:
            raise error
    assert store.get_run(run_id).info.status == status
    assert (FAILURE in store.get_run(run_id).data.tags) == (status == "FAILED")


def test_a_block_that_ends_before_the_run_began_leaves_nothing_and_an_old_run_as_it_was(
    store, runs
):
    with suppress(ZeroDivisionError), Tracker("experiment", "a run", runs):
        raise ZeroDivisionError
    assert not runs.exists()
    _, folder, _ = track(runs)
    before = (folder / journal.JOURNAL).read_bytes()
    with suppress(ZeroDivisionError), Tracker("experiment", "", runs, resume=folder):
        raise ZeroDivisionError
    assert (folder / journal.JOURNAL).read_bytes() == before
    with Tracker("experiment", "", runs, resume=folder) as again:  # which nobody holds
        assert again.open()[1] == folder


def test_a_run_that_goes_on_logs_each_step_once(store, runs):
    with suppress(ZeroDivisionError), tracked(runs) as (_, run_id, folder):
        raise ZeroDivisionError("it stopped")
    assert store.get_run(run_id).info.status == "FAILED"
    assert store.get_run(run_id).data.tags[FAILURE] == "ZeroDivisionError: it stopped"
    with tracked(runs, resume=folder) as (again, same_id, same_folder):
        again.metrics({"val_accuracy": 0.2, "train_loss": 1.0}, step=2)
    assert again.unsent is None
    assert (same_id, same_folder) == (run_id, folder)
    assert history(store, run_id) == [(1, 0.1), (2, 0.2)]
    assert store.get_run(run_id).info.status == "FINISHED"
    assert FAILURE not in store.get_run(run_id).data.tags


def test_what_the_store_refuses_stops_nothing_else_and_is_counted(store, runs):
    with tracked(runs) as (tracker, run_id, folder):
        tracker.params({"seed": 1})
        tracker.params({"seed": 2})  # MLflow's params are written once
        tracker.artifact(folder / "missing.csv")
        tracker.metrics({"val_accuracy@1 (top)": 0.2, "val_accuracy": 0.2}, step=2)
    assert "refused 2 log entries of" in tracker.unsent
    assert "params: " in tracker.unsent
    assert history(store, run_id) == [(1, 0.1), (2, 0.2)]
    assert "val_accuracy_1 _top_" in store.get_run(run_id).data.metrics
    assert store.get_run(run_id).info.status == "FINISHED"


def test_a_disk_that_is_full_for_a_while_stops_nothing(store, runs):
    with tracked(runs) as (tracker, run_id, folder):
        kept = (folder / journal.JOURNAL).rename(folder / "aside")
        (folder / journal.JOURNAL).mkdir()  # cannot be written to
        tracker.metrics({"val_accuracy": 0.2}, step=2)
        (folder / journal.JOURNAL).rmdir()
        kept.rename(folder / journal.JOURNAL)
        tracker.metrics({"val_accuracy": 0.3}, step=3)
    assert tracker.unsent is None
    assert history(store, run_id) == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert Journal.read(folder).logged() == {("val_accuracy", step) for step in (1, 2, 3)}


def test_what_is_neither_sent_nor_written_is_counted(runs, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with tracked(runs) as (tracker, _, folder):
            (folder / journal.JOURNAL).unlink()
            (folder / journal.JOURNAL).mkdir()  # cannot be written to
            tracker.metrics({"val_accuracy": 0.2}, step=2)
    assert f"The last 2 entries could not be written to {folder} either." in tracker.unsent


def test_a_model_that_is_sent_again_is_there_once(store, runs):
    with tracked(runs) as (tracker, run_id, folder):
        (folder / "model").mkdir()
        (folder / "model" / "MLmodel").write_text("flavors: {}")
        tracker.model(folder / "model")
    set_state(folder, sent=0, complete=False)
    assert len(send_pending(runs)) == 1
    assert len(store.search_logged_models(["1"])) == 1
    assert len(store.get_run(run_id).outputs.model_outputs) == 1


def test_runs_are_shown_under_their_parent(store, runs):
    with tracked(runs) as (parent, parent_id, _):
        with tracked(runs, parent=parent_id) as (_, child_id, _), tracked(runs) as (_, other_id, _):
            pass
        parent.nest([other_id])
    for run_id in (child_id, other_id):
        assert store.get_run(run_id).data.tags[PARENT] == parent_id


def test_a_folder_that_cannot_be_written_to_is_an_error_of_the_input(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a writable directory"):
        Tracker("experiment", "a run", tmp_path / "file" / "kerascnn-runs")


@pytest.fixture
def away(tmp_path, monkeypatch):
    """The address of a server that is away, with a password."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://me:password@127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        yield uri


@pytest.fixture
def local(fresh_database, tmp_path, monkeypatch):
    """Makes a local store that of the environment; gives its address and a client of it."""
    import mlflow

    def use():
        database = shutil.copy(fresh_database, tmp_path / "local.db")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
        return f"sqlite:///{database}", mlflow.MlflowClient(f"sqlite:///{database}")

    return use


def experiments(client):
    return {experiment.name for experiment in client.search_experiments()}


@pytest.mark.parametrize("state", ["as it was", "lost"])
def test_a_run_kept_for_one_store_is_sent_to_no_other(away, local, runs, state):
    _, folder, _ = track(runs)
    if state == "lost":
        (folder / journal.STATE).unlink(missing_ok=True)
    _, client = local()
    told = send_pending(runs, why=True)
    assert shown_uri(away) in told[0]
    assert "password" not in told[0]
    assert experiments(client) == {"Default"}
    assert shown_uri(Journal.read(folder).uri) == shown_uri(away)


def test_an_address_whose_login_is_gone_is_said_to_need_it(away, local, runs):
    track(runs)
    local()
    [told] = send_pending(runs, why=True)
    assert "set MLFLOW_TRACKING_URI to the whole address" in told


def test_another_store_takes_a_kept_run_when_asked_to(away, local, runs, run_cli, monkeypatch):
    run_id, _, _ = track(runs)
    uri, client = local()
    monkeypatch.chdir(runs.parent)
    answer = run_cli("runs", "send", "--to", uri)
    assert answer.exit_code == 0, answer.stderr
    assert "uploaded" in answer.stdout
    assert "local.db" in answer.stdout
    [run] = client.search_runs([client.get_experiment_by_name("experiment").experiment_id])
    assert history(client, run.info.run_id) == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert run.data.tags[TAG] == run_id
    assert run_cli("runs", "send").stdout.startswith("nothing to upload")


def test_a_run_that_goes_on_keeps_its_store(away, local, runs):
    with suppress(KeyboardInterrupt), tracked(runs) as (_, _, folder):
        raise KeyboardInterrupt
    local()
    with tracked(runs, resume=folder) as (again, _, _):
        assert again.store == shown_uri(away)


def test_why_a_store_takes_nothing_is_told_once_and_then_counted(away, runs):
    _, folder, _ = track(runs)
    [counted] = send_pending(runs)
    assert counted.startswith("1 run still to upload to http://127.0.0.1")
    assert "nothing answers" in Journal.read(folder).told
    track(runs)
    [counted] = send_pending(runs)
    assert counted.startswith("2 runs still to upload")
    [said] = send_pending(runs, why=True)
    assert "nothing answers there" in said


WRONG = {
    "htp://host": 'MLflow has no store for "htp". Did you mean "http"?',
    "postgres://host/db": 'Did you mean "postgresql"?',
    "sqlite://mlflow.db": "three slashes: sqlite:///PATH",
    "./mlruns": "`mlflow migrate-filestore` moves old runs",
    "file:///tmp/mlruns": "MLFLOW_ALLOW_FILE_STORE=true allows the folder again",
}


@pytest.mark.parametrize(("uri", "remedy"), WRONG.items())
def test_an_address_that_no_store_can_have_is_refused_at_once(runs, monkeypatch, uri, remedy):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(InputError) as refused:
        Tracker("experiment", "a run", runs)
    assert remedy in str(refused.value)
    assert not runs.exists()


def test_a_deleted_experiment_is_told_at_once_with_the_way_back(store, runs):
    track(runs)
    experiment = store.get_experiment_by_name("experiment").experiment_id
    store.delete_experiment(experiment)
    with tracked(runs) as (tracker, run_id, folder):
        assert f"`mlflow experiments restore --experiment-id {experiment}`" in tracker.untracked()
        assert "later" not in tracker.untracked()
    assert f"They are kept in {folder}; fix this, then `kerascnn runs send`" in tracker.unsent
    store.restore_experiment(experiment)
    assert len(send_pending(runs)) == 1
    found = store.search_runs([experiment], f"tags.`{TAG}` = '{run_id}'")
    assert history(store, found[0].info.run_id) == [(1, 0.1)]


def test_what_a_deleted_run_logs_is_kept_until_the_run_is_restored(store, runs):
    with tracked(runs) as (tracker, run_id, _):
        while not history(store, run_id):
            time.sleep(0.01)
        store.delete_run(run_id)
        tracker.metrics({"val_accuracy": 0.2}, step=2)
    assert f"`mlflow runs restore --run-id {run_id}`" in tracker.unsent
    store.restore_run(run_id)
    send_pending(runs)
    assert history(store, run_id) == [(1, 0.1), (2, 0.2)]
    assert store.get_run(run_id).info.status == "FINISHED"


def test_a_project_that_was_moved_gets_what_was_kept_in_it(fresh_database, tmp_path, monkeypatch):
    import mlflow

    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{old}/mlflow.db")
    with tracked(old / "kerascnn-runs") as (_, _, folder):
        pass
    set_state(folder, sent=0, mlflow_id=None, complete=False)
    shutil.copy(fresh_database, old / "mlflow.db")
    old.rename(new)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{new}/mlflow.db")
    assert len(send_pending(new / "kerascnn-runs")) == 1
    assert not old.exists()
    assert "experiment" in experiments(mlflow.MlflowClient(f"sqlite:///{new}/mlflow.db"))


def test_the_model_is_on_the_disk_once_and_outlives_either_name(store, runs):
    with tracked(runs) as (tracker, run_id, folder):
        (folder / "model" / "data").mkdir(parents=True)
        (folder / "model" / "data" / "model.keras").write_text("weights")
        tracker.model(folder / "model")
    assert tracker.unsent is None
    [output] = store.get_run(run_id).outputs.model_outputs
    logged = local_path(store.get_logged_model(output.model_id).artifact_location)
    assert (logged / "data" / "model.keras").samefile(folder / "model" / "data" / "model.keras")
    shutil.rmtree(folder / "model")
    assert (logged / "data" / "model.keras").read_text() == "weights"


def test_a_disk_without_links_has_the_model_twice(store, runs, monkeypatch):
    def refuse(*_):
        raise OSError("Operation not supported")

    monkeypatch.setattr("os.link", refuse)
    with tracked(runs) as (tracker, run_id, folder):
        (folder / "model").mkdir()
        (folder / "model" / "MLmodel").write_text("flavors: {}")
        tracker.model(folder / "model")
    assert tracker.unsent is None
    [output] = store.get_run(run_id).outputs.model_outputs
    logged = local_path(store.get_logged_model(output.model_id).artifact_location)
    assert (logged / "MLmodel").read_text() == "flavors: {}"
