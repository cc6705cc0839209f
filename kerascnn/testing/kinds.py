"""The checks of each kind of component, and how to run them."""

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from kerascnn.testing import (
    architectures,
    augmentation_speed,
    augmentations,
    datasets,
    each_image,
    engines,
    exporters,
    fingerprints,
    host_augmentations,
    images,
    losses,
    metrics,
    mixings,
    observers,
    partners,
    schedules,
    sources,
    training,
    weights,
)
from kerascnn.testing.checks import Check, Outcome, Subject

_KINDS: dict[str, tuple[type[Subject], tuple[ModuleType, ...]]] = {
    "dataset": (datasets.DatasetSubject, (datasets, sources, images, fingerprints)),
    "augmentation": (
        augmentations.AugmentationSubject,
        (augmentations, augmentation_speed, partners, mixings, host_augmentations),
    ),
    "architecture": (
        architectures.ArchitectureSubject,
        (architectures, each_image, weights, training),
    ),
    "schedule": (schedules.ScheduleSubject, (schedules,)),
    "loss": (losses.LossSubject, (losses,)),
    "metric": (metrics.MetricSubject, (metrics,)),
    "observer": (observers.ObserverSubject, (observers,)),
    "exporter": (exporters.ExporterSubject, (exporters,)),
    "engine": (engines.EngineSubject, (engines,)),
}


def checks_of(kind: str) -> tuple[Check, ...]:
    """The checks of a kind, in the order of execution: that of their modules."""
    defined = (value for module in _KINDS[kind][1] for value in vars(module).values())
    return tuple(value for value in defined if isinstance(value, Check))


def find_subject(kind: str, name: str, params: Mapping[str, Any], **options: Any) -> Subject:
    """Finds an installed component and validates its parameters.

    Args:
        kind: A key of `components.kinds.KINDS`, such as "dataset".
        name: The component's name.
        params: Its parameters, as in the TOML.
        options: `image_size` and `imagenet_classifier`; see `Subject`.

    Raises:
        InputError: There is no such component, or its parameters are invalid.
    """
    return _KINDS[kind][0].find(name, params, **options)


def run_checks(subject: Subject) -> Iterator[Outcome]:
    """Runs the checks of the subject's kind, one after the other."""
    return (check.run(subject) for check in checks_of(subject.kind))
