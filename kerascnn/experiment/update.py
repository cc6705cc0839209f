"""The table `update`: the run that an experiment updates."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

HEAD_ONLY = "head"


class Update(BaseModel):
    """A run whose images keep their splits, and whose weights may be the start."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    run: str = Field(min_length=1, description="its id, or a unique prefix of it")
    sha256: str | None = Field(
        None, description="SHA-256 of its file model/data/model.keras; default not checked"
    )
    data: tuple[Path, ...] = Field(
        (),
        description="folders with one folder per class: more images, and images of the dataset "
        "under their right class; a later folder overrules an earlier one",
    )
    start: Literal["warm", "anew"] = Field(
        "anew",
        description='"warm": from the weights of the run, those of its classes in the head '
        'included; "anew": as a run from the beginning',
    )
    fine_tuning: float = Field(
        0.125,
        gt=0,
        le=1,
        description="after a warm start, the share of the epochs of stages that train more than "
        "the head, at least one",
    )

    def epochs(self, epochs: int) -> int:
        """Those of a stage after a warm start, of those that the experiment says."""
        return max(1, round(self.fine_tuning * epochs))
