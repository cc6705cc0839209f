"""How an experiment names a component: one class for each kind that it may name."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Choice(BaseModel):
    """A component by name; the other keys are its own parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str = Field(description="of the component")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if not isinstance(value, str | dict):
            raise ValueError('expected a name in quotes, or a table with a "name"')
        return {"name": value} if isinstance(value, str) else value

    @classmethod
    def own_keys(cls) -> list[str]:
        """Keys of the table that are not the component's, besides its name."""
        return [key for key in cls.model_fields if key != "name"]

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Dataset(Choice):
    """A dataset."""

    corrections: Path | None = Field(
        None,
        description="a CSV file of corrected labels, relative to the TOML file, as `check "
        "--labels` writes it; an image never changes its split by it",
    )


class Augmentation(Choice):
    """An augmentation."""


class Architecture(Choice):
    """An architecture."""


class Schedule(Choice):
    """A schedule of the learning rate."""


class Loss(Choice):
    """A training loss."""


class Metric(Choice):
    """A metric of validation and test images."""


class Observer(Choice):
    """An observer of the run."""


DEFAULT_LOSS = Loss(name="cross_entropy")
CHOICES: dict[str, type[Choice]] = {
    "dataset": Dataset,
    "augmentation": Augmentation,
    "architecture": Architecture,
    "schedule": Schedule,
    "loss": Loss,
    "metric": Metric,
    "observer": Observer,
}
