"""The table `training.teacher`: the run that teaches a network."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Teacher(BaseModel):
    """A trained run whose probabilities are the labels of the training images."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    run: str = Field(min_length=1, description="its id, or a unique prefix of it")
    sha256: str | None = Field(
        None, description="SHA-256 of its file model/data/model.keras; default not checked"
    )
    share: float = Field(
        1.0, gt=0, le=1, description="share of a label that is the teacher's; the rest is the class"
    )
    temperature: float = Field(
        1.0, gt=0, description="softens the teacher's calibrated probabilities where above 1"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_run(cls, value: Any) -> Any:
        if not isinstance(value, str | dict):
            raise ValueError('expected the id of a run in quotes, or a table with a "run"')
        return {"run": value} if isinstance(value, str) else value
