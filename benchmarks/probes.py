"""How well the order of probes is that of full runs: networks of real weights at several sizes.

For each seed a part of each class is left out for the test, another one each time. On the others
each network is probed and run in full at each size. The rank correlation is that of the means over
the seeds, and the median of those of each seed.
"""

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from common import KERASCNN, document, networks_option, report, split_folder

from kerascnn.studies.probe.result import rank_correlation

Found = dict[str, tuple[float, float]]  # accuracy of the probe and of the full run


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, resolve_path=True, path_type=Path), required=True
)
@click.option("--experiment", type=click.Path(exists=True, resolve_path=True), required=True)
@networks_option
@click.option("--image-size", "sizes", multiple=True, default=(112, 224), show_default=True)
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--test-share", default=0.2, show_default=True, type=click.FloatRange(0, 1))
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Of the experiment.")
def main(
    data: Path,
    experiment: str,
    networks: str,
    sizes: tuple[int, ...],
    seeds: int,
    test_share: float,
    settings: tuple[str, ...],
) -> None:
    """Say the accuracies of each, and how well their orders agree."""
    every = list[Found]()
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as place:
            photos = Path(place, data.name)
            split_folder(data, photos, {"test": test_share}, seed)
            own = [f"dataset.path={photos}", f"seed={seed}", *settings]
            every.append(
                {
                    f"{name} at {size} px": accuracies
                    for size in sizes
                    for name, accuracies in found(Path(place), experiment, networks, size, own)
                }
            )
    means = {name: tuple(np.mean([of[name] for of in every], axis=0)) for name in every[0]}
    figures = {
        "networks": {name: {"probe": probe, "run": run} for name, (probe, run) in means.items()},
        "rank_correlation": correlation(means),
        "of_each_seed": [correlation(of) for of in every],
    }
    report("probes", {"data": data.name, "seeds": seeds, **figures})


def found(
    folder: Path, experiment: str, networks: str, size: int, settings: list[str]
) -> list[tuple[str, tuple[float, float]]]:
    """Each network's accuracy by its probe, and tested after a full run."""
    names = ("--architectures", networks, "--promote", len(networks.split(",")))
    sets = [word for one in (*settings, f"training.image_size={size}") for word in ("--set", one)]
    command = [*KERASCNN, "probe", experiment, *names, *sets, "--json"]
    done = document(command, folder, folder / "cache")
    return [
        (one["architecture"], (one["accuracy"], run["test_accuracy"]))
        for one, run in zip(done["networks"], done["runs"], strict=True)
    ]


def correlation(found: dict[str, Any]) -> tuple[float, float, float] | None:
    """Spearman's, with its 95% interval."""
    probes, runs = zip(*found.values(), strict=True)
    return rank_correlation(probes, runs)


if __name__ == "__main__":
    main()
