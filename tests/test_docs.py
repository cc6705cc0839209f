"""docs/plugins.md says all of the contract, and each of its examples works as it stands there;
docs/experiments.md has every key. README.zh.md says what README.md does."""

import importlib
import inspect
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import get_type_hints

import pytest
from PIL import Image

import kerascnn
from kerascnn import hookspecs
from kerascnn.cli import experiments, sweep
from kerascnn.cli.plugins import plugins
from kerascnn.components.kinds import HOOKS, KINDS
from kerascnn.components.parameters import parameters_of
from kerascnn.components.registry import load_registry
from kerascnn.engine.observer import EVENTS
from kerascnn.experiment.bound import bind_experiment
from kerascnn.experiment.choices import Dataset
from kerascnn.experiment.cluster import Cluster
from kerascnn.experiment.model import EarlyStopping, Experiment, Stage
from kerascnn.experiment.training import Training
from kerascnn.experiment.update import Update
from kerascnn.runtime.toml import as_toml
from kerascnn.studies.sweep.plan.load import load_sweep
from kerascnn.testing import checks_of, find_subject, run_checks

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text("utf-8")
BLOCKS = [(found[1], found[2]) for found in re.finditer(r"(?ms)^```(\w+)\n(.*?)^```$", PAGE)]
MODULES = [text for language, text in BLOCKS if language == "python" and "@hookimpl" in text]
[PYPROJECT] = [text for language, text in BLOCKS if "[project]" in text]
[TESTS] = [text for language, text in BLOCKS if "kerascnn_check" in text and language == "python"]
PROSE = re.sub(r"\s+", " ", PAGE)


def test_the_experiment_to_try_a_component_in_runs(shapes_file, run_cli):
    [trial] = [text for language, text in BLOCKS if 'name = "trial"' in text]
    shapes_file.write_text(trial)
    answer = run_cli("check", shapes_file)
    assert answer.exit_code == 0, answer.stderr
    assert "note" not in answer.stderr
    shapes_file.write_text(trial.replace('unfreeze = "all"', 'unfreeze = "head"'))
    remedy = 'stages.all.unfreeze = "all" (--set stages.all.unfreeze=all) trains all blocks'
    assert remedy in run_cli("check", shapes_file).stderr


def section(title):
    """The text under a heading, up to the next one."""
    [found] = re.findall(rf"(?ms)^##+ {title}\n(.*?)(?=^##|\Z)", PAGE)
    return found


def documented(text):
    """The names in the first column of its table."""
    return re.findall(r"(?m)^\| `(\w+)` \|", text)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_hook_is_documented_with_its_arguments(kind):
    assert kind.call in inspect.getdoc(getattr(hookspecs, kind.hook))
    assert kind.hook in documented(section("Hooks"))
    assert f"| `{kind.hook}` | `{kind.call}`" in PAGE
    [table] = re.findall(rf"(?ms)^## {kind.name.title()}\n.*?(^\| argument .*?)\n(?!\|)", PAGE)
    assert documented(table) == ["params", *kind.arguments]


@pytest.mark.parametrize(
    "name",
    [
        "Component",
        "Splits",
        "Augmentation",
        "Mixing",
        "HostAugmentation",
        "Weights",
        "Network",
        "Metric",
        "Exporter",
        "Engine",
    ],
)
def test_every_field_of_the_contract_is_documented(name):
    of_type = [field.name for field in fields(getattr(hookspecs, name))]
    titles = len(re.findall(rf"(?m)^### {name}$", PAGE))
    assert titles == 1
    [text] = re.findall(rf"(?ms)^### {name}\n(.*?)(?=^##|\Z)", PAGE)
    assert documented(text) == of_type


def test_every_member_of_a_source_is_documented():
    members = [name for name in vars(hookspecs.Source) if name in ("__len__", "__getitem__")]
    assert documented(section("Source")) == [
        *members,
        "fingerprint",
        "__getitems__",
        "image_name",
        "files",
    ]
    assert get_type_hints(hookspecs.Source.__len__) == {"return": int}


def test_every_member_of_a_process_is_documented():
    members = [name for name in vars(hookspecs.Process) if not name.startswith("_")]
    assert documented(section("Process")) == members


def test_every_event_is_documented_with_its_arguments():
    found = re.findall(r"(?m)^\| `(\w+)\(([^)]*)\)` \|", section("Events"))
    signatures = {
        event: list(signature(getattr(kerascnn.Observer, event)).parameters) for event in EVENTS
    }
    assert [(name, ["self", *arguments.split(", ")]) for name, arguments in found] == [
        *signatures.items()
    ]


def test_every_public_name_is_documented():
    for name in [*kerascnn.FOR_PLUGINS, "InputError"]:
        assert f"`{name}" in PAGE, name
    docs = PAGE + KEYS + (ROOT / "README.md").read_text("utf-8")
    for name in kerascnn.FOR_SCRIPTS:
        assert name in docs, name
    for name in re.findall(r"from kerascnn import (.*)", PAGE):
        assert set(name.split(", ")) <= set(kerascnn.__all__)


def test_every_command_for_authors_is_documented():
    for command in set(plugins.commands) - {"list"}:
        assert f"kerascnn plugins {command}" in PROSE, command
    for option in re.findall(r"`(--[\w-]+)", PAGE):
        assert any(
            option in parameter.opts
            for command in (*plugins.commands.values(), experiments.run, sweep.start)
            for parameter in command.params
        ), option


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a module of the page as the package that the page's pyproject.toml describes."""

    def install(text):
        project = tomllib.loads(PYPROJECT)["project"]
        [[name, module]] = project["entry-points"]["kerascnn"].items()
        metadata = tmp_path / f"{module}-{project['version']}.dist-info"
        metadata.mkdir()
        (tmp_path / f"{module}.py").write_text(text)
        (metadata / "entry_points.txt").write_text(f"[kerascnn]\n{name} = {module}\n")
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.chdir(tmp_path)  # an observer may write where it runs
        importlib.invalidate_caches()
        modules.append(module)
        registry = load_registry()
        assert not registry.faults
        return [r for r in registry.unique if r.origin.distribution == project["name"]]

    modules = []
    yield install
    for module in modules:
        sys.modules.pop(module, None)


# in other processes, which do not know of what is installed for one test: of the slow tests
ELSEWHERE = {
    *("same_on_all_backends", "backends_agree", "imports_no_backend"),
    *("same_in_another_process", "sent_to_another_process", "hears_in_another_process"),
    "ends_with_this_process",
}

LONG = {"mobile_halves", "numbered_layers"}  # a network is trained and compiled several times
SLOW = {"chosen_gpus"}  # a dozen processes are started
MARKS = dict.fromkeys(LONG, pytest.mark.long) | dict.fromkeys(SLOW, pytest.mark.slow)


@pytest.mark.backend
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=name, marks=MARKS.get(name, ()))
        for text, name in zip(MODULES, re.findall(r'\[Component\("(\w+)"', PAGE), strict=True)
    ],
)
def test_every_example_keeps_the_contract(installed, text):
    [component] = installed(text)
    subject = find_subject(component.kind, component.component.name, {})
    for check in checks_of(component.kind):
        if check.name not in ELSEWHERE:
            outcome = check.run(subject)
            assert outcome.status != "failed", str(outcome)


@pytest.mark.slow
@pytest.mark.parametrize("text", MODULES, ids=re.findall(r'\[Component\("(\w+)"', PAGE))
def test_every_example_keeps_the_whole_contract(installed, text):
    [component] = installed(text)
    for outcome in run_checks(find_subject(component.kind, component.component.name, {})):
        assert outcome.status != "failed", str(outcome)


def test_every_kind_has_an_example():
    for hook in HOOKS:
        assert any(f"def {hook}()" in text for text in MODULES), hook


@pytest.mark.long
def test_the_page_s_tests_pass_in_a_pytest_of_their_own(installed, tmp_path):
    installed(next(text for text in MODULES if '"parabola"' in text))
    (tmp_path / "test_page.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "at_step_zero"]
    path = os.pathsep.join([str(tmp_path), str(Path(kerascnn.__file__).parents[1])])
    done = subprocess.run(
        [*command, str(tmp_path / "test_page.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


KEYS = (ROOT / "docs" / "experiments.md").read_text("utf-8")
TABLES = {
    "The experiment": Experiment,
    r"\[dataset\]": Dataset,
    r"\[training\]": Training,
    r"\[\[stages\]\]": Stage,
    r"\[cluster\]": Cluster,
    r"\[update\]": Update,
    "early_stopping": EarlyStopping,
}


def row(key):
    """A key as a row of the page: its name, what it takes, its default, what it is for."""
    takes = [key.type.replace(" or ", " · "), *([key.range] if "matches" not in key.range else [])]
    default = key.default.get("name") if isinstance(key.default, dict) else key.default
    said = "required" if key.required else f"`{as_toml(default)}`" if default is not None else ""
    return f"| `{key.name}` | {', '.join(filter(None, takes))} | {said} | {key.description} |"


@pytest.mark.parametrize(("title", "model"), TABLES.items())
def test_every_key_of_an_experiment_is_documented(title, model):
    [part] = re.findall(rf"(?ms)^## {title}\n(.*?)(?=^## |\Z)", KEYS)
    assert re.findall(r"(?m)^\| `\w.*", part) == [row(key) for key in parameters_of(model)]


def test_the_page_s_experiment_is_one():
    text = re.search(r"(?ms)^```toml\n(.*?)^```$", KEYS)[1]
    assert len(bind_experiment(tomllib.loads(text), load_registry(), text).stages) == 2


def test_the_page_s_sweep_is_one(tmp_path):
    pages = {"photos.toml": KEYS, "sweep.toml": (ROOT / "docs" / "studies.md").read_text("utf-8")}
    for name, page in pages.items():
        (tmp_path / name).write_text(re.search(r"(?ms)^```toml\n(.*?)^```$", page)[1])
    for label in ("red", "blue"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        Image.new("RGB", (8, 8), label).save(tmp_path / "photos" / label / "1.png")
    planned = load_sweep(tmp_path / "sweep.toml")
    assert (planned.trials, len(planned.space.dimensions)) == (40, 3)


FENCED = r"(?ms)^```.*?^```$"


def shape(name):
    """What a translation leaves as it is: the blocks but for comments, and of each section the
    level of its heading, its links, its inline code and the inline code of its tables' rows."""
    text = (ROOT / name).read_text("utf-8")
    blocks = [re.sub(r" *# .*", "", block) for block in re.findall(FENCED, text)]
    return blocks, [outline(part) for part in re.split(r"(?m)^(?=#)", re.sub(FENCED, "", text))]


def outline(part):
    links = set(re.findall(r"\]\((.*?)\)", part)) - {"README.md", "README.zh.md"}
    tables = re.findall(r"(?m)(?:^\|.*\n)+", part)
    rows = [[code(row) for row in table.splitlines()] for table in tables]
    return len(re.match("#*", part)[0]), links, code(part), rows


def code(text):
    return {" ".join(found.split()) for found in re.findall(r"`([^`]+)`", text)}


def test_readme_zh_has_the_shape_of_the_readme():
    (blocks, parts), (blocks_zh, parts_zh) = shape("README.md"), shape("README.zh.md")
    assert blocks_zh == blocks
    assert len(parts_zh) == len(parts)
    for part, part_zh in zip(parts, parts_zh, strict=True):
        assert part_zh == part


def test_readme_and_readme_zh_link_to_each_other():
    for name, link in (
        ("README.md", "[中文](README.zh.md)"),
        ("README.zh.md", "[English](README.md)"),
    ):
        assert (ROOT / name).read_text("utf-8").splitlines()[1] == link


@pytest.mark.parametrize(
    "page",
    [*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("plugins/*/*.md"), ROOT / ".ci" / "run"],
    ids=lambda page: page.parent.name + "/" + page.name,
)
def test_every_file_that_a_page_names_is_there(page):
    if page.name == "CHANGELOG.md":  # names files as they were
        return
    named = re.findall(
        r"(?<![\w/-])(?:tests|benchmarks|plugins|experiments|kerascnn)/[\w/.-]+\.(?:py|toml|md)",
        page.read_text("utf-8"),
    )
    assert not [name for name in named if not (ROOT / name).exists()]
