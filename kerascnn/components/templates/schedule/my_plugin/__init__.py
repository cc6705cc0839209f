"""The schedule `my_component`: a linear rise to the peak, then a linear fall to zero."""

from pydantic import Field

from kerascnn import Component, Params, hookimpl


class TriangleParams(Params):
    """The component's keys in the TOML; `plugins show` lists their descriptions and bounds."""

    warmup_fraction: float = Field(
        0.2, ge=0, lt=1, description="Part of the stage in which the rate rises to its peak."
    )


def build(params, *, peak_learning_rate, steps, steps_per_epoch):
    """Returns the schedule of a stage; its module imports Keras, so it is imported here."""
    from my_plugin.rates import Triangle

    warmup_steps = min(round(params.warmup_fraction * steps), steps - 1)
    return Triangle(peak_learning_rate, warmup_steps, steps)


@hookimpl
def kerascnn_schedules():
    return [Component("my_component", build, TriangleParams, "linear rise, then linear fall")]
