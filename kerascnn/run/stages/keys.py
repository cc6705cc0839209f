"""What decides the result of a stage, as one hash."""

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerascnn.components.component import BoundComponent
from kerascnn.engine.data.store.packed import Packed
from kerascnn.engine.load import OF_IMAGES
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.network.structure import structure_of
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.inputs import choose
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.variables import random_state, set_random_state, sha256, values
from kerascnn.experiment.bound import BoundStage
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.source_code import UnknownCodeError
from kerascnn.runtime.versions import installed_versions

# Settings that decide nothing by themselves: those of the images are seen in these, the others in
# what a plan makes of them.
_OF_DATA = {*OF_IMAGES, "stream_above_gb", "train_on"}
_OF_PLANS = {
    "backend",
    "batch_size",
    "gradient_accumulation",
    "devices",
    "activations_gb",
    "view_seed",
    "checkpoint_seconds",
    "temperature",
    "shuffle_window",
}
_OF_TRAINING = {*_OF_DATA, *_OF_PLANS, "teacher"}
_OF_PLAN = {
    "unfreeze",
    "batchnorm",
    "batch_size",
    "gradient_accumulation",
    "train_on",
    "augmentation",
    "schedule",
    "loss",
}

# Of the environment, what changes how backends compute.
_VARIABLES = ("XLA_", "TF_", "JAX_", "TORCH_", "CUBLAS_", "CUDNN_", "NVIDIA_TF32", "OMP_", "MKL_")
_LOGS = ("TF_CPP_", "TORCH_CPP_")


def stage_keys(prepared: Prepared) -> Iterator[str]:
    """Yields, for each stage, the SHA-256 of all that decides its result, earlier stages included.

    The network must be as it was built.

    Raises:
        UnknownCodeError: What decides the next stage is not known, nor therefore any after it.
    """
    random = random_state()
    try:
        key = _hash(_start(prepared))
        for plan, bound in zip(prepared.plans, prepared.experiment.stages, strict=True):
            key = _hash([key, _stage(prepared, plan, bound)])
            yield key
    finally:
        set_random_state(random)  # cutting a network may call a plugin's layers


def _start(prepared: Prepared) -> dict[str, Any]:
    """What decides all stages."""
    experiment, network = prepared.experiment, prepared.network
    training = experiment.training
    architecture = experiment.architecture.registered.component
    return {
        "seed": experiment.seed,
        "training": training.model_dump(mode="json", exclude=_OF_TRAINING),
        "window": training.shuffle_window if training.shuffle == "blocks" else None,
        "metrics": {name: _known(bound) for name, bound in experiment.metrics.items()},
        "images": _images(prepared.data.validation),
        "classes": prepared.data.class_names,
        "network": structure_of(network.model, architecture.build),
        "weights": sha256(values(network.model.variables)),
        "random": random_state(),
        "backend": prepared.backend,
        "device": device_name(),
        "devices": prepared.devices,  # sums are rounded in another order on another number
        "versions": installed_versions(),
        "environment": {
            name: value
            for name, value in os.environ.items()
            if name.startswith(_VARIABLES) and not name.startswith(_LOGS)
        },
    }


def _images(split: Packed) -> str:
    return sha256([split.digests, split.labels])


def _stage(prepared: Prepared, plan: Plan, bound: BoundStage) -> dict[str, Any]:
    """What decides a stage, besides the weights that it starts from."""
    if plan.augment and not plan.augmentation_key:
        raise UnknownCodeError(f"the draws of {bound.augmentation.registered} cannot be repeated")
    return {
        "settings": bound.settings.model_dump(mode="json", exclude={"name", *_OF_PLAN}),
        "images": _images(prepared.train(plan)),
        "layers": sorted(plan.layers),
        "batchnorm": plan.batchnorm,
        "batch size": plan.batch_size,
        "gradient accumulation": plan.accumulation,
        "augmentation": plan.augmentation_key,
        "view seed": plan.view_seed if plan.augment and plan.views else None,
        "schedule": _known(bound.schedule),
        "loss": _known(bound.loss),
        "cached": _cached_boundary(prepared, plan),
        "teacher": plan.teacher.key if plan.teacher else None,
    }


def _cached_boundary(prepared: Prepared, plan: Plan) -> str:
    """Up to where activations are cached: as far as there is room for them on the disk."""
    set_trainable(prepared.network.model, plan.layers, plan.batchnorm)
    total = plan.views * plan.images + len(prepared.data.validation)
    return choose(cut(prepared.network.model), plan, total)[0].boundary


def _known(bound: BoundComponent) -> str:
    if not bound.key:
        raise UnknownCodeError(f"the code of {bound.registered} cannot be read")
    return bound.key


def _hash(decides: Any) -> str:
    text = json.dumps(decides, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else str(value)
