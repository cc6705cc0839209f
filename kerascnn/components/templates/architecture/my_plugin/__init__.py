"""The architecture `my_component`: a small residual network.

It shows two ways to write a part of a network: `block` is a function that applies Keras layers to a
tensor, and `layers.ChannelScale` is a layer class with trainable weights.

A network of a library is put on `images` by `kerascnn.flatten_model`, and a `kerascnn.Network`
lists its blocks: see "Networks from elsewhere" in kerascnn's docs/plugins.md.
"""

from pydantic import Field

from kerascnn import Component, Params, classifier_head, hookimpl


class ResidualParams(Params):
    """The component's keys in the TOML; `plugins show` lists their descriptions and bounds."""

    depth: int = Field(3, ge=1, le=8, description="Number of blocks; each halves height and width.")
    filters: int = Field(
        16, ge=1, le=512, description="Filters of the first block; doubled by each further block."
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Fraction of the features dropped before the classifier."
    )


def build(params, *, image_size, num_classes):
    """Builds the network, from images in 0-255 to probabilities.

    The part of a layer's name before the first underscore is its block, which
    `unfreeze = "last:2"` counts. `classifier_head` names its layers `head_…`.
    """
    import keras
    from keras import layers

    images = keras.Input((image_size, image_size, 3), name="images")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="stem_rescaling")(images)
    x = layers.Conv2D(params.filters, 3, padding="same", name="stem_conv")(x)
    for number in range(1, params.depth + 1):
        x = block(x, params.filters * 2 ** (number - 1), f"block{number}")
    probabilities = classifier_head(x, num_classes, dropout=params.dropout)
    return keras.Model(images, probabilities, name="my_component")


def block(x, filters, name):
    """A residual block that halves height and width (arXiv 1512.03385)."""
    from keras import layers

    from my_plugin.layers import ChannelScale

    shortcut = layers.Conv2D(filters, 1, strides=2, padding="same", name=f"{name}_shortcut")(x)
    x = layers.Conv2D(filters, 3, strides=2, padding="same", name=f"{name}_conv1")(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(x)
    x = ChannelScale(name=f"{name}_scale")(x)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_relu2")(x)  # [B, H / 2, W / 2, filters]


@hookimpl
def kerascnn_architectures():
    return [Component("my_component", build, ResidualParams, "a small residual network")]
