"""Runs judged on labelled images that are not their own test images."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerascnn.engine.metrics.score import measure
from kerascnn.engine.observer import Observer
from kerascnn.engine.result import Result, SplitTable
from kerascnn.results.inference.evaluate import predict_folder
from kerascnn.results.predictions import Predictions


@dataclass(frozen=True)
class Elsewhere:
    """What runs say of the images of a folder.

    Args:
        data: The folder.
        predictions: Of each run, in one order of the images.
        images: As each run sees them, uint8 [N, S, S, 3].
    """

    data: str
    predictions: dict[str, Predictions]
    images: dict[str, Any]


def judge_elsewhere(
    results: Iterable[Result], data: str | Path, observer: Observer
) -> tuple[list[Result], Elsewhere]:
    """Lets each run judge the images of a folder, prepared in the run's own way.

    Returns:
        The results as if these had been their test images, and what was said of each image.
    """
    elsewhere, judged = Elsewhere(str(data), {}, {}), []
    for result in results:
        said, images = predict_folder(result, data, observer=observer)
        elsewhere.predictions[result.run_id] = said
        elsewhere.images[result.run_id] = images
        test = measure(said.probabilities, said.labels, tuple(result.class_names))
        split: SplitTable = {"images": len(said), "fingerprint": str(Path(data).resolve())}
        judged.append(
            replace(
                result,
                test=test.table(),
                test_accuracy=test.accuracy,
                test_accuracy_interval=test.interval,
                data={**result.data, "test": split},
            )
        )
    return judged, elsewhere
