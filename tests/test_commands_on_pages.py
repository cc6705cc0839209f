"""Every command on every page is run here or by another test, or a comment says why not.

A comment such as `<!-- not run: needs a GPU -->` covers the block below it, or the paragraph or row
of a table that it is in; on the second line of a page, the page.
"""

import re
import shlex
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from kerascnn import cli

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "plugins").glob("*/README.md")),
]  # README.zh.md has the commands of README.md: see test_docs.py
NAMES = "|".join(cli.cli.commands)
SHOWN = re.compile(rf"kerascnn (?:{NAMES})\b")
SETS_UP = re.compile(r"python3 -m venv |\. \.venv/|pip install ")
"""Making an environment, which `.ci/run` and every reader does."""
NOT_RUN = re.compile(r"<!-- not run: .+? -->")

ELSEWHERE = {
    "ui": "tests/results/test_ui.py",
    "serve": "tests/results/serving/test_serve.py",
    "run --resume": "tests/run/test_resume.py",
    "run photos.toml --devices": "tests/run/stages/test_processes.py",
    "run photos.toml --workers": "tests/run/cluster/test_cluster.py",
    "check photos.toml --set training.devices=2": "tests/run/stages/test_processes.py",
    "folds": "tests/studies/folds/test_folds.py",
    "best": "tests/cli/test_best.py",
    "ensemble": "tests/studies/ensemble/test_ensemble.py",
    "distil": "tests/studies/ensemble/test_ensemble.py",
    "update": "tests/studies/update/test_update.py",
    "sweep --resume": "tests/studies/sweep/test_story.py",
}
"""Commands that go on until they are stopped, need a run that was or train often, and what runs
them."""

VALUES = {
    "FILE": "photos.toml",
    "FOLDER": "photos",
    "TABLE": "labels.csv",
    "RUN": "last",
    "SWEEP": "last",
    "STUDY": "last",
    "KEY=LOW..HIGH": "stages.head.learning_rate=1e-4..1e-2",
    "[RUN…]": "last",
    "IMAGE": "image.jpg",
    "IMAGE…": "image.jpg",
    "ARCHITECTURE": "sequential_cnn",
    "A,B": "sequential_cnn",
    "FORMAT": "keras",
    "KIND": "schedule",
    "ADDRESS": "sqlite:///other.db",
}
NAMED = {
    "register": "champion",
    "lr-find": "head",
    "plugins show": "cosine",
    "plugins check": "cosine",
    "plugins new": "kerascnn-mine",
    "run FILE": "command",
    "predict": "tensorflow",
}
"""What NAME stands for."""

PHOTOS = ["training.image_size=32", "stages.finetune.views=1", "training.batch_size=8"]
FLOWERS = [*PHOTOS, "dataset.train=24", "dataset.validation=12", "dataset.test=12"]
EPOCHS = ["stages.head.epochs=1", "stages.finetune.epochs=1"]
TINY = {"photos.toml": PHOTOS + EPOCHS, "experiments/flowers.toml": FLOWERS + EPOCHS}
"""Settings by which an experiment trains in seconds."""


def units(text):
    """Blocks, paragraphs and rows of tables, each with whether a comment says why it is not run."""
    whole = bool(NOT_RUN.match(text.partition("\n")[2]))
    pieces = re.findall(
        r"(?ms)(?:^<!--[^\n]*-->\n)?^```.*?^```$|^\|[^\n]*$|(?:^(?!```|\||<!--)[^\n]+\n)+", text
    )
    return [(piece, whole or bool(NOT_RUN.search(piece))) for piece in pieces]


def shell_lines(unit):
    """The commands of a block for the shell, joined where they are continued."""
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", unit):
        for line in re.sub(r"\\\n *", "", block).splitlines():
            yield from (part.strip() for part in line.partition("  #")[0].split("&&"))


def inline_commands(unit):
    """The commands of kerascnn in a paragraph, or in the first column of the table of commands."""
    if "```" in unit:
        return
    for found in re.findall(r"`([^`]+)`", unit):
        if SHOWN.match(found):
            yield " ".join(found.split())
    if row := re.match(rf"\| (`(?:{NAMES})\b.*?) \|", unit):
        yield from (f"kerascnn {name}" for name in re.findall(rf"`((?:{NAMES})\b[^`]*)`", row[1]))


def found_commands(page):
    """The page's commands of kerascnn, each with whether it is marked as not run."""
    for unit, marked in units(page.read_text("utf-8")):
        for line in (*shell_lines(unit), *inline_commands(unit)):
            if line.startswith("kerascnn "):
                yield line.partition(" > ")[0], marked


def filled_in(line):
    """The arguments of a documented command, with values for its placeholders."""
    words = shlex.split(line)[1:]
    named = next((value for name, value in NAMED.items() if " ".join(words).startswith(name)), "")
    return [VALUES.get(word, named if word == "NAME" else word) for word in words]


def is_name(words):
    """Whether prose only names a command, without the arguments that it requires."""
    command = cli.cli
    for word in words:
        if not isinstance(command, click.Group) or word not in command.commands:
            return False
        command = command.commands[word]
    return any(parameter.required for parameter in command.params) or words in (
        ["run"],
        ["init"],
        ["sweep"],
    )


def runs_elsewhere(words):
    return any(" ".join(words).startswith(name) for name in ELSEWHERE)


FIRST, LAST = ("init", "run"), ("runs", "cache")
"""Commands whose results others need, and commands that remove them."""


def runnable():
    """The arguments of every command that is to be run here, in an order in which all work."""
    found = dict.fromkeys(
        tuple(words)
        for page in PAGES
        for line, marked in found_commands(page)
        if not marked
        for words in [filled_in(line)]
        if not is_name(words) and not runs_elsewhere(words)
    )
    return sorted(found, key=lambda words: ("remove" in words, "clear" in words))


@pytest.fixture
def parse(idle_commands):
    """Parses a command line as click does, without doing anything."""

    return lambda words: cli.cli.main(list(words), standalone_mode=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_is_one(page, parse):
    for line, _ in found_commands(page):
        words = filled_in(line.replace(" …", ""))
        if not is_name(words):
            parse(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_other_line_for_the_shell_is_in_the_ci_or_marked(page):
    ci = (ROOT / ".ci" / "run").read_text()
    for unit, marked in units(page.read_text("utf-8")):
        for line in shell_lines(unit):
            run = line.startswith("kerascnn ") or SETS_UP.match(line) or line in ci
            assert marked or run, line


def test_what_is_run_elsewhere_is(parse):
    for name, file in ELSEWHERE.items():
        text = (ROOT / file).read_text()
        assert all(f'"{word}"' in text for word in name.split()), file


@pytest.fixture(scope="module")
def place(shared_workplace):
    """A folder with what the pages speak of: photos, those without labels, a table, the recipes."""
    rng = np.random.default_rng(0)
    lines = ["image,label"]
    for number in range(24):
        label, colour = (("red", (200, 60, 40)), ("blue", (40, 60, 200)))[number % 2]
        pixels = np.clip(rng.normal(colour, 40, (40, 40, 3)), 0, 255).astype(np.uint8)
        file = shared_workplace / "photos" / label / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
        lines.append(f"{label}/{number}.png,{label}")
    (shared_workplace / "unlabelled").mkdir()
    for number in range(4):
        pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(shared_workplace / "unlabelled" / f"{number}.png")
    (shared_workplace / "labels.csv").write_text("\n".join(lines) + "\n")
    shutil.copy(file, shared_workplace / "image.jpg")
    shutil.copytree(ROOT / "experiments", shared_workplace / "experiments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("webbrowser.open", lambda address: None)
        patch.setenv("KERASCNN_COMMAND", "true")
        yield shared_workplace


def tiny(words):
    """A command as it is run here: in seconds, without asking, over what an earlier one wrote."""
    settings = next((TINY[word] for word in words if word in TINY), [])
    words = list(words) + [part for setting in settings for part in ("--set", setting)]
    if words[0] == "sweep" and settings:
        words += ["--trials", "1"]
    if words[0] == "init":
        words.append("--force")
    if words[:2] == ["plugins", "new"]:
        words += ["--into", words[-1]]  # of its own, by the kind
    if words[:2] == ["runs", "remove"]:
        words[2:] = [min((Path("kerascnn-runs")).iterdir()).name, "--yes"]
    return words


@pytest.fixture
def begun(place, run_cli):
    """The place, once the commands of FIRST have run."""
    if not (place / "photos.toml").exists():
        assert not faults(FIRST, run_cli)


def faults(verbs, run_cli):
    """Runs the commands of these verbs in turn; returns what those that failed say."""
    found = []
    for words in (words for verb in verbs for words in RUNNABLE if words[0] == verb):
        answer = run_cli(*tiny(words))
        if answer.exit_code not in ((0, 1) if words[0] == "doctor" else (0,)):
            found.append(f"kerascnn {shlex.join(words)}: {answer.stderr}")
    return "\n".join(found)


RUNNABLE = runnable()
VERBS = dict.fromkeys(words[0] for words in RUNNABLE if words[0] not in FIRST)


def test_few_commands_are_run_elsewhere():
    assert len(RUNNABLE) > 25


@pytest.mark.long(first=True)  # two minutes in all: some of them train
@pytest.mark.parametrize("verb", sorted(VERBS, key=lambda verb: verb in LAST))
def test_every_command_runs(begun, run_cli, verb):
    assert not faults([verb], run_cli)
