"""The built-in engine; tests/test_testing.py has it under the checks of all engines."""

import pytest

from kerascnn.components.builtin import engines


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
