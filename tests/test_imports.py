"""What is imported when: light starts; import-linter keeps the floors (pyproject.toml)."""

import ast
import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

import kerascnn

PACKAGE = Path(kerascnn.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
BACKENDS = {"tensorflow", "jax", "torch"}
HEAVY = {"keras", "mlflow", *BACKENDS}
COMMAND = "import sys; sys.argv[0] = 'kerascnn'; from kerascnn.cli import main; main()"
REPORT = f"import atexit, sys; atexit.register(lambda: print({HEAVY} & set(sys.modules)))\n"


def python(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("code", "arguments", "environment"),
    [
        ("import kerascnn; kerascnn.Component, kerascnn.Params, kerascnn.InputError", (), {}),
        ("import kerascnn; kerascnn.load_experiment, kerascnn.compare_runs", (), {}),
        ("import kerascnn; kerascnn.run_experiment, kerascnn.predict_images", (), {}),
        (COMMAND, ("--help",), {}),
        (COMMAND, ("run", "--help"), {}),
        (COMMAND, ("plugins",), {}),
        (COMMAND, ("schema",), {}),
        (COMMAND, ("check", "missing.toml"), {}),
        (COMMAND, (), {"_KERASCNN_COMPLETE": "bash_source"}),
        (COMMAND, (), {"_KERASCNN_COMPLETE": "bash_complete", "COMP_WORDS": "", "COMP_CWORD": "0"}),
    ],
)
def test_nothing_heavy_is_imported(code, arguments, environment):
    ended = python(REPORT + code, *arguments, **environment)
    assert ended.stdout.endswith("set()\n"), ended.stdout + ended.stderr


@pytest.mark.parametrize("arguments", [("plugins",), ("schema",), ("run", "--help")])
def test_an_answer_at_once_does_without_numpy(arguments):
    report = "import atexit, sys; atexit.register(lambda: print('numpy' in sys.modules))\n"
    ended = python(report + COMMAND, *arguments, KERASCNN_ALLOW_PLUGINS="kerascnn")
    assert ended.stdout.endswith("False\n"), ended.stdout + ended.stderr


def test_a_bad_experiment_is_refused_before_anything_heavy_is_imported(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text('dataset = { name = "shapes", classes = 1 }')
    ended = python(REPORT + COMMAND, "run", str(file))
    assert (ended.returncode, ended.stdout) == (2, "set()\n")
    assert "dataset.classes = 1: expected a number of at least 2" in ended.stderr


def cpu_seconds(code, *arguments):
    """Processor time, which does not depend on what else the machine does."""

    def spent():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    assert python(code, *arguments).returncode == 0
    return spent() - before


def test_help_is_quick():
    click, ours = zip(
        *((cpu_seconds("import click"), cpu_seconds(COMMAND, "--help")) for _ in range(5)),
        strict=True,
    )
    assert median(ours) < 4 * median(click)


def imported(file, *, only_at_import=False):
    """The modules that a file imports: anywhere, or only those that its own import imports."""
    found = set()
    nodes = [ast.parse(file.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not (only_at_import and (lazy or typing)):
            nodes += ast.iter_child_nodes(node)
    return found


def roots(modules):
    return {module.partition(".")[0] for module in modules}


def name_of(file):
    return file.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_backends_are_imported_inside_functions_alone(file):
    assert not roots(imported(file, only_at_import=True)) & (HEAVY - {"keras"})


PLUGINS = sorted(
    file
    for file in (PACKAGE.parent / "plugins").rglob("*.py")
    if not file.is_relative_to(PACKAGE) and ".venv" not in file.parts
)
BUILT_INS = sorted((PACKAGE / "components/builtin").rglob("*.py"))


@pytest.mark.parametrize(
    "file", [*BUILT_INS, *PLUGINS], ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_plugins_import_only_public_names(file):
    own = {module for module in imported(file) if module.startswith("kerascnn.")}
    public = {f"kerascnn.{name}" for name in kerascnn.__all__}
    private = own - public
    if file in BUILT_INS:
        private -= {f"kerascnn.{name}" for name in kerascnn.FOR_LOWER_FLOORS}
        private = {one for one in private if not one.startswith("kerascnn.components.builtin")}
    assert not private
