"""Addresses of stores: SQLite's lead to the file that was meant, whatever characters it has."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kerascnn.runtime.address import displayed, sqlite_file, sqlite_uri, tracking_uri
from kerascnn.tracking.artifacts import artifacts_of
from kerascnn.tracking.entries import create_run, send
from kerascnn.tracking.store import open_store

NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))


@given(st.lists(NAMES, min_size=1, max_size=4), st.booleans())
@settings(deadline=None)  # SQLAlchemy is imported by the first
def test_an_address_leads_back_to_its_path(names, absolute):
    path = Path("/" if absolute else "", *names)
    assert sqlite_file(sqlite_uri(path)) == path


@example(name="a?b")
@example(name="50%20off#")
@given(name=NAMES)
@settings(max_examples=20, deadline=None)
def test_sqlite_opens_the_file_that_was_meant(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("store") / name
    folder.mkdir()
    engine = sqlalchemy.create_engine(sqlite_uri(folder / "q.db"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE made (x)")
    engine.dispose()
    assert [file.name for file in folder.iterdir()] == ["q.db"]


@pytest.mark.parametrize("name", ["a?b=c", "50%20off", "x#y", "ü 花"])
def test_mlflow_keeps_everything_in_a_folder_of_any_name(fresh_database, tmp_path, name):
    project = tmp_path / "place" / name
    project.mkdir(parents=True)
    database = Path(shutil.copy(fresh_database, project / "mlflow.db"))
    (project / "file.txt").write_text("kept")
    entry = {"run": "a" * 32, "experiment": "e", "name": "n", "time": 1}
    uri = sqlite_uri(database)
    with open_store(uri) as client:
        run_id = create_run(client, uri, entry, "a" * 32)
        send(client, run_id, {"kind": "artifact", "path": "file.txt"}, project)
        assert [file.path for file in client.list_artifacts(run_id)] == ["file.txt"]
    assert (artifacts_of(database) / run_id / "artifacts" / "file.txt").read_text() == "kept"
    assert list((tmp_path / "place").iterdir()) == [project]
    assert displayed(uri) == str(database)


def test_the_query_of_an_address_is_no_part_of_the_name(fresh_database, workplace, monkeypatch):
    shutil.copy(fresh_database, "q.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///q.db?timeout=30")
    with open_store(tracking_uri()) as client:
        assert client.search_experiments()
    assert tracking_uri() == f"sqlite:///{workplace}/q.db?timeout=30"
    assert {file.name for file in workplace.iterdir()} == {"q.db", "q.db.lock"}


def test_the_default_is_beside_the_runs(workplace):
    assert tracking_uri() == f"sqlite:///{workplace}/mlflow.db"
