"""Every command that the program, a page or a document shows is one, and runs as it is pasted."""

import ast
import inspect
import re
import shlex
import sys
from pathlib import Path

import click
import pytest

import kerascnn
from kerascnn import cli
from kerascnn.runtime.commands import command, pip_install, setting

PACKAGE = Path(kerascnn.__file__).parent
ROOT = PACKAGE.parent
SUBCOMMANDS = "|".join(cli.cli.commands)
SHOWN = re.compile(rf"\bkerascnn (?:{SUBCOMMANDS})\b")
KNOWN = {
    "KIND": "dataset",
    "FORMAT": "keras",
    "K": "2",
    "MINUTES": "3",
    "{kind}": "dataset",
}
"""What stands for a placeholder that only some values are allowed for."""


def python_files():
    return [file for file in PACKAGE.rglob("*.py") if "templates" not in file.parts]


def built(file):
    """The arguments of every call of `command` in a file; placeholders for what is not constant."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "command":
            if node.args and not isinstance(node.args[0], ast.Constant):  # any command
                continue
            given = [argument for argument in node.args if not isinstance(argument, ast.Starred)]
            texts = [arg.value if isinstance(arg, ast.Constant) else "1" for arg in given]
            if texts[-2:] == ["--kind", "1"]:
                texts[-1] = "packed" if texts[0] == "cache" else "dataset"
            if texts:
                yield texts


def documented(text):
    """The commands of kerascnn in Markdown: in blocks and in the text."""
    for block in re.findall(r"(?ms)^```\w*\n(.*?)^```$", text):
        for line in re.sub(r"\\\n *", "", block).splitlines():
            parts = re.split(r"&&|  +", line.partition(" #")[0])
            yield from (part.strip() for part in parts if re.match(r" *kerascnn ", part))
    prose = re.sub(r"(?ms)^```.*?^```$", "", text)
    yield from (
        " ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose) if SHOWN.match(found)
    )


def is_name(arguments):
    """Whether prose names a command, without what it takes."""
    group = cli.cli
    for argument in arguments:
        if not isinstance(group, click.Group) or argument not in group.commands:
            return False
        group = group.commands[argument]
    return True


@pytest.fixture
def parse(idle_commands):
    """Parses a command line as click does, without doing anything."""

    def check(arguments):
        given = [re.sub(r"[\[\]…]", "", text) for text in arguments if text != "--debug"]
        if is_name(given):
            return
        try:
            cli.cli.main([KNOWN.get(text, text) for text in given], standalone_mode=False)
        except click.ClickException as error:
            pytest.fail(f"kerascnn {shlex.join(given)}: {error.format_message()}")

    return check


def test_every_command_that_the_program_builds_is_one(parse):
    found = [arguments for file in python_files() for arguments in built(file)]
    assert len(found) > 15
    for arguments in found:
        parse(arguments)


def strings(file):
    """The texts of a file but docstrings, descriptions of parameters and MLflow's tags."""
    tree = ast.parse(file.read_text())
    others = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            others.add(id(getattr(node.body[0], "value", None)))
        elif isinstance(node, ast.keyword) and node.arg == "description":
            others |= {id(part) for part in ast.walk(node.value)}
        elif isinstance(node, ast.Dict):
            tags = zip(node.keys, node.values, strict=True)
            others |= {id(v) for k, v in tags if getattr(k, "value", "") == "mlflow.source.name"}
    for node in ast.walk(tree):
        text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if text and id(node) not in others:
            yield node.value


def plugin_files():
    files = (ROOT / "plugins").rglob("*.py")
    return [file for file in files if "tests" not in file.relative_to(ROOT).parts]


@pytest.mark.parametrize(
    "file", [*python_files(), *plugin_files()], ids=lambda file: file.relative_to(ROOT).as_posix()
)
def test_no_command_is_written_by_hand(file):
    for text in strings(file):
        assert not SHOWN.search(text) or text.startswith("# Written by `kerascnn init`"), text
        assert "pip install" not in text


def test_the_commands_in_help_texts_and_pages_are_some(parse):
    texts = [inspect.getdoc(one.callback) or "" for one in cli.cli.commands.values()]
    texts += [inspect.cleandoc(one.help or "") for one in cli.cli.commands.values()]
    templates = "\n".join(file.read_text() for file in PACKAGE.rglob("*.html"))
    found = re.findall(r"<code>(kerascnn [^<]*)</code>", templates)
    found += [one for text in texts for one in documented(text)]
    readmes = [file.read_text() for file in (PACKAGE / "components" / "templates").rglob("*.md")]
    found += [
        line.strip() for text in readmes for line in text.splitlines() if "    kerascnn" in line
    ]
    assert len(found) > 4
    for line in found:
        parse(shlex.split(line)[1:])


def test_the_readme_s_first_command_leaves_a_shell_in_which_the_others_run():
    text = (ROOT / "README.md").read_text("utf-8")
    first = re.search(r"(?ms)^```sh\n(.*?)^```$", text)[1]
    assert first.index(". .venv/bin/activate") < first.index("kerascnn run")
    assert ".venv/bin/kerascnn" not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "models:/my photos@best", "IMAGE"],
        ["run", "my photos.toml"],
        ["run", "it's; rm -rf $HOME.toml"],
    ],
)
def test_arguments_are_quoted_for_the_shell(arguments):
    assert shlex.split(command(*arguments)) == ["kerascnn", *arguments]


def test_the_program_is_named_as_it_was_called(tmp_path, monkeypatch):
    scripts = tmp_path / "my env" / "bin"
    scripts.mkdir(parents=True)
    program = scripts / "kerascnn"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert shlex.split(command("ui")) == [str(program), "ui"]
    monkeypatch.setenv("PATH", str(scripts))
    assert command("ui") == "kerascnn ui"
    monkeypatch.setattr(sys, "argv", [str(PACKAGE / "__main__.py")])
    assert shlex.split(command("ui"))[-3:] == ["-m", "kerascnn", "ui"]
    monkeypatch.setattr(sys, "argv", ["/usr/lib/ipykernel_launcher.py"])
    assert command("ui") == "kerascnn ui"


def test_packages_are_installed_for_this_python(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    program, *rest = shlex.split(pip_install("kerascnn[torch]"))
    assert Path(program).absolute() == Path(sys.executable)
    assert rest == ["-m", "pip", "install", "kerascnn[torch]"]


def test_a_remedy_can_be_pasted(shapes_experiment, registry, shapes_file):
    said = setting("training.on_bad_image", "skip")
    assert said == 'training.on_bad_image = "skip" (--set training.on_bad_image=skip)'
    weights = setting("stages.scratch.class_weights", {"circle": 2})
    [option] = re.findall(r"\((--set .*)\)", weights)
    key, value = cli.options.assignment(shlex.split(option)[1])
    loaded = kerascnn.load_experiment(shapes_file, {key: value}, registry)
    assert loaded.settings.stages[0].class_weights == {"circle": 2}
