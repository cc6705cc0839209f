"""`ensemble`: one network of several trained runs."""

from typing import Any, Literal

from pydantic import Field

from kerascnn import Component, Network, Params, Weights


class Member(Params):
    """A run whose network is part of an ensemble."""

    run: str = Field(description="Id of the run")
    sha256: str = Field(description="SHA-256 of its file model/data/model.keras")
    weight: float = Field(gt=0, le=1, description="Share of the mean; all sum to 1")
    temperature: float = Field(1.0, gt=0, description="Calibrates its probabilities")
    packed_size: int = Field(
        ge=1, description="Side in pixels to which the image is resized before the run's is cut out"
    )


class EnsembleParams(Params):
    """The members, and what they look at; the command `ensemble` decides both."""

    members: tuple[Member, ...] = Field(min_length=2, description="The trained runs")
    views: Literal[1, 2, 4] = Field(
        1,
        description="What probabilities are averaged over: 1 is the image, 2 also its mirror "
        "image, 4 also its central part enlarged, and that mirrored",
    )


def build(params: EnsembleParams, *, image_size: int, num_classes: int) -> Any:
    """Builds the mean of the members' probabilities; what they share is computed once.

    Raises:
        InputError: A run is gone, or has another model or other classes.
    """
    from kerascnn import join_runs

    members = [member.model_dump() for member in params.members]
    model = join_runs(members, image_size, num_classes, params.views)
    blocks = {f"member{number}": [f"member{number}_*"] for number in range(1, len(members) + 1)}
    seen = {"images": ["centre_*"]} if params.views == 4 else {}
    return Network(model, {**seen, **blocks})


def weights(params: EnsembleParams, *, image_size: int) -> Weights:
    """The weights of its members, which are in folders here."""
    return Weights(f"{len(params.members)} runs", at_hand=True)


ENSEMBLE = Component(
    "ensemble",
    build,
    EnsembleParams,
    "mean of several trained runs, made by the command `ensemble`",
    trained=True,
    weights=weights,
)
