"""What a plugin may register, on real distributions: each breach of the contract is reported."""

import sys

import pytest
from authoring import GOOD, HOOK, IMPORTS, faults_of

from kerascnn.components.registry import load_registry
from kerascnn.experiment.bound import bind_experiment

FAULTS = {
    "import error": ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere"),
    "error of its own": ("1 / 0", "ZeroDivisionError: division by zero"),
    "syntax error": ("def broken(:", "SyntaxError: invalid syntax (kerascnn_bad.py, line 1)"),
    "exit": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "backend at the top": (
        "import jax.numpy",
        "ImportError: plugins must import jax inside build, not at module level",
    ),
    "Keras in the hook": (
        HOOK.format(listed="[__import__('keras')]"),
        "kerascnn_schedules() raised ImportError: plugins must import keras inside build",
    ),
    "message of several lines": ("raise ValueError('a\\n\\n  b')", "ValueError: a b"),
    "no hook": (IMPORTS, "kerascnn_bad implements no hook. Hooks: kerascnn_datasets, "),
    "signature": (
        IMPORTS + "@hookimpl\ndef kerascnn_schedules(config):\n    return []",
        "kerascnn_schedules(config) must take no arguments",
    ),
    "misspelt hook": (
        IMPORTS + "@hookimpl\ndef kerascnn_shedules():\n    return []",
        'unknown hook kerascnn_shedules. Did you mean "kerascnn_schedules"?',
    ),
    "misspelt hook, unmarked": (
        "def kerascnn_schedule():\n    return []",
        'unknown hook kerascnn_schedule. Did you mean "kerascnn_schedules"?',
    ),
    "hook of another name": (
        IMPORTS + "@hookimpl\ndef schedules():\n    return []",
        "unknown hook schedules.",
    ),
    "unmarked hook": (
        "def kerascnn_schedules():\n    return []",
        "kerascnn_schedules lacks @kerascnn.hookimpl",
    ),
    "hook that raises": (HOOK.format(listed="{}['x']"), "kerascnn_schedules() raised KeyError"),
    "hook that exits": (HOOK.format(listed="exit(1)"), "kerascnn_schedules() raised SystemExit"),
    "no return": (HOOK.format(listed="None"), "must return a list of Component, not NoneType"),
    "generator": (HOOK.format(listed="(1 for _ in 'a')"), "a list of Component, not generator"),
    "no component": (HOOK.format(listed="['gentle']"), "must return Component objects, not str"),
    "no build": (HOOK.format(listed="[Component('a', 3)]"), 'build of "a" is not callable'),
    "no params": (
        HOOK.format(listed="[Component('a', print, params=dict)]"),
        'params of "a" must be a subclass of kerascnn.Params',
    ),
    "params made already": (
        HOOK.format(listed="[Component('a', print, params=NoParams())]"),
        'params of "a" must be a subclass of kerascnn.Params',
    ),
    "parameter called name": (
        IMPORTS
        + "class Named(Params):\n    name: str = ''\n"
        + HOOK.format(listed="[Component('a', print, Named)]"),
        'params of "a" must not have a field "name"',
    ),
    "camel case": (
        HOOK.format(listed="[Component('AbC', print)]"),
        "invalid component name 'AbC'; use lowercase letters,",
    ),
    "no text": (
        HOOK.format(listed="[Component(3, print)]"),
        "invalid component name 3; use lowercase letters,",
    ),
    "twins": (
        HOOK.format(listed="[Component('a', print), Component('a', print)]"),
        'registers the schedule "a" 2 times',
    ),
}


@pytest.fixture
def nothing_heavy(monkeypatch):
    """As in a process that begins: what other tests imported is not there."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("keras", "jax"):
            monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(("text", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_broken_plugin_is_noted_and_stops_nothing(
    install, nothing_heavy, shapes_experiment, text, reason
):
    install("kerascnn-bad", text)
    install("kerascnn-gentle", GOOD)
    registry = load_registry()
    [fault] = [f for f in registry.faults if f.origin.distribution == "kerascnn-bad"]
    assert reason in fault.reason
    assert "\n" not in fault.reason
    assert str(fault.origin) == "kerascnn-bad 1.0"
    assert "keras" not in sys.modules
    shapes_experiment["stages"][0]["schedule"] = "gentle"
    assert bind_experiment(shapes_experiment, registry)


@pytest.mark.parametrize(("text", "reason"), FAULTS.values(), ids=FAULTS)
def test_an_experiment_that_needs_a_broken_plugin_gets_one_message(
    install, nothing_heavy, shapes_file, run_cli, text, reason
):
    install("kerascnn-bad", text)
    command = ("run", shapes_file, "--set", "stages.0.schedule=wanted")
    refused = run_cli(*command)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.count("\n") == 1
    home = "a plugin that failed to load: kerascnn-bad 1.0: "
    for part in ('stages.scratch.schedule = "wanted"', home, reason):
        assert part in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "Traceback" in run_cli(*command, "--debug").stderr


def test_a_plugin_may_offer_nothing_here(install):
    install("kerascnn-empty", HOOK.format(listed="[]"))
    assert not faults_of("kerascnn-empty")
