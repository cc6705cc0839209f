"""`kerascnn plugins` and `--help` with many packages installed, beside the imports that they need.

The commands take turns; a figure is the least processor time of several rounds.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from common import KERASCNN, environment, report
from startup import processor_seconds

from kerascnn.components.kinds import KINDS

LIBRARIES = "import click, pydantic.main, rich.console, rich.table"
MODULE = """
from pydantic import Field

from kerascnn import Component, Params, hookimpl


class Own(Params):
    strength: float = Field(0.1, ge=0, le=1, description="How strong.")


def build(params, **context):
    import keras
"""
HOOK = """

@hookimpl
def {hook}():
    return [Component("{name}", build, Own, "component {name}")]
"""


@click.command()
@click.option("--packages", default=30, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(packages: int, rounds: int) -> None:
    """Time the commands in turn, with packages that implement the hook of every kind."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(packages):
            install(folder, f"kerascnn_own_{number}")
        rows = {
            "plugins": [*KERASCNN, "plugins"],
            "--help": [*KERASCNN, "--help"],
            "imports": [sys.executable, "-c", LIBRARIES],
        }
        for command in rows.values():
            spend(command, folder)  # compiles
        turns = [{name: spend(rows[name], folder) for name in rows} for _ in range(rounds)]
    least = {name: min(turn[name] for turn in turns) for name in rows}
    report("packages", {"packages": packages, "kinds": len(KINDS), "processor_seconds": least})


def install(folder: Path, module: str) -> None:
    """Puts a package that implements every hook on the path."""
    hooks = (HOOK.format(hook=kind.hook, name=module) for kind in KINDS.values())
    (folder / f"{module}.py").write_text(MODULE + "".join(hooks))
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[kerascnn]\n{module} = {module}\n")


def spend(command: list[str], folder: Path) -> float:
    """Processor seconds of a command that finds the packages of the folder."""
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    own = {**environment(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": path}
    before = processor_seconds()
    subprocess.run(command, cwd=folder, env=own, capture_output=True, check=True)
    return processor_seconds() - before


if __name__ == "__main__":
    main()
