"""The metric `my_component`: the mean F-beta score of the classes."""

from functools import partial

from pydantic import Field

from kerascnn import Component, Metric, Params, hookimpl


class FBetaParams(Params):
    """The component's keys in the TOML; `plugins show` lists their descriptions and bounds."""

    beta: float = Field(
        1.0, gt=0, description="Weight of the recall: below 1 precision counts more, above 1 less."
    )


def f_beta(labels, probabilities, beta):
    """The mean over classes of the F-beta score (van Rijsbergen 1979).

    Args:
        labels: int [N], at least one; a class may have no image.
        probabilities: float [N, K].
    """
    from kerascnn import confusion_matrix  # imports NumPy

    confusion = confusion_matrix(labels, probabilities)  # [K, K]
    hits, images, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    there = images + predicted > 0
    scores = (1 + beta**2) * hits[there] / (beta**2 * images + predicted)[there]
    return float(scores.mean())


def build(params, *, class_names):
    """Returns the metric; raise InputError here if it does not fit the classes."""
    return Metric(partial(f_beta, beta=params.beta))


@hookimpl
def kerascnn_metrics():
    return [Component("my_component", build, FBetaParams, "mean F-beta score")]
