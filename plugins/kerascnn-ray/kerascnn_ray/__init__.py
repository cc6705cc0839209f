"""The engine `ray`: processes on the hosts of a Ray cluster."""

from pydantic import Field

from kerascnn import Component, Engine, Params, hookimpl


class RayParams(Params):
    cpus: float = Field(1, gt=0, description="CPUs of the cluster that each process reserves.")
    gpus: float | None = Field(
        None,
        ge=0,
        description="GPUs that each process reserves, 0.5 for two processes on one; default 1 if "
        "the cluster has any.",
    )


def build(params: RayParams, *, processes: int | None) -> Engine:
    from kerascnn_ray.cluster import engine_of

    return engine_of(params.cpus, params.gpus, processes)


@hookimpl
def kerascnn_engines() -> list[Component]:
    summary = "a Ray cluster: that of RAY_ADDRESS, or a local one for as long as it is needed"
    return [Component("ray", build, RayParams, summary)]
