"""Runs that are killed and go on: they end as the one that was never killed, to the last bit.

command   KERAS_BACKEND=tensorflow pytest -m endurance tests/endurance
          KERASCNN_KILLS: how many random moments, 200 by default, a fifth of them in each phase
last      on one busy core each, TensorFlow 2.21: 301 of 301 in 93 min: 91 at steps on the disk,
          40 each in checkpoints, at stage changes and in validation, 80 at random moments, 10 runs
          killed twenty times. With KERASCNN_KILLS=40 PyTorch 63 of 63 in 8 min; JAX 63 of 63 in
          11 min, compiling quickly as `.ci/run` has it
"""

import json
import os
import random
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from two_stages import outcome_of, two_stages

sys.path.insert(0, str(Path(__file__).parent))
from killing import PHASES, Killing

pytestmark = pytest.mark.endurance

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
KILLS = int(os.environ.get("KERASCNN_KILLS", "200"))
CHAINED = 20
STEPS = 264  # on the disk: of checkpoints, stored stages and packed images
EXPERIMENT = two_stages(
    "kills",
    training="checkpoint_seconds = 0",
    head='schedule = "plateau"',
    rest='optimizer = "adamw"\nema_fraction = 0.3',
)


@pytest.fixture(scope="module")
def killing():
    with_all_imported = Killing(BACKEND)
    yield with_all_imported
    with_all_imported.close()


@pytest.fixture
def place(tmp_path, fresh_database):
    return make_place(tmp_path, fresh_database)


def make_place(folder, database):
    (folder / "kills.toml").write_text(EXPERIMENT)
    shutil.copy(database, folder / "mlflow.db")
    return folder


@pytest.fixture(scope="module")
def undisturbed(killing, tmp_path_factory, fresh_database):
    """How the run ends that nobody kills, and how long it takes."""
    folder = make_place(tmp_path_factory.mktemp("undisturbed"), fresh_database)
    status, said = killing.run(folder, "run", "kills.toml")
    assert status == 0, said
    return outcome(folder)


def outcome(folder):
    """What decides that two runs are the same; each metric is in the store once."""
    [file] = Path(folder).glob("kerascnn-runs/*/result.json")
    result = json.loads(file.read_text())
    with sqlite3.connect(folder / "mlflow.db") as store:
        logged = store.execute("SELECT key, step, count(*) FROM metrics GROUP BY key, step")
        counts = {(key, step): count for key, step, count in logged}
        assert store.execute("SELECT status FROM runs").fetchall() == [("FINISHED",)]
    assert set(counts.values()) == {1}
    ended = outcome_of(result["stages"], result["history"], result["test"])
    return {**ended, "logged": sorted(counts)}


def go_on(killing, folder, fault=None):
    """Resumes the run; one that was killed before it was one begins anew."""
    begun = list(folder.glob("kerascnn-runs/*/experiment.toml"))
    arguments = ["--resume", "last"] if begun else ["kills.toml"]
    if not begun:
        shutil.rmtree(folder / "kerascnn-runs", ignore_errors=True)
        with sqlite3.connect(folder / "mlflow.db") as store:
            for table in ("tags", "params", "metrics", "latest_metrics", "runs"):
                store.execute(f"DELETE FROM {table}")
    return killing.run(folder, "run", *arguments, fault=fault)


def check(killing, folder, undisturbed, fault):
    status, said = killing.run(folder, "run", "kills.toml", fault=fault)
    assert status in (-9, 0), said
    if status:
        status, said = go_on(killing, folder)
        assert status == 0 or "nothing to resume" in said, said  # as it ended before the kill
    assert outcome(folder) == undisturbed


@pytest.mark.parametrize("at", range(1, STEPS, max(1, 2 * STEPS // KILLS)))
def test_at_every_write_fsync_and_rename(killing, place, undisturbed, at):
    check(killing, place, undisturbed, {"at": at})


@pytest.mark.parametrize("at", range(1, 60, max(1, 200 // KILLS)))
def test_at_every_write_and_sync_of_rows(killing, place, undisturbed, at):
    check(killing, place, undisturbed, {"append": at})


@pytest.mark.parametrize("seed", range(KILLS // 5))
@pytest.mark.parametrize("phase", PHASES)
def test_in_every_phase(killing, place, undisturbed, phase, seed):
    rng = random.Random(f"{phase} {seed}")
    number = rng.randint(1, {"checkpoint": 14, "stage": 2, "validation": 4}[phase])
    check(killing, place, undisturbed, {"phase": phase, "number": number, "share": rng.random()})


@pytest.mark.parametrize("seed", range(KILLS - KILLS // 5 * len(PHASES)))
def test_at_random_moments(killing, place, undisturbed, seed):
    check(killing, place, undisturbed, {"seconds": random.Random(seed).uniform(1, 12)})


@pytest.mark.parametrize("seed", range(max(1, KILLS // 20)))
def test_chained(killing, place, undisturbed, seed):
    """Twenty kills in one run, each at a later checkpoint's next step on the disk."""
    rng = random.Random(f"chained {seed}")
    status, said = killing.run(place, "run", "kills.toml", fault={"at": 12})
    for _ in range(CHAINED - 1):
        assert status in (-9, 0), said
        status, said = go_on(killing, place, {"at": rng.randint(1, 11)})
        if status == 0:
            break
    while status:
        status, said = go_on(killing, place)
    assert outcome(place) == undisturbed
