"""What `result.json` says of a student's teacher."""

from typing import TypedDict


class Compared(TypedDict):
    """A student against another network, on the same test images.

    Args:
        run: Id of the run.
        architecture: The name of its network.
        test_accuracy: On the images that both were tested on.
        difference: The student's accuracy minus this.
        interval: 95%, paired bootstrap.
        p_value: McNemar's exact test.
    """

    run: str
    architecture: str
    test_accuracy: float
    difference: float
    interval: tuple[float, float]
    p_value: float


class TeacherTable(TypedDict):
    """A student's teacher, and what the student kept of it.

    Args:
        sha256: Of the file model/data/model.keras of the teacher's run.
        parameters: Number of the teacher's weights.
        images: Test images that both were tested on.
        agreement: Share of these for which both name the same class.
        teacher: The student against the teacher.
        member: The student against the member of an ensemble that is best on validation images;
            None for other teachers.
        kept: Share of the ensemble's gain over that member that the student has; None without a
            gain.
    """

    sha256: str
    parameters: int
    images: int
    agreement: float
    teacher: Compared
    member: Compared | None
    kept: float | None
