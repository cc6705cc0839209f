"""The checks of a metric: computed of random and of perfect predictions."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kerascnn.errors import InputError, PluginError
from kerascnn.hookspecs import Metric, kerascnn_metrics
from kerascnn.testing.checks import CheckError, Subject, check

IMAGES, CLASSES = 300, 7
MANY = 10_000  # images of the check of time
SECONDS = 0.1  # a bootstrap computes a metric 1,000 times
CLOSE = 1e-5  # relative: rounding of float32 sums in another order


class MetricSubject(Subject):
    """A metric, built for seven classes."""

    kind = "metric"

    def make(self) -> Any:
        try:
            return self.build(CLASSES)
        except PluginError:
            raise
        except InputError as error:
            raise InputError(
                f'{error} The checks name the classes "class 0" to "class {CLASSES - 1}": give '
                "parameters that fit them."
            ) from error

    def build(self, classes: int) -> Any:
        return self.bound.build(class_names=tuple(f"class {index}" for index in range(classes)))


def random_predictions(
    images: int = IMAGES, classes: int = CLASSES
) -> tuple[np.ndarray, np.ndarray]:
    """Labels int [N] of every class, and random probabilities float32 [N, K]."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(classes), images).astype(np.float32)
    return rng.permutation(np.arange(images) % classes), probabilities


def value_of(metric: Metric, labels: np.ndarray, probabilities: np.ndarray) -> float:
    value = metric.compute(labels, probabilities)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise CheckError(f"compute returned {type(value).__name__}")
    return float(value)


@check(kerascnn_metrics)
def builds(subject: MetricSubject) -> str:
    """The builder returns a kerascnn.Metric, whose compute can be called."""
    if not callable(subject.made.compute):
        raise CheckError(f"compute is {subject.made.compute!r}")
    return f"{'greater' if subject.made.greater_is_better else 'smaller'} is better"


@check(Metric)
def finite_number(subject: MetricSubject) -> str:
    """For random predictions of every class the metric is a finite int or float."""
    value = value_of(subject.made, *random_predictions())
    if not np.isfinite(value):
        raise CheckError(f"{value}")
    return f"{value:.4g}"


@check(Metric)
def same_twice(subject: MetricSubject) -> None:
    """The same labels and probabilities give the same value again: nothing random, no state."""
    first, again = (value_of(subject.made, *random_predictions()) for _ in range(2))
    _same(again, first, "the second time")


@check(Metric)
def any_order(subject: MetricSubject) -> None:
    """The value does not depend on the order of the images."""
    labels, probabilities = random_predictions()
    order = np.random.default_rng(1).permutation(IMAGES)
    shuffled = value_of(subject.made, labels[order], probabilities[order])
    _same(shuffled, value_of(subject.made, labels, probabilities), "in another order")


@check(Metric)
def perfect_is_better(subject: MetricSubject) -> str:
    """Perfect predictions are better than random ones, in the direction of greater_is_better."""
    labels, probabilities = random_predictions()
    perfect = np.eye(CLASSES, dtype=np.float32)[labels]
    best, other = (value_of(subject.made, labels, p) for p in (perfect, probabilities))
    said = f"perfect {best:.4g}, random {other:.4g}"
    if not (best > other if subject.made.greater_is_better else best < other):
        raise CheckError(f"{said}, with greater_is_better = {subject.made.greater_is_better}")
    return said


@check(Metric)
def leaves_its_arguments(subject: MetricSubject) -> None:
    """compute changes neither labels nor probabilities, which are used again."""
    given, kept = random_predictions(), random_predictions()
    value_of(subject.made, *given)
    for name, array, before in zip(("labels", "probabilities"), given, kept, strict=True):
        if not np.array_equal(array, before):
            raise CheckError(f"it changed {name}")


@check(Metric)
def missing_class(subject: MetricSubject) -> str:
    """Without an image of a class, with images of one class only, and with a single image, the
    metric is a number, or NaN where it is not defined; it raises nothing."""
    labels, probabilities = random_predictions()
    chosen = {
        "without a class": labels > 0,
        "one class": labels == 1,
        "one image": np.arange(IMAGES) == 0,
    }
    with np.errstate(all="ignore"):
        values = {
            name: value_of(subject.made, labels[rows], probabilities[rows])
            for name, rows in chosen.items()
        }
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


@check(kerascnn_metrics)
def few_and_many_classes(subject: MetricSubject) -> str:
    """The metric is a finite number for 2 and for 100 classes, or its builder raises InputError
    where it does not fit."""
    said = []
    for classes in (2, 100):
        try:
            made = subject.build(classes)
        except PluginError:
            raise
        except InputError:
            said.append(f"{classes} classes refused")
            continue
        value = value_of(made, *random_predictions(classes=classes))
        if not np.isfinite(value):
            raise CheckError(f"{value} with {classes} classes")
        said.append(f"{classes} classes {value:.4g}")
    return ", ".join(said)


@check(Metric)
def quick(subject: MetricSubject) -> str:
    """Of 10,000 images it takes at most 0.1 s, because a bootstrap interval takes 1,000 values."""
    given = random_predictions(MANY)
    seconds = min(_seconds(subject.made.compute, *given) for _ in range(3))
    if seconds > SECONDS:
        raise CheckError(f"{seconds:.2f} s")
    return f"{1000 * seconds:.1f} ms"


def _seconds(function: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def _same(found: float, value: float, when: str) -> None:
    if abs(found - value) > CLOSE * max(abs(value), 1):
        raise CheckError(f"{found!r} {when} instead of {value!r}")
