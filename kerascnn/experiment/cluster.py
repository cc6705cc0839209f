"""The `[cluster]` table of an experiment: the processes that train a run together."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from kerascnn.experiment.strict import Strict


def _engine(value: Any) -> Any:
    if isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("name"), str)):
        return value
    raise ValueError('expected the name of an engine, such as "local", or a table with a name')


class Cluster(Strict):
    """Processes on one or more hosts that train one run together."""

    engine: Annotated[
        str | dict[str, Any],
        BeforeValidator(_engine),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "required": ["name"]}]}),
    ] = Field(
        default="local",
        description="what starts the processes: `local`, `environment` (a launcher such as "
        "torchrun or Slurm has started them), or the engine of a plugin such as `ray`; a name, or "
        "a table of a name and its parameters",
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        description="processes that train together; default one on each device, or as many as the "
        "launcher has started",
    )
    restarts: int = Field(
        default=0,
        ge=0,
        description="how often the engine starts all of them again from the last checkpoint after "
        "one is lost; a launcher has its own option for this",
    )
    heartbeat_seconds: float = Field(
        default=300.0,
        gt=0,
        description="seconds without a sign of life from a process, or without a step, after which "
        "all are ended; more than the longest step takes, compiling it included",
    )
