"""The one layer of this package; importing it imports Keras."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerascnn_kerashub")
class BlankImage(keras.Layer):
    """A black image [1, S, S, 3], whatever the input.

    Rotary positions depend on the size of the images alone. Computed from the images, they would
    lead past every block, and a network could not be cut between blocks.

    Args:
        image_size: S, pixels.
    """

    def __init__(self, image_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_size = image_size

    def call(self, inputs: Any) -> Any:
        return ops.zeros((1, self.image_size, self.image_size, 3), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "image_size": self.image_size}
