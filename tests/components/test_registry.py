"""The registry, on real distributions: a module and its metadata on the path."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from authoring import GOOD, IMPORTS, faults_of

import kerascnn
from kerascnn import InputError, PluginError
from kerascnn.components import registry as plugins
from kerascnn.components.kinds import KINDS
from kerascnn.components.registry import load_registry
from kerascnn.experiment.bound import bind_experiment


def test_every_kind_has_built_in_components(registry):
    assert not registry.faults
    for kind in KINDS:
        assert list(registry.of_kind(kind)), kind
    assert all(r.origin.distribution == "kerascnn" for r in registry.unique)


def test_a_plugin_is_found_alongside_the_built_in_components(install):
    install("kerascnn-gentle", GOOD)
    registry = load_registry()
    assert str(registry.get("schedule", "gentle").origin) == "kerascnn-gentle 1.0"
    assert registry.get("schedule", "cosine").origin.distribution == "kerascnn"


AT_HAND = f"""
from kerascnn import Weights
{IMPORTS}
class Needed(Params):
    preset: str


def described(at_hand):
    return lambda params, *, image_size: Weights("a package", at_hand=at_hand)


@hookimpl
def kerascnn_architectures():
    return [
        Component("here", print, weights=described(True)),
        Component("elsewhere", print, weights=described(False)),
        Component("from_scratch", print),
        Component("of_a_preset", print, Needed, weights=described(True)),
    ]
"""


def test_architectures_at_hand_are_pretrained_and_need_no_download(install, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    install("kerascnn-networks", AT_HAND)
    found = load_registry().at_hand(160)
    assert {one.name for one in found if not one.name.startswith("efficientnet_lite")} == {"here"}


def test_a_slow_import_is_reported(install, run_cli, shapes_file, monkeypatch):
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


def test_an_entry_point_without_its_module_is_reported_as_such(install):
    install("kerascnn-bad", GOOD, ["bad = kerascnn_bat"])
    reason = "ModuleNotFoundError: No module named 'kerascnn_bat' (the module of its entry point)"
    [fault] = faults_of("kerascnn-bad")
    assert fault.reason == f"importing kerascnn_bat: {reason}"


def test_a_broken_plugin_is_shown_and_listing_succeeds(install, run_cli):
    install("kerascnn-bad", "raise RuntimeError('[/bold] not markup')")
    shown = run_cli("plugins")
    assert shown.exit_code == 0
    (line,) = [line for line in shown.stdout.splitlines() if "kerascnn-bad 1.0" in line]
    assert (
        "importing kerascnn_bad: RuntimeError: [/bold] not markup (kerascnn_bad.py, line 1)" in line
    )
    document = json.loads(run_cli("plugins", "--json").stdout)
    assert document["faults"] == [
        {
            "entry_point": "kerascnn_bad",
            "distribution": "kerascnn-bad",
            "version": "1.0",
            "reason": "importing kerascnn_bad: RuntimeError: [/bold] not markup "
            "(kerascnn_bad.py, line 1)",
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


@pytest.mark.parametrize(
    ("kind", "name", "package"),
    [
        ("dataset", "flowers", "kerascnn-flowers"),
        ("architecture", "efficientnet_lite0", "kerascnn-efficientnet-lite"),
    ],
)
def test_a_missing_package_of_ours_is_named_with_its_installation(registry, kind, name, package):
    for search in (lambda: registry.get(kind, name), lambda: registry.find(name)):
        with pytest.raises(InputError, match=f"unknown {kind}.*install {package}`.*-e plugins/"):
            search()


@pytest.mark.skipif(find_spec("kerascnn_kerashub") is not None, reason="the package is installed")
def test_a_missing_package_does_not_make_a_name_ambiguous(install):
    install("kerascnn-other", GOOD.replace("gentle", "kerashub"))
    assert load_registry().find("kerashub").kind == "schedule"


def test_a_package_of_ours_that_is_not_allowed_is_not_to_be_installed():
    pytest.importorskip("kerascnn_flowers")
    with pytest.raises(InputError, match=r"--allow-plugins .* excludes: .*kerascnn-flowers"):
        load_registry(allow=["kerascnn"]).get("dataset", "flowers")


def test_every_package_that_a_message_names_is_there():
    folder = Path(kerascnn.__file__).parents[1] / "plugins"
    assert {path.name for path in folder.glob("kerascnn-*")} == set(plugins.PACKAGES.values())


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


def test_two_kinds_may_use_the_same_name(install):
    install("kerascnn-none", GOOD.replace("gentle", "none"))
    registry = load_registry()
    assert registry.get("schedule", "none").origin.distribution == "kerascnn-none"
    assert registry.get("augmentation", "none").origin.distribution == "kerascnn"


def test_a_package_that_registers_a_name_in_two_entry_points(install):
    install("kerascnn-both", GOOD, ["one = kerascnn_both", "two = kerascnn_both"])
    with pytest.raises(PluginError, match=r'"gentle" is registered twice by .*-both 1\.0'):
        load_registry().get("schedule", "gentle")


def test_what_a_plugin_prints_does_not_spoil_the_json(install, run_cli):
    install("kerascnn-loud", "print('hello')\n" + GOOD)
    answer = run_cli("plugins", "--json")
    assert json.loads(answer.stdout)["components"]
    assert "hello" in answer.stderr


def test_one_component_is_found_by_its_name(install):
    install("kerascnn-none", GOOD.replace("gentle", "none"))
    registry = load_registry()
    assert registry.find("cosine").kind == "schedule"
    assert registry.find("none", "augmentation").origin.distribution == "kerascnn"
    with pytest.raises(InputError, match=r"ambiguous \(augmentation and schedule\); choose one"):
        registry.find("none")
    with pytest.raises(InputError, match=r'unknown component "cosin"\. Did you mean "cosine"\?'):
        registry.find("cosin")
