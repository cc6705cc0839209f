"""What the result of an ensemble says of its members."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerascnn.engine.metrics.significance import equally_accurate, paired_interval
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result.ensemble import Decision, EnsembleTable, MemberTable
from kerascnn.engine.result.run import Result
from kerascnn.results.find import find_run


def member_runs(prepared: Prepared) -> list[Result]:
    """The runs that are members of an ensemble."""
    params: Any = prepared.experiment.architecture.params
    return [find_run(member.run) for member in params.members]


def ensemble_table(
    prepared: Prepared,
    probabilities: dict[str, np.ndarray],
    members: dict[str, np.ndarray],
    decisions: Sequence[Decision],
) -> EnsembleTable | None:
    """Compares an ensemble with each of its members, on the same images; None for other networks.

    Args:
        probabilities: Of the ensemble, float [N, K], by split: "validation" and "test".
        members: Of its members, float [M, N, K]; M is 0 for other networks.
        decisions: How it was put together.
    """
    if not len(members["test"]):
        return None
    params: Any = prepared.experiment.architecture.params
    labels = {split: packed.labels for split, packed in prepared.data.splits().items()}
    right = probabilities["test"].argmax(1) == labels["test"]
    of_members = {split: of.argmax(2) == labels[split] for split, of in members.items()}  # [M, N]
    runs = member_runs(prepared)
    tables = [
        MemberTable(
            run=run.run_id,
            name=run.name,
            architecture=run.experiment["architecture"]["name"],
            image_size=run.training.image_size,
            sha256=member.sha256,
            weight=member.weight,
            temperature=member.temperature,
            val_accuracy=float(validated.mean()),
            test_accuracy=float(tested.mean()),
            gain=float(right.mean() - tested.mean()),
            gain_interval=paired_interval(tested, right),
            p_value=equally_accurate(right, tested),
        )
        for run, member, validated, tested in zip(
            runs, params.members, of_members["validation"], of_members["test"], strict=True
        )
    ]
    apart = sum(run.parameters for run in runs) - prepared.network.parameters()
    return EnsembleTable(
        members=tables,
        views=params.views,
        shared_parameters=max(0, apart),
        decisions=list(decisions),
    )
