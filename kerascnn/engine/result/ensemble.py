"""What `result.json` says of an ensemble."""

from typing import TypedDict


class MemberTable(TypedDict):
    """A member of an ensemble; accuracies are of the ensemble's own images.

    Args:
        run: Its id.
        name: The name of its experiment.
        architecture: The name of its network.
        image_size: Pixels.
        sha256: Of its file model/data/model.keras.
        weight: Its share of the mean.
        temperature: Calibrates its probabilities before the mean.
        test_accuracy: Of its network inside the ensemble, on the test images.
        gain: Of the ensemble over it, in test accuracy.
        gain_interval: 95%, paired bootstrap.
        p_value: McNemar's exact test of the two, of this pair alone.
    """

    run: str
    name: str
    architecture: str
    image_size: int
    sha256: str
    weight: float
    temperature: float
    val_accuracy: float
    test_accuracy: float
    gain: float
    gain_interval: tuple[float, float]
    p_value: float


class Decision(TypedDict):
    """What was chosen by the validation images.

    Args:
        what: "weights" or "views".
        chosen: In words.
        why: A sentence with the test.
    """

    what: str
    chosen: str
    why: str


class EnsembleTable(TypedDict):
    """How an ensemble was made.

    Args:
        views: What probabilities are averaged over: a key of `engine.network.joined.VIEWS`.
        shared_parameters: Weights of the members that the ensemble has once instead of several
            times.
        decisions: Empty if the experiment was run again as it is written.
    """

    members: list[MemberTable]
    views: int
    shared_parameters: int
    decisions: list[Decision]
