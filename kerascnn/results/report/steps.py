"""What to do next with a run: commands to paste."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from kerascnn.engine.result.run import EXPERIMENT, Result
from kerascnn.results.report.gather import Material
from kerascnn.runtime.commands import command


@dataclass(frozen=True)
class Step:
    """A command.

    Args:
        why: Its purpose.
        command: The command, quoted for a shell.
    """

    why: str
    command: str


def _again(result: Result) -> Step:
    """The next training: of another seed or, after an ensemble, of one network that it teaches."""
    if result.ensemble:
        into = result.ensemble["members"][0]["architecture"]
        return Step(
            "Teach one network what the ensemble knows",
            command("distil", result.run_id[:8], "--into", into),
        )
    toml, seed = str(result.folder / EXPERIMENT), int(result.experiment["seed"]) + 1
    return Step("Train again with another seed", command("run", toml, "--set", f"seed={seed}"))


def next_steps(material: Material) -> list[Step]:
    """Commands for a finished run, to be entered in the folder where it was started."""
    result, run = material.result, material.result.run_id[:8]
    steps = [
        Step("Go to the folder of the runs", f"cd {shlex.quote(str(result.folder.parent.parent))}"),
        _again(result),
        Step("Compare runs, and how much seeds differ", command("compare", "--seeds")),
        Step("Register the model", command("register", run, "--alias", "champion")),
        Step("Export the model", command("export", run, "--format", "keras")),
        Step("Browse all runs", command("ui")),
    ]
    image = Path(material.test.names[0])
    if image.is_file():  # rendered images have no file
        image = image.absolute()
        steps[1:1] = [
            Step("Classify an image or a folder of images", command("predict", run, str(image))),
            Step("See what the network looks at", command("visualize", run, str(image))),
        ]
    return steps
