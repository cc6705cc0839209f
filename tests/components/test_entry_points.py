"""Entry points of real distributions: which are loaded, and whose code failed."""

import json
import os
import shutil
import sys

import pytest
from authoring import GOOD, IMPORTS, faults_of

from kerascnn import InputError
from kerascnn.components.registry import load_registry
from kerascnn.experiment.bound import bind_experiment


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


def test_a_package_without_its_metadata_does_no_harm(install, tmp_path):
    install("kerascnn-damaged", GOOD)
    [metadata] = (tmp_path / "kerascnn-damaged").rglob("METADATA")
    metadata.unlink()
    assert load_registry().get("dataset", "shapes")


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


def test_a_failure_in_a_plugin_s_code_is_reported_with_its_line(install, shapes_file, run_cli):
    install("kerascnn-raises", RAISES)
    line = RAISES.splitlines().index('        raise KeyError("no such image")') + 1
    ended = run_cli("run", shapes_file, "--set", "dataset=raises")
    assert ended.exit_code == 2
    said = (
        'dataset "raises" of kerascnn-raises 1.0: source[0] failed: KeyError: '
        f"'no such image' (kerascnn_raises.py, line {line}). `"
    )
    assert ended.stderr.splitlines()[-1].startswith(said)
    assert ended.stderr.endswith("plugins check raises --kind dataset` examines it.\n")


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


def test_the_argument_takes_precedence_over_the_environment(three, monkeypatch):
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


def test_an_allowed_package_that_is_not_installed_is_an_error(three):
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
