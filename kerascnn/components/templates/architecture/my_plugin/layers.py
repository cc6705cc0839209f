"""A layer with learned weights. Registered with Keras, it is found when a model is loaded."""

import keras


@keras.saving.register_keras_serializable(package="my_plugin")
class ChannelScale(keras.layers.Layer):
    """Multiplies each channel by a learned factor (LayerScale, arXiv 2103.17239).

    Args:
        initial: Every factor at the start; small, so that each block begins near its shortcut.
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
