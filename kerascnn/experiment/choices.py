"""How an experiment names a component: one class for each kind that it may name."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Choice(BaseModel):
    """A component by name; the other keys are its own parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if not isinstance(value, str | dict):
            raise ValueError('expected a name in quotes, or a table with a "name"')
        return {"name": value} if isinstance(value, str) else value

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Dataset(Choice):
    """A dataset."""


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
