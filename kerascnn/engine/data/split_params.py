"""The parameters of a dataset whose splits are drawn."""

from collections.abc import Container

from pydantic import Field, model_validator

from kerascnn.hookspecs import Params


class SplitParams(Params):
    """How images are divided where no split is given."""

    validation_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of each class drawn for validation where no split is given, to within "
        "one image. A hash of the content decides, so the same images always give the same "
        "splits. Copies stay together, including mirrored, resized or re-saved ones, and go to "
        "training if there are enough other images. Adding an image moves at most two others of "
        "its class, with their copies. Every split gets an image of each class that has three "
        "different ones.",
    )
    test_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of each class drawn for testing, in the same way."
    )
    split_seed: int = Field(
        0,
        ge=0,
        description="Another number draws other splits. The experiment's `seed` does not, so that "
        "runs with different seeds can be compared.",
    )

    @model_validator(mode="after")
    def _leaves_images_to_train_on(self) -> "SplitParams":
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction + test_fraction must be below 1")
        return self

    def shares(self, given: Container[str]) -> dict[str, float]:
        """The splits to draw, those that are not given, each with its share."""
        shares = {"test": self.test_fraction, "validation": self.validation_fraction}
        return {split: share for split, share in shares.items() if split not in given}
