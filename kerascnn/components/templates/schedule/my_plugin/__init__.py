"""The schedule `my_component`: a straight rise to the peak, and a straight fall to zero."""

from pydantic import Field

from kerascnn import Component, Params, hookimpl


class TriangleParams(Params):
    """What the TOML may say beside the name; descriptions and bounds show in `plugins show`."""

    warmup_fraction: float = Field(
        0.2, ge=0, lt=1, description="Part of the stage in which the rate rises to its peak."
    )


def build(params, *, peak_learning_rate, steps, steps_per_epoch):
    """Makes the schedule of a stage of `steps` steps, whose `learning_rate` is the peak.

    Its module imports Keras, and so is imported here and not above.
    """
    from my_plugin.rates import Triangle

    warmup_steps = min(round(params.warmup_fraction * steps), steps - 1)
    return Triangle(peak_learning_rate, warmup_steps, steps)


@hookimpl
def kerascnn_schedules():
    return [Component("my_component", build, TriangleParams, "straight up, then straight down")]
