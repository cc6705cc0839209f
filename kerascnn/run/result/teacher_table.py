"""What the result of a student says of its teacher."""

import numpy as np

from kerascnn.engine.metrics.significance import equally_accurate, paired_interval
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result.run import MEMBERS, Result
from kerascnn.engine.result.teacher import Compared, TeacherTable
from kerascnn.results.find import find_run
from kerascnn.results.joined import weights_sha256


def teacher_table(prepared: Prepared, predicted: np.ndarray) -> TeacherTable | None:
    """Compares a student with its teacher, on the test images of both; None without a teacher.

    Args:
        predicted: The student's class for each test image, int [N].
    """
    teacher = next((plan.teacher for plan in prepared.plans if plan.teacher), None)
    if teacher is None:
        return None
    result = find_run(teacher.run)
    rows, theirs, said = teacher.tested()
    if not len(rows):
        return None
    labels, mine = prepared.data.test.labels[rows], predicted[rows]
    right, taught = mine == labels, said == labels
    member, kept = _best_member(result, theirs, labels, right), None
    if member and (gain := taught.mean() - member["test_accuracy"]) > 0:
        kept = float(member["difference"] / gain)
    return TeacherTable(
        sha256=weights_sha256(result),
        parameters=result.parameters,
        images=len(rows),
        agreement=float((mine == said).mean()),
        teacher=_compared(result.run_id, result.experiment["architecture"]["name"], taught, right),
        member=member,
        kept=kept,
    )


def _best_member(
    result: Result, rows: np.ndarray, labels: np.ndarray, right: np.ndarray
) -> Compared | None:
    """The student against the member of an ensemble that its validation images found best.

    `rows` are those of the ensemble's test images.
    """
    if result.ensemble is None:
        return None
    members = result.ensemble["members"]
    best = int(np.argmax([member["val_accuracy"] for member in members]))
    said = np.load(result.folder / MEMBERS)[best, rows]  # [N, K]
    table = members[best]
    return _compared(table["run"], table["architecture"], said.argmax(1) == labels, right)


def _compared(run: str, architecture: str, other: np.ndarray, right: np.ndarray) -> Compared:
    return Compared(
        run=run,
        architecture=architecture,
        test_accuracy=float(other.mean()),
        difference=float(right.mean() - other.mean()),
        interval=paired_interval(other, right),
        p_value=equally_accurate(right, other),
    )
