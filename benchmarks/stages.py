"""The head stage, or both stages, against the Keras guide written by hand and fastai.

All see the same images: a folder of class folders, split once and copied. In turn: the program
with an empty cache, the guide (unfreezing the layers that the program names), the program again
on the cache it has made, and fastai where `--fastai-python` says where it is installed.
`--head-epochs 20 --finetune-epochs 0` is the head alone.

Counted are, of the program, the seconds of packing, of the frozen prefix and of fitting; of the
others, those of `fit`, in which they read the images. `process_seconds` are of all.
"""

import tempfile
from pathlib import Path
from typing import Any

import click
from common import judged, report, run, script, split_folder, write_experiment


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option(
    "--test",
    type=click.Path(exists=True, path_type=Path),
    help="Other images of the same classes to judge by; default a fifth of --data.",
)
@click.option("--image-size", default=160, show_default=True, help="Pixels.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--head-epochs", default=5, show_default=True)
@click.option("--finetune-epochs", default=3, show_default=True)
@click.option("--unfreeze", default="last:2", show_default=True, help="The second stage's layers.")
@click.option("--guide-unfreezes-all", is_flag=True, help="Not the same layers as the program.")
@click.option(
    "--experiment",
    type=click.Path(exists=True, resolve_path=True),
    help="A recipe to run unchanged, instead of the guide's two stages.",
)
@click.option("--backend", default="auto", show_default=True)
@click.option("--prefix-precision", default="float32", show_default=True)
@click.option("--fastai-python", help="The Python of an environment with fastai.")
@click.option("--seed", default=0, show_default=True)
def main(data: Path, test: Path | None, fastai_python: str | None, **options: Any) -> None:
    """Time them in turn; a ratio is their seconds by the program's."""
    with tempfile.TemporaryDirectory() as place:
        folder, splits = Path(place), Path(place, "splits")
        images = make_splits(data, test, splits, options["seed"])
        settings = {"--data": splits, **common_settings(options)}
        cold = program(folder, splits, options)
        layers = "" if options["guide_unfreezes_all"] else ",".join(unfrozen(cold))
        guide = rival(script("keras_guide.py", *flat(settings), "--unfreeze", layers))
        warm = program(folder, splits, options)
        fastai = fastai_python and rival(
            script("fastai_baseline.py", *flat(settings), python=fastai_python)
        )
    figures = {"cold": figures_of(cold), "warm": figures_of(warm), "guide": guide, "fastai": fastai}
    about = {"images": images, "settings": options, "ratios": compare(figures)}
    report("stages", {**about, **figures})


def make_splits(data: Path, test: Path | None, splits: Path, seed: int) -> dict[str, int]:
    if test:
        split_folder(data, splits, {"validation": 0.2}, seed)
        split_folder(test, splits, {"test": 1.0}, seed)
    else:
        split_folder(data, splits, {"test": 0.2, "validation": 0.16}, seed)
    return {path.name: sum(1 for _ in path.glob("*/*")) for path in splits.iterdir()}


def common_settings(options: dict[str, Any]) -> dict[str, Any]:
    names = ("image_size", "batch_size", "head_epochs", "finetune_epochs", "seed")
    return {f"--{name.replace('_', '-')}": options[name] for name in names}


def flat(settings: dict[str, Any]) -> list[Any]:
    return [word for pair in settings.items() for word in pair]


def program(folder: Path, splits: Path, options: dict[str, Any]) -> dict[str, Any]:
    file = options["experiment"] or write_experiment(folder, two_stages(options))
    settings = {
        "dataset.path": splits,
        "training.backend": options["backend"],
        "training.prefix_precision": options["prefix_precision"],
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return run(folder, folder / "cache", file, *words)


def two_stages(options: dict[str, Any]) -> dict[str, Any]:
    """The guide's plan in the words of the TOML."""
    head = {"name": "head", "epochs": options["head_epochs"], "learning_rate": 1e-3}
    finetune = {
        "name": "finetune",
        "unfreeze": options["unfreeze"],
        "epochs": options["finetune_epochs"],
        "learning_rate": 1e-5,
    }
    return {
        "name": "stages",
        "seed": options["seed"],
        "dataset": {"name": "image_folder"},
        "architecture": {"name": "efficientnet_lite0"},
        "training": {key: options[key] for key in ("image_size", "batch_size")},
        "stages": [head, finetune] if options["finetune_epochs"] else [head],
    }


def unfrozen(result: dict[str, Any]) -> list[str]:
    return result["stages"][-1]["trainable_layers"]


def figures_of(result: dict[str, Any]) -> dict[str, Any]:
    keys = ("name", "prefix_seconds", "fit_seconds", "seconds", "cache", "val_accuracy")
    stages = [{key: stage[key] for key in keys} for stage in result["stages"]]
    return {
        "data_seconds": result["data_seconds"],
        "stages": stages,
        "accuracy": result["test_accuracy"],
        "interval": result["test_accuracy_interval"],
        "process_seconds": result["process_seconds"],
    }


def rival(said: dict[str, Any]) -> dict[str, Any]:
    """A baseline's seconds, and its accuracies: after the head stage and at the end."""
    seconds = {key: value for key, value in said.items() if key.endswith("seconds")}
    head = judged(said["head_correct"], said["total"])
    return {**seconds, "head": head, **judged(said["correct"], said["total"])}


def compare(figures: dict[str, Any]) -> dict[str, float]:
    """Each rival's seconds by the program's, for the first stage and for all of them.

    Cold is with packing; warm is the frozen prefix and the fit on a cache that has all.
    """
    ratios = {}
    for name in ("guide", "fastai"):
        for state in ("cold", "warm") if figures[name] else ():
            ours, theirs = figures[state], figures[name]
            start = ours["data_seconds"] if state == "cold" else 0.0
            seconds = [s["prefix_seconds"] + s["fit_seconds"] for s in ours["stages"]]
            ratios[f"{name}_head_by_{state}"] = theirs["head_seconds"] / (start + seconds[0])
            whole = theirs["head_seconds"] + theirs["finetune_seconds"]
            ratios[f"{name}_by_{state}"] = whole / (start + sum(seconds))
    return ratios


if __name__ == "__main__":
    main()
