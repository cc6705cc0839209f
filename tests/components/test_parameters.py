"""`kerascnn plugins show`: parameters in words, and TOML or a command that is accepted as it is."""

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

import kerascnn
from kerascnn import Component, NoParams, Params, cli
from kerascnn.cli.options import assignment
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.components.kinds import KINDS
from kerascnn.components.parameters import parameters, snippet
from kerascnn.components.registry import Registry, load_registry
from kerascnn.experiment.bound import bind_experiment


class Inner(Params):
    depth: int = Field(ge=1)


class Everything(Params):
    path: Path
    count: int = Field(gt=2, description="How [many] there are.")
    share: float = Field(gt=0, lt=1)
    some: int = Field(le=-3)
    way: Literal["fast", "exact"]
    names: tuple[str, ...] = Field(min_length=2)
    either: int | str
    inner: Inner
    loud: bool
    marked: str = Field(pattern="^[0-9]+$", examples=["42"])
    wait: float | None = None
    weights: tuple[Annotated[float, Field(ge=0)], ...] = (1.0, 0.5)
    table: dict[str, int] = Field(default_factory=lambda: {"a b": 1})
    quoted: str = 'say "é"\n'


def registered(kind, params):
    return RegisteredComponent(
        Component("thing", print, params, "a [thing]"), kind, Origin("x", "x", "1")
    )


def chosen(experiment, one):
    """The experiment with the snippet pasted in."""
    table = tomllib.loads(snippet(one))
    if list(table) == ["stages"]:
        (table,) = table["stages"]
        experiment["stages"][0] |= table
        return experiment
    return experiment | table


NAMED_IN_TOML = [name for name, kind in KINDS.items() if kind.in_toml]


@pytest.mark.parametrize("kind", NAMED_IN_TOML)
def test_every_built_in_snippet_is_accepted(registry, shapes_experiment, workplace, kind):
    (workplace / "<path>").mkdir()  # what a person fills in
    for one in registry.of_kind(kind):
        experiment = bind_experiment(chosen(dict(shapes_experiment), one), registry)
        assert experiment


@pytest.mark.parametrize("kind", NAMED_IN_TOML)
def test_required_parameters_get_placeholders_that_are_accepted(shapes_experiment, kind):
    one, registry = registered(kind, Everything), load_registry()
    registry.claims[kind, "thing"].append(one)
    assert bind_experiment(chosen(shapes_experiment, one), registry)
    text = snippet(one)
    assert text.startswith("# fill in: path, count, share, some, way, names, either, inner, loud, ")
    assert 'path = "<path>"' in text
    assert 'marked = "42"' in text
    assert "wait" not in text


def test_a_component_that_no_experiment_names_is_shown_with_its_command(idle_commands):
    note, shown = snippet(registered("exporter", Everything)).splitlines()
    assert note.startswith("# fill in: path, count, share, some, way, names, either, inner, loud, ")
    words = shlex.split(shown)
    assert words[:5] == ["kerascnn", "export", "last", "--format", "thing"]
    given = dict(map(assignment, words[6::2]))
    assert set(words[5::2]) == {"--set"}
    assert Everything(**given).way == "fast"
    assert (given["path"], given["marked"], given["names"]) == ("<path>", "42", ["<names>"] * 2)
    cli.cli.main(words[1:], standalone_mode=False)
    assert snippet(registered("exporter", NoParams)) == "kerascnn export last --format thing"


def test_parameters_are_told_in_the_words_of_the_toml():
    told = {p.name: (p.type, p.range, p.required) for p in parameters(registered("x", Everything))}
    assert told["path"] == ("path", "", True)
    assert told["count"] == ("integer", "above 2", True)
    assert told["share"] == ("number", "above 0, below 1", True)
    assert told["way"] == ('"fast" or "exact"', "", True)
    assert told["names"] == ("array of strings", "2 or more entries", True)
    assert told["either"] == ("integer or string", "", True)
    assert told["weights"] == ("array of numbers", "each at least 0", False)
    assert told["wait"] == ("number", "", False)
    assert told["inner"][0] == "table"


def test_a_component_is_shown_with_its_package(run_cli):
    document = json.loads(run_cli("plugins", "show", "sequential_cnn", "--json").stdout)
    assert (document["distribution"], document["kind"]) == ("kerascnn", "architecture")
    [depth] = [p for p in document["parameters"] if p["name"] == "depth"]
    assert (depth["default"], depth["range"]) == (4, "at least 1, at most 10")
    assert tomllib.loads(document["snippet"])["architecture"]["depth"] == 4
    shown = run_cli("plugins", "show", "sequential_cnn").stdout
    assert shown.startswith(f"sequential_cnn   architecture of kerascnn {document['version']}\n")
    assert shown.endswith(document["snippet"] + "\n")
    assert "integer · at least 1, at most 10 · default 4" in shown
    assert depth["description"] in shown


def test_pretrained_weights_are_shown_with_their_licence(run_cli, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    weights = json.loads(run_cli("plugins", "show", "xception", "--json").stdout)["weights"]
    assert weights["licence"] == "MIT"
    assert not weights["at_hand"]
    shown = "trained on ImageNet-1k at 299 pixels · licence MIT · not on this machine"
    assert (
        f"pretrained   {weights['origin']} · {shown}\n"
        in run_cli("plugins", "show", "xception").stdout
    )
    nothing = json.loads(run_cli("plugins", "show", "sequential_cnn", "--json").stdout)
    assert nothing["weights"] is None


def test_texts_of_a_plugin_are_no_markup(run_cli, monkeypatch):
    registry = Registry()
    registry.claims["dataset", "thing"].append(registered("dataset", Everything))
    monkeypatch.setattr("kerascnn.components.registry.load_registry", lambda: registry)
    shown = run_cli("plugins", "show", "thing").stdout
    assert "a [thing]" in shown
    assert "How [many] there are." in shown
    assert "weights = [1.0, 0.5]" in shown


WRONG = {
    "unknown": (["cosin"], 'unknown component "cosin". Did you mean "cosine"?'),
    "of another kind": (["cosine", "--kind", "dataset"], "unknown dataset"),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_shown(run_cli, arguments, said):
    answer = run_cli("plugins", "show", *arguments)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert said in answer.stderr


@pytest.mark.parametrize("arguments", [("show", "resnet50"), ("new", "x-y", "--kind", "schedule")])
def test_nothing_heavy_is_imported(tmp_path, arguments):
    code = (
        "import atexit, sys; from kerascnn.cli import main; "
        "atexit.register(lambda: print({'keras', 'mlflow'} & set(sys.modules))); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "plugins", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(kerascnn.__file__).parents[1])},
    )
    assert done.stdout.endswith("set()\n"), done.stderr
