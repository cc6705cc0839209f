"""What to do next with a run: commands that can be pasted as they are."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from kerascnn.report.gather import Material
from kerascnn.runs import EXPERIMENT, Result


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
    toml = _quoted(result.folder / EXPERIMENT)
    steps = [
        Step("Go to the folder of the runs", f"cd {_quoted(result.folder.parent.parent)}"),
        Step(
            "Train once more with another seed", f"kerascnn run {toml} --set seed={_seed(result)}"
        ),
        Step("Compare the runs, and see how far seeds differ", "kerascnn compare --seeds"),
        Step("Keep the model under a name", f"kerascnn register {run} --alias champion"),
        Step("Take the model elsewhere", f"kerascnn export {run} --format keras"),
        Step("Browse all runs", "kerascnn ui"),
    ]
    image = Path(material.test.names[0])
    if image.is_file():  # what a dataset draws itself has no file
        commands = (f"kerascnn {verb} {run} {_quoted(image)}" for verb in ("predict", "visualize"))
        whys = ("Ask it about an image, or a folder of them", "See what it looks at in an image")
        steps[1:1] = [Step(*pair) for pair in zip(whys, commands, strict=True)]
    return steps


def _seed(result: Result) -> int:
    return int(result.experiment["seed"]) + 1


def _quoted(path: Path) -> str:
    return shlex.quote(str(path.absolute()))
