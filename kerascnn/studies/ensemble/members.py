"""The runs that an ensemble is made of: found, checked, and what they need images to be like."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.load import OF_IMAGES
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.results.find import find_run
from kerascnn.results.joined import weights_sha256

LEAST = 2


def find_members(runs: Iterable[str | Result]) -> list[Result]:
    """The runs, each once; the members of an ensemble in its place.

    Raises:
        InputError: Fewer than two, one that is gone, or runs that do not fit together.
    """
    found = [member for run in runs for member in _flattened(find_run(run))]
    members = list({member.run_id: member for member in found}.values())
    if len(members) < LEAST:
        given = f"; run {members[0].run_id[:8]} is the only one" if members else ""
        raise InputError(f"an ensemble needs at least two different runs{given}.")
    first = members[0]
    for member in members[1:]:
        if fault := _misfit(first, member):
            raise InputError(fault)
    return members


def _flattened(result: Result) -> list[Result]:
    if result.ensemble is None:
        return [result]
    members = []
    for member in result.ensemble["members"]:
        try:
            members.append(find_run(member["run"]))
        except InputError as error:
            raise InputError(
                f"run {result.run_id[:8]} is an ensemble, and its member {member['run'][:8]} is "
                "gone; an ensemble with more members needs all of them. Name other runs."
            ) from error
    return members


def _misfit(first: Result, other: Result) -> str:
    """Why two runs cannot be members of one ensemble; "" if they can."""
    named, reference = f"run {other.run_id[:8]}", f"run {first.run_id[:8]}"
    if other.class_names != first.class_names:
        return f"{named} has other classes than {reference}: {_classes(first, other)}."
    for key in ("resize", "value_range"):
        mine, theirs = (getattr(run.training, key) for run in (other, first))
        if mine != theirs:
            return (
                f"{named} prepares images with {key} = {mine}, {reference} with {theirs}; the "
                "members of an ensemble share it."
            )
    return ""


def _classes(first: Result, other: Result) -> str:
    both = (set(first.class_names), set(other.class_names))
    lacks, has = sorted(both[0] - both[1]), sorted(both[1] - both[0])
    said = [f"it lacks {', '.join(lacks[:5])}"] if lacks else []
    said += [f"it has {', '.join(has[:5])}"] if has else []
    return " and ".join(said) or "the same in another order"


@dataclass(frozen=True)
class Common:
    """How images are prepared for all members, and what each makes of them.

    Args:
        image_size: Pixels S of the ensemble.
        crop_margin: As of `Preparation`.
        packed_sizes: For each member, as in `engine.network.joined.Part`.
    """

    image_size: int
    crop_margin: float
    packed_sizes: tuple[int, ...]

    @classmethod
    def of(cls, members: Sequence[Result]) -> "Common":
        """That of the members if they agree; else the whole image at the largest packed size."""
        prepared = [Preparation.of(member.training) for member in members]
        packed = tuple(one.packed_size for one in prepared)
        if len({(one.image_size, one.crop_margin) for one in prepared}) > 1:
            return cls(max(packed), 0.0, packed)
        (size, margin) = prepared[0].image_size, prepared[0].crop_margin
        return cls(size, margin, (size,) * len(members))


def ensemble_settings(
    members: Sequence[Result],
    weights: Sequence[float],
    views: int = 1,
    *,
    name: str = "",
    backend: str = "auto",
) -> dict[str, Any]:
    """The experiment of an ensemble, as its TOML has it: on the images of the first member.

    Args:
        weights: Of the members; they sum to 1.
        views: 1, 2 or 4.
        name: Default that of the first member.
    """
    first, common = members[0], Common.of(members)
    kept = ("batch_size", *OF_IMAGES)
    training = {key: first.experiment["training"].get(key) for key in kept}
    return {
        "name": name or first.name,
        "seed": first.experiment["seed"],
        "dataset": first.experiment["dataset"],
        "architecture": {
            "name": "ensemble",
            "views": views,
            "members": [
                {
                    "run": member.run_id,
                    "sha256": weights_sha256(member),
                    "weight": float(weight),
                    "temperature": member.temperature,
                    "packed_size": packed,
                }
                for member, weight, packed in zip(
                    members, weights, common.packed_sizes, strict=True
                )
            ],
        },
        "training": {
            **{key: value for key, value in training.items() if value is not None},
            "image_size": common.image_size,
            "crop_margin": common.crop_margin,
            "backend": backend,
        },
        "metrics": first.experiment.get("metrics", []),
    }
