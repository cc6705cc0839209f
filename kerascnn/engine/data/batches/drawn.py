"""What is drawn on the host, and the arrays that it is applied to, as tensors of the device."""

from typing import Any

import numpy as np

from kerascnn.engine.data.batches.feed import to_device
from kerascnn.hookspecs import Arrays


def as_drawn(arrays: Arrays) -> Arrays:
    """The draws on the device: integers, which may be indices, as int32, all else as float32."""
    from keras import ops

    def converted(array: Any) -> Any:
        whole = np.asarray(array).dtype.kind in "iu"
        return ops.convert_to_tensor(array, "int32") if whole else to_device(array)

    return {name: converted(array) for name, array in arrays.items()}


def on_device(arrays: Arrays) -> Arrays:
    return {name: to_device(array) for name, array in arrays.items()}
