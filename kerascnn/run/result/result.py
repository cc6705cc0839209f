"""Evaluates the trained network of a run, and makes its result."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.data.store.packed import Packed
from kerascnn.engine.metrics.calibration import AS_TRAINED, fit_temperature
from kerascnn.engine.metrics.named import measure_named, value_of
from kerascnn.engine.metrics.score import Metrics, measure
from kerascnn.engine.metrics.significance import paired_interval
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.explain.maps import map_shape
from kerascnn.engine.network.loadable import modules_to_import
from kerascnn.engine.network.predictor import Answering, answering
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result.ensemble import Decision
from kerascnn.engine.result.run import Result
from kerascnn.engine.result.tables import MetricTable, SplitTable, StageTable, WeightsTable
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.experiment.training import Training
from kerascnn.run.result.ensemble_table import ensemble_table, member_runs
from kerascnn.run.result.teacher_table import teacher_table
from kerascnn.run.result.update_table import update_table
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.keras_internals import last_calls
from kerascnn.runtime.versions import installed_versions


@dataclass(frozen=True)
class Evaluated:
    test: Metrics  # of the test images
    probabilities: dict[str, np.ndarray]  # float32 [N, K], by split: "validation" and "test"
    temperature: float  # fitted on the validation images
    metrics: dict[str, MetricTable]
    answer: Answering  # what computed them
    members: dict[str, np.ndarray]  # those of an ensemble's M members, float32 [M, N, K], by split
    features: dict[str, np.ndarray]  # as in `Said`: float32 [N, F], by split


def evaluate(prepared: Prepared, warned: Callable[[str], None]) -> Evaluated:
    """Evaluates the network; `warned` receives what cannot be computed."""
    data, training = prepared.data, prepared.experiment.training
    splits = {"validation": data.validation, "test": data.test}
    images, name = sum(map(len, splits.values())), prepared.experiment.name
    how = training.images_at_once, training.prefix_engine
    answer = answering(prepared.network.model, images, *how, name, warned)
    windows = Preparation.of(training).windows
    said = {of: answer(windows(split.images), split.digests) for of, split in splits.items()}
    probabilities = {name: of.probabilities for name, of in said.items()}
    return Evaluated(
        measure(probabilities["test"], data.test.labels, data.class_names),
        probabilities,
        _temperature(training, probabilities["validation"], data.validation.labels),
        _metrics(prepared, probabilities, warned),
        answer,
        {name: of.members for name, of in said.items()},
        {name: of.features for name, of in said.items()},
    )


def _temperature(training: Training, probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The one that is set, or else fitted on validation images that were not trained on."""
    if training.temperature is not None:
        return training.temperature
    return fit_temperature(probabilities, labels) if training.train_on == "train" else AS_TRAINED


def _metrics(
    prepared: Prepared, probabilities: dict[str, np.ndarray], warned: Callable[[str], None]
) -> dict[str, MetricTable]:
    data, metrics = prepared.data, prepared.metrics
    tested = measure_named(metrics, data.test.labels, probabilities["test"], "test", warned)
    said = data.validation.labels, probabilities["validation"]
    return {
        metric.name: {
            **tested[metric.name],
            "validation": value_of(metric, *said, "validation", warned),
        }
        for metric in metrics
    }


def make_result(
    prepared: Prepared,
    folder: Path,
    evaluated: Evaluated,
    stages: list[StageResult],
    seconds: float,
    devices: list[int],
    decisions: Sequence[Decision] = (),
) -> Result:
    """Makes the result; `folder` is named by the run's id, `seconds` is the run's duration.

    `devices` are the numbers of devices that it was trained on, one after another.
    `decisions` are those by which an ensemble was put together, or an update started.
    """
    data, test = prepared.data, evaluated.test
    return Result(
        run_id=folder.name,
        name=prepared.experiment.name,
        backend=prepared.backend,
        test_accuracy=test.accuracy,
        test_accuracy_interval=test.interval,
        test=test.to_json(),
        stages=[stage_table(stage) for stage in stages],
        class_names=list(data.class_names),
        parameters=prepared.network.parameters(),
        seconds=seconds,
        data_seconds=data.seconds,
        data={name: _split_table(packed) for name, packed in data.splits().items()},
        experiment=prepared.experiment.resolved,
        plugins=prepared.experiment.origins,
        artifacts=str(folder),
        history=history_of(stages),
        class_counts={name: counts.tolist() for name, counts in data.class_counts().items()},
        blocks=_map_layers(prepared.network),
        device=device_name(),
        devices=devices,
        versions=installed_versions(),
        ended=datetime.now().astimezone().isoformat(timespec="seconds"),
        findings=prepared.examination.findings.to_json(),
        notes=[*prepared.examination.notes, *_short_of_memory(prepared, stages)],
        modules=modules_to_import(prepared.network),
        temperature=evaluated.temperature,
        metrics=evaluated.metrics,
        engine=evaluated.answer.fastest.engine,
        ensemble=ensemble_table(prepared, evaluated.probabilities, evaluated.members, decisions),
        teacher=teacher_table(prepared, evaluated.probabilities["test"].argmax(1)),
        weights=_weights_tables(
            prepared, member_runs(prepared) if len(evaluated.members["test"]) else []
        ),
        update=update_table(prepared, evaluated.probabilities["test"].argmax(1), decisions),
    )


def _short_of_memory(prepared: Prepared, stages: list[StageResult]) -> Iterator[str]:
    for plan, stage in zip(prepared.plans, stages, strict=False):
        if stage.accumulation > plan.accumulation:
            yield (
                f'stage "{stage.name}" ran out of memory and was trained with '
                f"gradient_accumulation = {stage.accumulation} instead of {plan.accumulation}"
            )


def _split_table(packed: Packed) -> SplitTable:
    return {"images": len(packed), "fingerprint": packed.fingerprint, "packed": packed.made}


def _weights_tables(prepared: Prepared, members: Sequence[Result]) -> list[WeightsTable]:
    """Those of the network, or of the members of an ensemble, each once."""
    if members:
        of_members = [table for run in members for table in run.weights]
        return [table for at, table in enumerate(of_members) if table not in of_members[:at]]
    if not (weights := prepared.network.weights):
        return []
    return [
        {
            "origin": weights.origin,
            "licence": weights.licence,
            "trained_on": weights.trained_on,
            "image_size": weights.image_size,
        }
    ]


def stage_table(result: StageResult) -> StageTable:
    """A stage for JSON."""
    table: StageTable = {
        "name": result.name,
        "unfreeze": result.choice,
        "reused_from": result.reused_from,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "seconds": result.seconds,
        "trained_seconds": result.trained_seconds,
        "prefix_seconds": result.prefix_seconds,
        "fit_seconds": result.fit_seconds,
        "cache": asdict(result.cached),
        "images_per_second": statistics.median(
            epoch.metrics["images_per_second"] for epoch in result.history
        ),
        "trainable_parameters": result.trainable_parameters,
        "trainable_layers": result.trainable_layers,
        "boundary": result.boundary,
        "val_accuracy": result.own.accuracy,
        "val_loss": result.own.loss,
        "kept": result.kept,
        "frozen_sha256": result.frozen_sha256,
        "ended_sha256": result.ended_sha256,
    }
    if result.accumulation > 1:
        table["gradient_accumulation"] = result.accumulation
    if result.own.metric:
        table["decided"] = {"metric": result.own.metric, "value": result.own.value}
        if result.before:
            table["decided"]["gain"] = result.own.value - result.before.value
    if result.before:  # gain in validation accuracy over the weights it started from
        table["gain"] = result.own.accuracy - result.before.accuracy
        table["gain_interval"] = paired_interval(result.before.correct, result.own.correct)
    return table


def history_of(stages: list[StageResult]) -> list[dict[str, Any]]:
    """One table per epoch: stage, epoch from 1 within it, metrics."""
    return [
        {"stage": stage.name, "epoch": epoch.number, **epoch.metrics}
        for stage in stages
        for epoch in stage.history
    ]


def _map_layers(network: Built) -> dict[str, str]:
    """The last layer of each block that gives feature maps [B, h, w, C]."""
    return {
        network.block_of[name]: name
        for name, node in last_calls(network.model).items()
        if any(map_shape(node)) and network.block_of.get(name) in network.blocks
    }
