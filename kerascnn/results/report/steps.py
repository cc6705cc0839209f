"""What to do next with a run: commands that can be pasted as they are."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from kerascnn.engine.result import EXPERIMENT
from kerascnn.results.report.gather import Material
from kerascnn.runtime.commands import command


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Args:
        why: What it is good for.
        command: What does it, quoted for a shell.
    """

    why: str
    command: str


def next_steps(material: Material) -> list[Step]:
    """What can be done with a finished run, in the folder that it was started in."""
    result, run = material.result, material.result.run_id[:8]
    toml, seed = str(result.folder / EXPERIMENT), int(result.experiment["seed"]) + 1
    steps = [
        Step("Go to the folder of the runs", f"cd {shlex.quote(str(result.folder.parent.parent))}"),
        Step("Train once more with another seed", command("run", toml, "--set", f"seed={seed}")),
        Step("Compare the runs, and see how far seeds differ", command("compare", "--seeds")),
        Step("Keep the model under a name", command("register", run, "--alias", "champion")),
        Step("Take the model elsewhere", command("export", run, "--format", "keras")),
        Step("Browse all runs", command("ui")),
    ]
    image = Path(material.test.names[0])
    if image.is_file():  # what a dataset draws itself has no file
        image = image.absolute()
        steps[1:1] = [
            Step("Ask it about an image, or a folder of them", command("predict", run, str(image))),
            Step("See what it looks at in an image", command("visualize", run, str(image))),
        ]
    return steps
