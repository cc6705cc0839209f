"""Metrics of classification; each is defined for any set of images with at least one."""

from functools import partial
from typing import Any

import numpy as np
from pydantic import Field

from kerascnn import (
    Component,
    InputError,
    Metric,
    NoParams,
    Params,
    confusion_matrix,
    counted,
    cross_entropy,
    did_you_mean,
    hookimpl,
    macro_f1,
    nfc,
)


class TopKParams(Params):
    k: int = Field(5, ge=1, description="How many classes count; fewer than there are.")


class KappaParams(Params):
    order: tuple[str, ...] | None = Field(
        None,
        description="All class names, from the lowest to the highest; default their own order, "
        "which for folders is alphabetical.",
    )


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float((probabilities.argmax(1) == labels).mean())


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean recall of the classes that have an image."""
    confusion = confusion_matrix(labels, probabilities)
    images = confusion.sum(1)
    there = images > 0
    return float((confusion.diagonal()[there] / images[there]).mean())


def f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return macro_f1(confusion_matrix(labels, probabilities))


def top_k(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """The share of images whose class is among the k most probable; of equals, the first ones."""
    of_label = probabilities[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(probabilities.shape[1]) < labels[:, None]
    before = (probabilities > of_label) | ((probabilities == of_label) & earlier)  # [N, K]
    return float((before.sum(1) < k).mean())


def quadratic_kappa(labels: np.ndarray, probabilities: np.ndarray, places: np.ndarray) -> float:
    """Cohen's kappa with quadratic weights (1968, doi 10.1037/h0026256).

    Args:
        places: The place of each class in the order, int [K].

    Returns:
        1 minus the mean squared distance between true and predicted class over that of the same
        classes paired at random; NaN if only one class is true and predicted.
    """
    confusion = confusion_matrix(labels, probabilities)
    apart = np.square(places[:, None] - places)  # [K, K]
    by_chance = np.outer(confusion.sum(1), confusion.sum(0)) / len(labels)
    expected = (apart * by_chance).sum()
    return float(1 - (apart * confusion).sum() / expected) if expected else float("nan")


def build_top_k(params: Any, *, class_names: tuple[str, ...]) -> Metric:
    if params.k >= len(class_names):
        raise InputError(
            f"top_k: k = {params.k} with {counted(len(class_names), 'class')} would always be 1; "
            f"set k to at most {len(class_names) - 1}."
        )
    return Metric(partial(top_k, k=params.k))


def build_kappa(params: Any, *, class_names: tuple[str, ...]) -> Metric:
    order = tuple(map(nfc, params.order or class_names))
    for name in order:
        if name not in class_names:
            raise InputError(
                f'quadratic_kappa: order names "{name}", which is not a class.'
                f"{did_you_mean(name, class_names)}"
            )
    if sorted(order) != sorted(class_names):
        raise InputError(
            "quadratic_kappa: order must name each class once: " + ", ".join(class_names) + "."
        )
    return Metric(partial(quadratic_kappa, places=np.array([*map(order.index, class_names)])))


def build(compute: Any, params: Any, *, class_names: tuple[str, ...]) -> Metric:
    return Metric(compute, greater_is_better=compute is not cross_entropy)


SIMPLE = {
    "accuracy": (accuracy, "share of images classified correctly"),
    "balanced_accuracy": (balanced_accuracy, "mean recall: every class counts the same"),
    "macro_f1": (f1, "mean F1 of the classes"),
    "log_loss": (cross_entropy, "cross-entropy of the probabilities; lower is better"),
}


@hookimpl
def kerascnn_metrics() -> list[Component]:
    return [
        *(
            Component(name, partial(build, compute), NoParams, summary)
            for name, (compute, summary) in SIMPLE.items()
        ),
        Component("top_k", build_top_k, TopKParams, "true class among the k most probable ones"),
        Component(
            "quadratic_kappa",
            build_kappa,
            KappaParams,
            "agreement for ordered classes (Cohen 1968)",
        ),
    ]
