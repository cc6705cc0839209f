"""The augmentation as a Keras layer."""

import keras
from keras import ops


class ColourShift(keras.layers.Layer):
    """Shifts the colours of each image along learned components.

    Args:
        strength: Standard deviation of each component's random factor.
        components: Principal components of colour, [3, 3], one per column.
    """

    def __init__(self, strength, components, **kwargs):
        super().__init__(**kwargs)
        self.strength = strength
        self.seed_generator = keras.random.SeedGenerator()  # state: changes with every call
        self.components = self.add_weight(
            name="components", shape=(3, 3), trainable=False, initializer="zeros"
        )
        self.components.assign(components)

    def call(self, images, training=False):
        if not training:
            return images
        batch_size = ops.shape(images)[0]
        along = keras.random.normal((batch_size, 3), stddev=self.strength, seed=self.seed_generator)
        shift = 255 * ops.matmul(along, ops.transpose(self.components))  # [B, 3]
        return ops.clip(images + ops.reshape(shift, (-1, 1, 1, 3)), 0, 255)  # [B, H, W, 3]
