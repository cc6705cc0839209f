"""Training losses: cross-entropy, one for hard images, and one for uneven classes."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from kerascnn import Component, NoParams, Params, hookimpl


class Focal(Params):
    gamma: float = Field(
        2.0,
        ge=0,
        le=10,
        description="How much less images count that are right; 0 is cross-entropy.",
    )


class LogitAdjustment(Params):
    tau: float = Field(
        1.0, ge=0, le=5, description="Strength of the adjustment; 0 is cross-entropy."
    )


def build_cross_entropy(params: NoParams, *, num_classes: int, class_counts: Sequence[int]) -> Any:
    """`sum_k y_k -log p_k`."""
    import keras

    return keras.losses.CategoricalCrossentropy()


def build_focal(params: Focal, *, num_classes: int, class_counts: Sequence[int]) -> Any:
    """`sum_k y_k (1 - p_k)^gamma -log p_k` (Lin et al., arXiv 1708.02002)."""
    import keras

    return keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=params.gamma)


def build_logit_adjustment(
    params: LogitAdjustment, *, num_classes: int, class_counts: Sequence[int]
) -> Any:
    """Cross-entropy of `softmax(log p + tau log prior)` (Menon et al., arXiv 2007.07314)."""
    from kerascnn.components.builtin.logit_adjusted import LogitAdjusted

    return LogitAdjusted(class_counts, params.tau)


@hookimpl
def kerascnn_losses() -> list[Component]:
    return [
        Component("cross_entropy", build_cross_entropy, summary="cross-entropy"),
        Component(
            "focal", build_focal, Focal, "less weight on images that are right (arXiv 1708.02002)"
        ),
        Component(
            "logit_adjustment",
            build_logit_adjustment,
            LogitAdjustment,
            "for uneven classes, by their frequencies (arXiv 2007.07314)",
        ),
    ]
