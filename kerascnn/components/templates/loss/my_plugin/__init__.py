"""The loss `my_component`: generalised cross-entropy, which wrong labels harm less."""

from pydantic import Field

from kerascnn import Component, Params, hookimpl


class GeneralisedParams(Params):
    """The component's keys in the TOML; `plugins show` lists their descriptions and bounds."""

    q: float = Field(
        0.7, gt=0, le=1, description="How much less unlikely labels count; near 0 cross-entropy."
    )


def build(params, *, num_classes, class_counts):
    """Returns the loss of a stage; its module imports Keras, so it is imported here.

    `class_counts` is the number of training images of each class, for losses that depend on it.
    """
    from my_plugin.formula import GeneralisedCrossEntropy

    return GeneralisedCrossEntropy(params.q)


@hookimpl
def kerascnn_losses():
    return [Component("my_component", build, GeneralisedParams, "generalised cross-entropy")]
