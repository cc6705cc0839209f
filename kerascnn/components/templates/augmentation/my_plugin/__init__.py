"""The same augmentation written in two ways: keep one and delete the other.

`my_component` is two plain functions: their random numbers are the same on every backend and after
a resume. `my_component_layer` is a Keras layer, which may have weights and state, and uses Keras's
random numbers.

Both shift an image's colours along the principal components of the colours in ImageNet
(Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012, 4.1).
"""

import numpy as np
from pydantic import Field

from kerascnn import Augmentation, Component, Params, hookimpl

# Each column is a principal component of (red, green, blue) times its eigenvalue, for pixels in
# 0-1; the values are those of fb.resnet.torch.
COMPONENTS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
) * [0.2175, 0.0188, 0.0045]


class ShiftParams(Params):
    """The component's keys in the TOML; `plugins show` lists their descriptions and bounds."""

    strength: float = Field(
        0.1, ge=0, le=1, description="Standard deviation of each component's random factor."
    )


def build(params, *, image_size, num_classes):
    """Returns the two functions: `draw` uses NumPy on the host, `apply` keras.ops on the device."""
    from keras import ops

    def draw(rng, batch_size):
        along = rng.normal(0, params.strength, (batch_size, 3))
        shift = 255 * along @ COMPONENTS.T
        return {"shift": shift.reshape(batch_size, 1, 1, 3).astype("float32")}  # [B, 1, 1, 3]

    def apply(batch, arrays):
        images = ops.clip(batch["images"] + arrays["shift"], 0, 255)  # [B, H, W, 3]
        return {**batch, "images": images}

    return Augmentation(draw, apply)


def build_layer(params, *, image_size, num_classes):
    """Returns the layer; its module imports Keras, so it is imported here, not above."""
    from my_plugin.layers import ColourShift

    return ColourShift(params.strength, COMPONENTS)


@hookimpl
def kerascnn_augmentations():
    return [
        Component("my_component", build, ShiftParams, "shifts of colour, as two functions"),
        Component("my_component_layer", build_layer, ShiftParams, "the same, as a Keras layer"),
    ]
