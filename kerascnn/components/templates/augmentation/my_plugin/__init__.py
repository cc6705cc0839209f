"""One augmentation written in both ways: keep the one that suits, and delete the other.

`my_component` is two plain functions: what they draw is the same on every backend, and a resumed
run draws what the uninterrupted one drew. `my_component_layer` is a Keras layer, which may hold
weights and state, and whose randomness is Keras's own.

Both shift an image's colours along the principal components of the colours of ImageNet
(Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012, 4.1).
"""

import numpy as np
from pydantic import Field

from kerascnn import Augmentation, Component, Params, hookimpl

# Each column a component of red, green and blue times its eigenvalue, for pixels in 0-1: the
# figures of fb.resnet.torch.
COMPONENTS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
) * [0.2175, 0.0188, 0.0045]


class ShiftParams(Params):
    """What the TOML may say beside the name; descriptions and bounds show in `plugins show`."""

    strength: float = Field(
        0.1, ge=0, le=1, description="Standard deviation of each component's random factor."
    )


def build(params, *, image_size, num_classes):
    """Makes the pair: `draw` on the host, in NumPy; `apply` on the device, in keras.ops alone."""
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
    """Makes the layer; its module imports Keras, and so is imported here and not above."""
    from my_plugin.layers import ColourShift

    return ColourShift(params.strength, COMPONENTS)


@hookimpl
def kerascnn_augmentations():
    return [
        Component("my_component", build, ShiftParams, "shifts of colour, as two functions"),
        Component("my_component_layer", build_layer, ShiftParams, "the same, as a Keras layer"),
    ]
