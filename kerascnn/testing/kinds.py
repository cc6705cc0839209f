"""The checks of each kind of component, and how to run them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kerascnn.testing.architectures import ARCHITECTURE_CHECKS
from kerascnn.testing.augmentations import AUGMENTATION_CHECKS
from kerascnn.testing.batches import AugmentationSubject
from kerascnn.testing.checks import Check, Outcome, Subject
from kerascnn.testing.datasets import DATASET_CHECKS
from kerascnn.testing.networks import ArchitectureSubject
from kerascnn.testing.schedules import SCHEDULE_CHECKS, ScheduleSubject
from kerascnn.testing.splits import DatasetSubject

_KINDS: dict[str, tuple[type[Subject], tuple[Check, ...]]] = {
    "dataset": (DatasetSubject, DATASET_CHECKS),
    "augmentation": (AugmentationSubject, AUGMENTATION_CHECKS),
    "architecture": (ArchitectureSubject, ARCHITECTURE_CHECKS),
    "schedule": (ScheduleSubject, SCHEDULE_CHECKS),
}


def checks_of(kind: str) -> tuple[Check, ...]:
    """The checks of a kind, in the order of execution."""
    return _KINDS[kind][1]


def find_subject(
    kind: str,
    name: str,
    params: Mapping[str, Any],
    image_size: int | None = None,
    imagenet_classifier: Callable[[], tuple[Any, Any]] | None = None,
) -> Subject:
    """Finds an installed component and validates its parameters.

    Args:
        kind: "dataset", "augmentation", "architecture" or "schedule".
        name: The component's name.
        params: Its parameters, as in the TOML.
        image_size: See `Subject`.
        imagenet_classifier: See `Subject`.

    Raises:
        InputError: There is no such component, or its parameters are invalid.
    """
    return _KINDS[kind][0].find(name, params, image_size, imagenet_classifier)


def run_checks(subject: Subject) -> Iterator[Outcome]:
    """Runs the checks of the subject's kind, one after the other."""
    for check in checks_of(subject.kind):
        yield check.run(subject)
