"""Whether a probe by blocks chooses better than `unfreeze = "auto"` which blocks to train.

From a large folder of class folders, small ones are drawn, one for each seed, which also seeds the
training. The last stage trains what `auto` chooses, or what `probe --blocks` on the same images
does, and both are judged on the validation images and on fresh ones, image by image.
"""

import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import click
import drawn
import numpy as np
from common import judged, report

from kerascnn.engine.metrics.significance import paired_interval

AUTO, BLOCKS = "auto", "blocks"
VALIDATION = 0.2


@click.command()
@drawn.options
def main(
    data: Path, experiment: Path, counts: str, fresh: int, seeds: int, settings: tuple[str, ...]
) -> None:
    """Say the accuracy and loss of both, and their differences."""
    from kerascnn import Observer, probe_blocks

    sizes = list(map(int, counts.split(",")))
    rows: dict[str, list[dict[str, np.ndarray]]] = {AUTO: [], BLOCKS: []}
    chosen = []
    with tempfile.TemporaryDirectory() as place, chdir(place):
        for seed in range(seeds):
            file = Path(place, f"{seed}.csv")
            table = drawn.write_table(file, data, sizes, fresh, seed, VALIDATION)
            own = drawn.settings_of(data, table, seed)
            loaded = drawn.load(experiment, [*own, *settings])
            last = loaded.stages[-1].name
            probed = probe_blocks(loaded, Observer())
            words = {AUTO: "auto", BLOCKS: probed.enough.unfreeze}
            outcomes: dict[str, dict[str, np.ndarray]] = {}
            for way, unfreeze in words.items():
                choice, outcome = outcomes_of(
                    loaded.with_overrides({f"stages.{last}.unfreeze": unfreeze}), outcomes
                )
                outcomes[choice] = outcome
                rows[way].append(outcome)
                words[way] = choice
            chosen.append(words)
    report(
        "unfreeze",
        {
            "data": data.name,
            "counts": counts,
            "settings": settings,
            "chosen": chosen,
            "ways": {way: figures(of_way, rows[AUTO]) for way, of_way in rows.items()},
        },
    )


def outcomes_of(
    experiment: Any, known: dict[str, dict[str, np.ndarray]]
) -> tuple[str, dict[str, np.ndarray]]:
    """What the last stage trains, and what becomes of the validation and the test images.

    Of each whether it is recognised, and its loss: [N]. A known choice is not trained again.
    """
    prepared = drawn.prepare(experiment)
    choice = prepared.plans[-1].choice.removeprefix("auto: ")
    if choice in known:
        return choice, known[choice]
    drawn.train(prepared)
    outcome = {}
    for name in ("validation", "test"):
        probabilities, labels = drawn.predict(prepared, name)
        of_label = probabilities[np.arange(len(labels)), labels]
        outcome[name] = (probabilities.argmax(1) == labels).astype(float)
        outcome[f"{name}_loss"] = -np.log(np.clip(of_label, 1e-7, 1))
    return choice, outcome


def figures(rows: list[dict[str, np.ndarray]], auto: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Each number over all seeds, its difference from that of `auto`, and that of each seed."""
    told = dict[str, Any]()
    for name in rows[0]:
        values, others = (np.concatenate([of[name] for of in ways]) for ways in (rows, auto))
        told[name] = {
            "mean": float(values.mean()),
            "difference": float(values.mean() - others.mean()),
            "difference_interval": paired_interval(others, values),
            "seeds": [float(of[name].mean()) for of in rows],
        }
        if not name.endswith("_loss"):
            told[name] |= judged(int(values.sum()), len(values))
    return told


if __name__ == "__main__":
    main()
