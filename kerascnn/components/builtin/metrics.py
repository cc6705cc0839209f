"""Metrics of classification."""

from functools import partial
from typing import Any

from pydantic import Field

from kerascnn import (
    Component,
    InputError,
    Metric,
    NoParams,
    Params,
    counted,
    did_you_mean,
    hookimpl,
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


SIMPLE = {
    "accuracy": "share of images classified correctly",
    "balanced_accuracy": "mean recall: every class counts the same",
    "macro_f1": "mean F1 of the classes",
    "log_loss": "cross-entropy of the probabilities; smaller is better",
}


def build(name: str, params: Any, *, class_names: tuple[str, ...]) -> Metric:
    from kerascnn.components.builtin import measures

    return Metric(getattr(measures, name), greater_is_better=name != "log_loss")


def build_top_k(params: Any, *, class_names: tuple[str, ...]) -> Metric:
    from kerascnn.components.builtin.measures import top_k

    if params.k >= len(class_names):
        raise InputError(
            f"top_k: k = {params.k} with {counted(len(class_names), 'class')} would always be 1; "
            f"set k to at most {len(class_names) - 1}."
        )
    return Metric(partial(top_k, k=params.k))


def build_kappa(params: Any, *, class_names: tuple[str, ...]) -> Metric:
    from kerascnn.components.builtin.measures import quadratic_kappa

    order = tuple(map(nfc, params.order or class_names))
    for name in order:
        if name not in class_names:
            raise InputError(
                f'quadratic_kappa: order names "{name}", which is not a class.'
                f"{did_you_mean(name, class_names)}"
            )
    if sorted(order) != sorted(class_names):
        raise InputError(
            f"quadratic_kappa: order must name each class once: {', '.join(class_names)}."
        )
    return Metric(partial(quadratic_kappa, places=[order.index(name) for name in class_names]))


@hookimpl
def kerascnn_metrics() -> list[Component]:
    return [
        *(
            Component(name, partial(build, name), NoParams, summary)
            for name, summary in SIMPLE.items()
        ),
        Component("top_k", build_top_k, TopKParams, "true class among the k most probable"),
        Component(
            "quadratic_kappa",
            build_kappa,
            KappaParams,
            "agreement of ordered classes (Cohen 1968)",
        ),
    ]
