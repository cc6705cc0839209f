"""What `result.json` says of an update: what was new, and the old network against the new one."""

from typing import TypedDict

from kerascnn.engine.result.ensemble import Decision


class Side(TypedDict):
    """The old and the new network on the same test images, under the labels of the update.

    Args:
        images: Their number.
        before: Accuracy of the run that was updated.
        after: Accuracy of the update.
        difference: After minus before.
        interval: 95%, paired bootstrap.
        p_value: McNemar's exact test.
    """

    images: int
    before: float
    after: float
    difference: float
    interval: tuple[float, float]
    p_value: float


class ClassSide(Side):
    """The same of one class.

    Args:
        name: Of the class.
        p_corrected: The p-value corrected for the number of classes (Holm).
    """

    name: str
    p_corrected: float


class NewLabelTable(TypedDict):
    """An image under another label than in the run that was updated."""

    image: str
    split: str
    before: str
    label: str


class UpdateTable(TypedDict):
    """An update of a run.

    Args:
        run: The id of the run that was updated.
        start: "warm" or "anew".
        new: The number of new images of each class in each split.
        classes: The new classes.
        relabelled: Images with another label, at most 1,000.
        relabelled_count: All of these.
        gone: Images of the run that are not there any more.
        old_tests: Both networks on the test images of the run; None without any.
        by_class: The same for each class that the run knew, in its order.
        new_tests: Both networks on new test images; None without any.
        all_tests: Both on all test images.
        worse: The classes that surely got worse: corrected p-values below 0.05.
        decisions: Why the network was started so.
    """

    run: str
    start: str
    new: dict[str, dict[str, int]]
    classes: list[str]
    relabelled: list[NewLabelTable]
    relabelled_count: int
    gone: int
    old_tests: Side | None
    by_class: list[ClassSide]
    new_tests: Side | None
    all_tests: Side
    worse: list[str]
    decisions: list[Decision]
