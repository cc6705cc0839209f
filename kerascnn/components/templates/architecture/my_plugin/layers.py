"""A layer with trainable weights, registered so that Keras finds it when it loads a model."""

import keras


@keras.saving.register_keras_serializable(package="my_plugin")
class ChannelScale(keras.layers.Layer):
    """Multiplies each channel by a trainable factor (LayerScale, arXiv 2103.17239).

    Args:
        initial: Initial factor; small, so that each block starts close to its shortcut.
    """

    def __init__(self, initial=0.1, **kwargs):
        super().__init__(**kwargs)
        self.initial = initial

    def build(self, input_shape):
        self.factors = self.add_weight(
            name="factors",
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(self.initial),
        )

    def call(self, features):
        return features * self.factors  # [B, H, W, C]

    def get_config(self):
        return {**super().get_config(), "initial": self.initial}
