"""The built-in engine; tests/test_testing.py has it under the checks of all engines."""

import os

import pytest

from kerascnn import InputError, Launched
from kerascnn.components.builtin import engines
from kerascnn.components.builtin.launchers import first_host, launched


@pytest.fixture
def started(monkeypatch):
    """The environment variables of every process that is started, none of which exists."""
    variables = []
    monkeypatch.setattr(engines, "BackgroundProcess", variables.append)
    return variables


@pytest.mark.parametrize(
    ("devices", "processes", "expected"),
    [
        ("0,3", None, ["0", "3"]),
        ("0,3", 1, ["0"]),
        ("0,3", 3, ["0", "3", "0"]),
        ("-1", None, [None]),
        ("", 2, [None, None]),
    ],
)
def test_each_process_has_one_gpu(monkeypatch, started, devices, processes, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    engine = engines.build_local(engines.NoParams(), processes=processes)
    for place in range(engine.places):
        engine.start(place)
    assert [variables.get("CUDA_VISIBLE_DEVICES") for variables in started] == expected
    assert engine.hosts == 1


TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "8",
    "MASTER_ADDR": "gpu07",
    "MASTER_PORT": "29500",
    "LOCAL_WORLD_SIZE": "4",
    "TORCHELASTIC_RESTART_COUNT": "1",
}
JAX = {
    "JAX_COORDINATOR_ADDRESS": "gpu07:1234",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": "1",
}
SLURM = {
    "SLURM_JOB_ID": "4097",
    "SLURM_STEP_NODELIST": "gpu[07-09,12],cpu1",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5",
}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (TORCHRUN, Launched(3, 8, ("gpu07", 29501), on_host=4, attempt=1)),
        (JAX, Launched(1, 2, ("gpu07", 1234))),
        (SLURM, Launched(5, 8, ("gpu07", 61441))),
        ({**SLURM, **TORCHRUN}, Launched(3, 8, ("gpu07", 29501), on_host=4, attempt=1)),
        ({"SLURM_JOB_ID": "7"}, None),
    ],
)
def test_launchers_say_which_process_this_is(variables, expected):
    assert launched(variables) == expected


@pytest.mark.parametrize("nodes", ["gpu07", "gpu07,cpu1", "gpu[07-09]", "gpu[07,12],cpu1"])
def test_the_first_host_of_slurm(nodes):
    assert first_host(nodes) == "gpu07"


def test_each_launched_process_has_one_gpu_of_its_host(monkeypatch):
    for name, value in {**TORCHRUN, "LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "4,5"}.items():
        monkeypatch.setenv(name, value)
    engines.build_environment(engines.NoParams(), processes=None)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    with pytest.raises(InputError, match=r"2 processes are asked for, .* started 8"):
        engines.build_environment(engines.NoParams(), processes=2)
