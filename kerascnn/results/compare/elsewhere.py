"""Runs evaluated on labelled images other than their test images."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerascnn.engine.metrics.score import measure
from kerascnn.engine.observer import Observer
from kerascnn.engine.result.run import Result
from kerascnn.engine.result.tables import SplitTable
from kerascnn.results.inference.evaluate import predict_folder
from kerascnn.results.predictions import Predictions


@dataclass(frozen=True)
class Elsewhere:
    """The predictions of runs for the images of a folder.

    Args:
        data: The folder.
        predictions: Those of each run, in the same order of images.
        images: As the network of each run sees them, uint8 [N, S, S, 3].
    """

    data: str
    predictions: dict[str, Predictions]
    images: dict[str, Any]


def judge_elsewhere(
    results: Iterable[Result], data: str | Path, observer: Observer
) -> tuple[list[Result], Elsewhere]:
    """Evaluates each run on the images of a folder, prepared as for that run.

    Returns:
        The results as if these had been their test images, and the predictions.
    """
    elsewhere, judged = Elsewhere(str(data), {}, {}), []
    for result in results:
        said, images, *_ = predict_folder(result, data, observer=observer)
        elsewhere.predictions[result.run_id] = said
        elsewhere.images[result.run_id] = images
        test = measure(said.probabilities, said.labels, tuple(result.class_names))
        split: SplitTable = {"images": len(said), "fingerprint": str(Path(data).resolve())}
        judged.append(
            replace(
                result,
                test=test.to_json(),
                test_accuracy=test.accuracy,
                test_accuracy_interval=test.interval,
                data={**result.data, "test": split},
            )
        )
    return judged, elsewhere
