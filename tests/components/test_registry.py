"""The registry, on real distributions: a module and its metadata on the path."""

import importlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kerascnn
from kerascnn import InputError, PluginError
from kerascnn.components import registry as plugins
from kerascnn.components.kinds import HOOKS, KINDS
from kerascnn.components.registry import load_registry
from kerascnn.experiment.bound import bind_experiment

IMPORTS = "from kerascnn import Component, NoParams, Params, hookimpl\n"
HOOK = f"""{IMPORTS}
@hookimpl
def kerascnn_schedules():
    return {{listed}}
"""
GOOD = HOOK.format(listed='[Component("gentle", lambda params, **context: None)]')


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution NAME 1.0 whose entry points load the module of its name."""

    def install(name, text, entry_points=None):
        site, module = tmp_path / name, name.replace("-", "_")
        metadata = site / f"{module}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (site / f"{module}.py").write_text(text)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "\n".join(entry_points or [f"{module} = {module}"])
        (metadata / "entry_points.txt").write_text(f"[kerascnn]\n{lines}\n")
        monkeypatch.syspath_prepend(site)
        importlib.invalidate_caches()
        installed.append(module)

    installed = []
    yield install
    for module in installed:
        sys.modules.pop(module, None)


def faults_of(distribution):
    return [f for f in load_registry().faults if f.origin.distribution == distribution]


def test_every_kind_has_built_in_components(registry):
    assert not registry.faults
    for kind in KINDS:
        assert list(registry.of_kind(kind)), kind
    assert all(r.origin.distribution == "kerascnn" for r in registry.unique)


def test_a_plugin_is_found_beside_the_built_in_components(install):
    install("kerascnn-gentle", GOOD)
    registry = load_registry()
    assert str(registry.get("schedule", "gentle").origin) == "kerascnn-gentle 1.0"
    assert registry.get("schedule", "cosine").origin.distribution == "kerascnn"


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


def test_a_slow_import_is_told(install, run_cli, shapes_file, monkeypatch):
    monkeypatch.setattr(plugins, "SLOW_SECONDS", 0.3)
    install("kerascnn-slow", "import time; time.sleep(0.4)\n" + GOOD)
    shown = run_cli("plugins").stdout.partition("slow to import")[2]
    said = r"took \d\.\d s to import, which delays every command"
    assert re.search(rf"kerascnn-slow 1\.0 +{said}\n", shown)
    sys.modules.pop("kerascnn_slow")
    [slow] = json.loads(run_cli("plugins", "--json").stdout)["slow"]
    assert (slow["distribution"], slow["seconds"] > 0.4) == ("kerascnn-slow", True)
    sys.modules.pop("kerascnn_slow")
    told = run_cli("run", shapes_file, "--set", "stages.0.schedule=wanted").stderr
    assert re.match(rf"note: kerascnn-slow 1\.0 {said}\n", told)


LIST = """
import atexit, sys
from kerascnn.cli import main
unneeded = {"keras", "mlflow", "joblib", "numpy", "kerascnn.run.runner", "kerascnn.engine.prepare"}
atexit.register(lambda: print(unneeded & set(sys.modules)))
main()
"""
LIBRARIES = "import click, pydantic.main, rich.console, rich.table"


def test_thirty_packages_are_listed_at_once_and_without_keras(install, tmp_path):
    for number in range(30):
        name = f"kerascnn-gentle-{number}"
        install(name, GOOD.replace("gentle", f"gentle_{number}"))
        shutil.copytree(tmp_path / name, tmp_path / "site", dirs_exist_ok=True)
    path = os.pathsep.join([str(tmp_path / "site"), str(Path(kerascnn.__file__).parents[1])])
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    environment = {**os.environ, **compiled, "PYTHONPATH": path}

    def ended(code):
        """What it prints, and its processor time: the clock's depends on what else is done."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", code, "plugins"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return done.stdout, seconds

    shown, _ = ended(LIST)
    assert "  gentle_29" in shown
    assert shown.endswith("\nset()\n")
    listing, libraries = (min(ended(code)[1] for _ in range(3)) for code in (LIST, LIBRARIES))
    assert listing < 3 * libraries


def test_changed_code_below_a_plugin_is_other_code(install, tmp_path):
    install("kerascnn-deep", "", ["deep = deep"])
    package = tmp_path / "kerascnn-deep" / "deep"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text(GOOD)
    keys = set()
    for rate in ("0.1", "0.2"):
        (package / "inner" / "rates.py").write_text(f"RATE = {rate}")
        keys.add(load_registry().get("schedule", "gentle").bind({}).key)
    sys.modules.pop("deep")
    assert len(keys) == 2


def test_a_plugin_may_offer_nothing_here(install):
    install("kerascnn-empty", HOOK.format(listed="[]"))
    assert not faults_of("kerascnn-empty")


def test_an_entry_point_that_names_no_module_is_said_to(install):
    install("kerascnn-bad", GOOD, ["bad = kerascnn_bat"])
    reason = "ModuleNotFoundError: No module named 'kerascnn_bat' (the module of its entry point)"
    [fault] = faults_of("kerascnn-bad")
    assert fault.reason == f"importing kerascnn_bat: {reason}"


def test_a_broken_plugin_is_shown_and_listing_succeeds(install, run_cli):
    install("kerascnn-bad", "raise RuntimeError('[/bold] not markup')")
    shown = run_cli("plugins")
    assert shown.exit_code == 0
    (line,) = [line for line in shown.stdout.splitlines() if "kerascnn-bad 1.0" in line]
    assert "importing kerascnn_bad: RuntimeError: [/bold] not markup" in line
    document = json.loads(run_cli("plugins", "--json").stdout)
    assert document["faults"] == [
        {
            "entry_point": "kerascnn_bad",
            "distribution": "kerascnn-bad",
            "version": "1.0",
            "reason": "importing kerascnn_bad: RuntimeError: [/bold] not markup",
        }
    ]


def test_an_unknown_component_points_at_the_broken_plugin(install, shapes_experiment):
    install("kerascnn-bad", "import nowhere_to_be_found")
    shapes_experiment["architecture"] = "sequentialcnn"
    with pytest.raises(InputError) as caught:
        bind_experiment(shapes_experiment, load_registry())
    message = str(caught.value)
    assert 'Did you mean "sequential_cnn"?' in message
    assert (
        "It may be in a plugin that failed to load: kerascnn-bad 1.0: importing kerascnn_bad"
        in message
    )
    assert "\n" not in message


def test_a_name_claimed_twice_is_an_error_where_it_is_used(install, shapes_experiment):
    install("kerascnn-first", GOOD)
    install("kerascnn-second", GOOD)
    registry = load_registry()
    assert bind_experiment(shapes_experiment, registry)
    shapes_experiment["stages"][0]["schedule"] = "gentle"
    with pytest.raises(InputError, match="claimed by") as caught:
        bind_experiment(shapes_experiment, registry)
    for part in ('the schedule "gentle"', "kerascnn-first 1.0", "kerascnn-second 1.0", "uninstall"):
        assert part in str(caught.value)
    assert len(registry.conflicts()) == 1


def test_a_plugin_cannot_take_the_name_of_a_built_in_component(install):
    install("kerascnn-cosine", GOOD.replace("gentle", "cosine"))
    with pytest.raises(PluginError, match=r"claimed by kerascnn [\d.]+ and kerascnn-cosine 1.0"):
        load_registry().get("schedule", "cosine")


def test_one_name_may_stand_for_components_of_two_kinds(install):
    install("kerascnn-none", GOOD.replace("gentle", "none"))
    registry = load_registry()
    assert registry.get("schedule", "none").origin.distribution == "kerascnn-none"
    assert registry.get("augmentation", "none").origin.distribution == "kerascnn"


def test_a_package_that_registers_a_name_in_two_entry_points(install):
    install("kerascnn-both", GOOD, ["one = kerascnn_both", "two = kerascnn_both"])
    with pytest.raises(PluginError, match=r'"gentle" is registered twice by .*-both 1\.0'):
        load_registry().get("schedule", "gentle")


def test_an_entry_point_name_shared_by_two_distributions(install):
    install("kerascnn-first", GOOD, ["nice = kerascnn_first"])
    install("kerascnn-second", GOOD.replace("gentle", "steep"), ["nice = kerascnn_second"])
    registry = load_registry()
    shared = [fault for fault in registry.faults if fault.origin.entry_point == "nice"]
    assert [fault.origin.distribution for fault in shared] == ["kerascnn-second", "kerascnn-first"]
    for fault in shared:
        assert 'the entry-point name "nice" is claimed by' in fault.reason
        assert "kerascnn-first 1.0" in fault.reason
        assert "kerascnn-second 1.0" in fault.reason


def test_a_plugin_that_takes_a_built_in_entry_point_name_harms_only_itself(install):
    install("kerascnn-thief", GOOD, ["builtin_schedules = kerascnn_thief"])
    assert len(faults_of("kerascnn-thief")) == 1
    assert load_registry().get("schedule", "cosine")


def test_a_distribution_found_twice_on_the_path_is_one(install, tmp_path, monkeypatch):
    install("kerascnn-gentle", GOOD)
    copy = shutil.copytree(tmp_path / "kerascnn-gentle", tmp_path / "copy")
    monkeypatch.syspath_prepend(copy)
    registry = load_registry()
    assert not faults_of("kerascnn-gentle")
    assert registry.get("schedule", "gentle")


def test_a_package_without_its_metadata_harms_nobody(install, tmp_path):
    install("kerascnn-damaged", GOOD)
    [metadata] = (tmp_path / "kerascnn-damaged").rglob("METADATA")
    metadata.unlink()
    assert load_registry().get("dataset", "shapes")


def test_what_a_plugin_prints_does_not_spoil_the_json(install, run_cli):
    install("kerascnn-loud", "print('hello')\n" + GOOD)
    answer = run_cli("plugins", "--json")
    assert json.loads(answer.stdout)["components"]
    assert "hello" in answer.stderr


PICKY = (
    IMPORTS
    + """
from pydantic import Field, field_validator

class Picky(Params):
    rate: float
    steps: tuple[int, ...] = (1,)
    kind: int | str = 1

    @field_validator("rate")
    def _check(cls, rate):
        return {2.0: rate}[rate]

def build(params, **context):
    raise OSError("disk full")
"""
    + HOOK.format(listed='[Component("picky", build, Picky)]')
)


def test_a_build_that_raises_names_the_package(install):
    install("kerascnn-picky", PICKY)
    bound = load_registry().get("schedule", "picky").bind({"rate": 2, "steps": [1, 2]})
    assert bound.params.steps == (1, 2)
    with pytest.raises(PluginError) as caught:
        bound.build(peak_learning_rate=1, steps=1, steps_per_epoch=1)
    assert str(caught.value) == (
        'schedule "picky" of kerascnn-picky 1.0 failed in build(params, peak_learning_rate=1, '
        "steps=1, steps_per_epoch=1): OSError: disk full"
    )


def test_a_validator_that_fails_names_the_package(install):
    install("kerascnn-picky", PICKY)
    with pytest.raises(PluginError, match=r"picky 1.0 failed while its parameters were validated"):
        load_registry().get("schedule", "picky").bind({"rate": 3})


def test_parameters_are_not_guessed(install, shapes_experiment):
    install("kerascnn-picky", PICKY)
    wrong = {"name": "picky", "rate": "2", "steps": [True], "kind": 1.5}
    shapes_experiment["stages"][0]["schedule"] = wrong
    with pytest.raises(InputError) as caught:
        bind_experiment(shapes_experiment, load_registry())
    assert str(caught.value).splitlines() == [
        'stages.scratch.schedule.rate = "2": expected a number.',
        "stages.scratch.schedule.steps.0 = true: expected an integer.",
        "stages.scratch.schedule.kind = 1.5: expected an integer or a string.",
    ]


WRONG = IMPORTS + "\n".join(
    f"@hookimpl\ndef {hook}():\n    return [Component('wrong', lambda params, **context: 3)]"
    for hook in HOOKS
)
RIGHT = {
    "dataset": "kerascnn.Splits",
    "augmentation": "kerascnn.Augmentation or keras.layers.Layer",
    "architecture": "kerascnn.Network or keras.Model",
    "schedule": "keras.optimizers.schedules.LearningRateSchedule or keras.callbacks.Callback",
}


@pytest.mark.parametrize(("kind", "expected"), RIGHT.items())
def test_a_build_that_returns_something_else_is_named(
    install, workplace, shapes_file, run_cli, kind, expected
):
    install("kerascnn-wrong", WRONG)
    key = "stages.0.schedule" if kind == "schedule" else kind
    ended = run_cli("run", shapes_file, "--set", f"{key}=wrong")
    assert ended.exit_code == 2
    assert ended.stderr.splitlines()[-1] == (
        f'{kind} "wrong" of kerascnn-wrong 1.0: build must return {expected}, not int.'
    )


RAISES = (
    IMPORTS
    + """
from kerascnn import Splits

class Source:
    def __len__(self):
        return 8

    def __getitem__(self, index):
        raise KeyError("no such image")

@hookimpl
def kerascnn_datasets():
    names = ["a", "b"]
    return [Component("raises", lambda params, *, seed: Splits(*[Source()] * 3, names))]
"""
)


def test_what_fails_later_in_a_plugin_s_code_is_told_with_its_place(install, shapes_file, run_cli):
    install("kerascnn-raises", RAISES)
    line = RAISES.splitlines().index('        raise KeyError("no such image")') + 1
    ended = run_cli("run", shapes_file, "--set", "dataset=raises")
    assert ended.exit_code == 1
    assert ended.stderr.splitlines()[-2] == (
        f"KeyError: 'no such image', in kerascnn-raises 1.0 (kerascnn_raises.py, line {line})"
    )


@pytest.fixture
def three(install, monkeypatch):
    """Plugins of three packages, one of which ends whatever imports it."""
    monkeypatch.delenv("KERASCNN_ALLOW_PLUGINS", raising=False)
    install("kerascnn-gentle", GOOD)
    install("kerascnn-steep", GOOD.replace("gentle", "steep"))
    install("kerascnn-bad", "import os; os._exit(9)")


def test_a_plugin_that_is_not_allowed_is_not_imported(three):
    registry = load_registry(allow=["Kerascnn_Gentle"])
    assert registry.get("schedule", "gentle")
    assert registry.get("schedule", "cosine")
    assert not {"kerascnn_steep", "kerascnn_bad"} & set(sys.modules)
    barred = {origin.distribution for origin in registry.not_allowed}
    assert {"kerascnn-steep", "kerascnn-bad"} <= barred
    assert not {"kerascnn-gentle", "kerascnn"} & barred


@pytest.mark.parametrize("listed", ["kerascnn", "", " , "])
def test_built_in_components_alone_are_allowed(three, monkeypatch, listed):
    monkeypatch.setenv("KERASCNN_ALLOW_PLUGINS", listed)
    origins = {registered.origin.distribution for registered in load_registry().unique}
    assert origins == {"kerascnn"}


def test_the_environment_allows_and_an_argument_goes_before_it(three, monkeypatch):
    monkeypatch.setenv("KERASCNN_ALLOW_PLUGINS", "kerascnn-gentle, kerascnn.steep")
    assert load_registry().get("schedule", "steep")
    with pytest.raises(InputError, match="unknown schedule"):
        load_registry(allow=["kerascnn-gentle"]).get("schedule", "steep")


def test_an_experiment_that_needs_a_plugin_that_is_not_allowed(three, shapes_experiment):
    registry = load_registry(allow=["kerascnn-gentle"])
    assert bind_experiment(shapes_experiment, registry)
    shapes_experiment["stages"][0]["schedule"] = "steep"
    with pytest.raises(InputError) as caught:
        bind_experiment(shapes_experiment, registry)
    message = str(caught.value)
    assert 'stages.scratch.schedule = "steep": unknown schedule.' in message
    assert "--allow-plugins (KERASCNN_ALLOW_PLUGINS) excludes" in message
    assert "kerascnn-steep 1.0" in message


def test_a_package_to_be_allowed_that_is_not_there(three):
    with pytest.raises(InputError) as caught:
        load_registry(allow=["kerascnn-genlte"])
    message = str(caught.value)
    assert 'no plugin package "kerascnn-genlte" is installed' in message
    assert 'Did you mean "kerascnn-gentle"?' in message


def test_an_entry_point_name_is_shared_only_with_what_is_allowed(install):
    install("kerascnn-first", GOOD, ["nice = kerascnn_first"])
    install("kerascnn-second", GOOD.replace("gentle", "steep"), ["nice = kerascnn_second"])
    registry = load_registry(allow=["kerascnn-first"])
    assert registry.get("schedule", "gentle")
    assert [origin.distribution for origin in registry.not_allowed if origin.entry_point == "nice"]


def test_the_option_holds_for_the_command_and_no_longer(three, run_cli, shapes_file):
    answer = run_cli("plugins", "--json", "--allow-plugins", "kerascnn-gentle")
    document = json.loads(answer.stdout)
    names = {component["name"] for component in document["components"]}
    assert "gentle" in names
    assert "steep" not in names
    assert {"kerascnn-bad", "kerascnn-steep"} <= {
        origin["distribution"] for origin in document["not_allowed"]
    }
    shown = run_cli("plugins", "--allow-plugins", "kerascnn-gentle,kerascnn-steep").stdout
    assert "steep" in shown
    assert "  kerascnn-bad 1.0" in shown.partition("not allowed")[2]
    refused = run_cli("plugins", "--allow-plugins", "kerascnn-genlte")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "KERASCNN_ALLOW_PLUGINS" not in os.environ


def test_the_option_reaches_what_a_run_loads(three, run_cli, shapes_file):
    change = ("--set", "stages.0.schedule=steep", "--allow-plugins", "kerascnn-gentle")
    for command in ("run", "check"):
        answer = run_cli(command, shapes_file, *change)
        assert answer.exit_code == 2
        assert "It may be in a plugin that" in answer.stderr


def test_one_component_is_found_by_its_name(install):
    install("kerascnn-none", GOOD.replace("gentle", "none"))
    registry = load_registry()
    assert registry.find("cosine").kind == "schedule"
    assert registry.find("none", "augmentation").origin.distribution == "kerascnn"
    with pytest.raises(InputError, match=r"ambiguous \(augmentation and schedule\); choose one"):
        registry.find("none")
    with pytest.raises(InputError, match=r'unknown component "cosin"\. Did you mean "cosine"\?'):
        registry.find("cosin")


ALIASED = (
    IMPORTS
    + """
from pydantic import Field

class Aliased(Params):
    lambda_: float = Field(0.5, alias="lambda")
"""
    + HOOK.format(listed='[Component("aliased", print, Aliased)]')
)


def test_what_is_recorded_of_a_component_is_an_experiment_again(install, shapes_experiment):
    install("kerascnn-aliased", ALIASED)
    registry = load_registry()
    shapes_experiment["stages"][0]["schedule"] = {"name": "aliased", "lambda": 0.25}
    resolved = bind_experiment(shapes_experiment, registry).resolved
    assert resolved["stages"][0]["schedule"] == {"name": "aliased", "lambda": 0.25}
    assert bind_experiment(resolved, registry).resolved == resolved
