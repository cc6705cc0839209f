"""The check of an architecture's description of its pretrained weights."""

from pathlib import Path
from typing import TYPE_CHECKING

from kerascnn.hookspecs import Weights
from kerascnn.testing.checks import CheckError, SkipError, check
from kerascnn.testing.other_processes import in_another_process

if TYPE_CHECKING:
    from kerascnn.testing.architecture_subject import ArchitectureSubject


@check(Weights)
def weights_described(subject: "ArchitectureSubject") -> str:
    """`Component.weights` describes pretrained weights without Keras and without a download: their
    origin, and as far as it is known their licence and training images. With `weights = "none"` it
    returns None."""
    weights, component = subject.made.weights, subject.bound.registered.component
    if component.weights and (found := in_another_process(_weights, subject)) != weights:
        raise CheckError(f"{found!r} in a process without Keras, {weights!r} with it")
    if "weights" in type(subject.bound.params).model_fields:
        scratch = subject.with_params(weights="none").bound
        if found := scratch.weights(subject.image_size or 0):
            raise CheckError(f'weights = "none" is described as {found}')
    if weights is None:
        raise SkipError("it has no pretrained weights")
    if not weights.origin or not (component.weights or Path(weights.origin).is_file()):
        raise CheckError(f'nothing says where "{weights.origin}" comes from')
    return f"{weights}, {weights.licence or 'licence not stated'}"


def _weights(subject: "ArchitectureSubject") -> Weights | None:
    return subject.bound.weights(subject.image_size or 0)
