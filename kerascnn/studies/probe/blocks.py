"""Probes one network at the end of every block: which depth pays, and where to cut.

The features of later blocks are more specific to what the network was trained on (Yosinski et al.,
How transferable are features, arXiv 1411.1792).
"""

import time
from functools import partial
from pathlib import Path

import numpy as np

from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.metrics.significance import wilson_interval
from kerascnn.engine.network.block_ends import BlockEnd, block_ends
from kerascnn.engine.observer import Observer, Only, default_observer
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment, check_experiment
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.process import contained
from kerascnn.studies.features.images import FoldedImages, load_images, require_every_fold
from kerascnn.studies.features.network import Extractor, Features, prepare_features
from kerascnn.studies.probe.behind import behind_best
from kerascnn.studies.probe.blocks_result import BlocksResult, ProbedBlock, blocks_figure
from kerascnn.studies.probe.network import judge_features
from kerascnn.studies.record import record

STORED_AS = "the end of every block"


@contained()
def probe_blocks(experiment: BoundExperiment, observer: Observer | None = None) -> BlocksResult:
    """Judges the features at the end of every block of an experiment's network, in one pass.

    Args:
        experiment: From `load_experiment`; its stages decide nothing.
        observer: Receives progress events; default prints them on standard error; `Observer()`
            shows nothing.

    Raises:
        InputError: The experiment is at fault, or nothing comes before its network's head.
    """
    check_experiment(experiment)
    observer = observer or default_observer()
    select_backend(experiment.training.backend)
    images = load_images(experiment, observer)
    require_every_fold(images, "a probe")
    start = time.perf_counter()
    heard = Only(download=observer.download, progress=observer.progress, warned=observer.warned)
    ends, features = _features(experiment, images, heard)
    blocks = _judged(ends, features.values, images, heard)

    def result(run_id: str, folder: Path) -> BlocksResult:
        return BlocksResult(
            run_id=run_id,
            name=experiment.name,
            device=device_name(),
            architecture=experiment.architecture.name,
            images=len(images.labels),
            stored=features.stored,
            blocks=blocks,
            seconds=time.perf_counter() - start,
            artifacts=str(folder),
        )

    title = f"blocks of {experiment.architecture.name}"
    return record(experiment.name, title, "blocks", result, blocks_figure, _metrics, observer)


def _metrics(result: BlocksResult) -> dict[str, float]:
    return {"probed_blocks": len(result.blocks)}


def _features(
    experiment: BoundExperiment, images: FoldedImages, observer: Observer
) -> tuple[list[BlockEnd], Features]:
    """The ends of the blocks, and their features side by side."""
    prepared = prepare_features(experiment, images, observer)
    model, ends = block_ends(prepared.network, prepared.plans[0].batchnorm)
    name = experiment.architecture.name
    if model is None:
        raise InputError(f"{name} has nothing before its head that could be probed.")
    extractor = Extractor(name, prepared, model, STORED_AS)
    return ends, extractor.features(images.splits, observer)


def _judged(
    ends: list[BlockEnd], values: np.ndarray, images: FoldedImages, observer: Observer
) -> list[ProbedBlock]:
    judged = list[Standing]()
    progress = partial(observer.progress, "judging blocks")
    columns = np.cumsum([end.features for end in ends])[:-1]
    for number, of_block in enumerate(np.split(values, columns, axis=1), start=1):
        judged.append(judge_features(of_block, images))
        progress(number, len(ends))
    rights = [one.correct for one in judged]
    best = max(range(len(ends)), key=lambda at: (judged[at].accuracy, -judged[at].loss))
    return [
        ProbedBlock(
            block=end.block,
            unfreeze=end.unfreeze,
            boundary=end.boundary,
            features=end.features,
            accuracy=one.accuracy,
            interval=wilson_interval(int(one.correct.sum()), len(one.correct)),
            loss=one.loss,
            behind=behind,
        )
        for end, one, behind in zip(ends, judged, behind_best(rights, best), strict=True)
    ]
