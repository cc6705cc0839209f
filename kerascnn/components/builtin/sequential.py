"""`sequential_cnn`: a small network to train from scratch."""

from itertools import count
from typing import Annotated, Any, Literal

from pydantic import Field

from kerascnn import Component, InputError, Params, classifier_head, counted


class SequentialParams(Params):
    """Blocks of convolutions, each followed by pooling; then dense layers."""

    depth: int = Field(4, ge=1, le=10, description="Number of blocks")
    convolutions: int = Field(2, ge=1, le=10, description="Convolutions per block")
    filters: int = Field(
        32, ge=1, le=1024, description="Filters of the first block; they double after each pool"
    )
    kernel_size: int = Field(3, ge=1, le=15, description="Side of every kernel, in pixels")
    stride: int = Field(
        1, ge=1, le=8, description="Stride of each block's first convolution, in pixels"
    )
    padding: Literal["same", "valid"] = Field("same", description="Padding of the convolutions")
    pooling: Literal["max", "average"] = Field("max", description="Pooling of 2 x 2 pixels")
    batch_normalization: bool = Field(True, description="Normalise after every convolution")
    dense_units: tuple[Annotated[int, Field(ge=1, le=16384)], ...] = Field(
        (128,), description="Units of each dense layer before the classifier"
    )
    dropout: float = Field(
        0.3, ge=0, lt=1, description="Fraction of the features dropped before each dense layer"
    )


def build(params: SequentialParams, *, image_size: int, num_classes: int) -> Any:
    """Builds the network, with He's initialisation (arXiv 1502.01852).

    Raises:
        InputError: The images are too small for the number of blocks.
    """
    import keras
    from keras import layers

    for fault in check(params, image_size=image_size).values():
        raise InputError(f"sequential_cnn: {fault}.")
    images = keras.Input((image_size, image_size, 3), name="images")
    x = layers.Rescaling(1 / 255, dtype="float32", name="block1_rescaling")(images)
    for number in range(1, params.depth + 1):
        x = _block(x, params, number)  # [B, side, side, filters * 2 ** (number - 1)]
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)  # [B, C]
    for number, units in enumerate(params.dense_units, start=1):
        x = layers.Dropout(params.dropout, name=f"head_dropout{number}")(x)
        x = layers.Dense(
            units, activation="relu", kernel_initializer="he_normal", name=f"head_dense{number}"
        )(x)
    x = classifier_head(x, num_classes, dropout=params.dropout, zero_initialized=False)
    return keras.Model(images, x, name="sequential_cnn")


def _block(x: Any, params: SequentialParams, number: int) -> Any:
    from keras import layers

    for convolution in range(1, params.convolutions + 1):
        x = layers.Conv2D(
            params.filters * 2 ** (number - 1),
            params.kernel_size,
            strides=params.stride if convolution == 1 else 1,
            padding=params.padding,
            use_bias=not params.batch_normalization,
            kernel_initializer="he_normal",
            name=f"block{number}_conv{convolution}",
        )(x)
        if params.batch_normalization:
            x = layers.BatchNormalization(momentum=0.9, name=f"block{number}_bn{convolution}")(x)
        x = layers.ReLU(name=f"block{number}_relu{convolution}")(x)
    pool = layers.MaxPooling2D if params.pooling == "max" else layers.AveragePooling2D
    return pool(2, name=f"block{number}_pool")(x)


def check(params: SequentialParams, *, image_size: int) -> dict[str, str]:
    """Faults of the image size for the number of blocks: {key: fault}."""
    blocks = _blocks_that_fit(params, image_size)
    if blocks == params.depth:
        return {}
    sizes = count(image_size + 1)
    enough = next(size for size in sizes if _blocks_that_fit(params, size) == params.depth)
    lower = f", or architecture.depth to {blocks}" if blocks else ""
    return {
        "depth": f"image_size = {image_size} is too small for depth = {params.depth}: after "
        f"{counted(blocks, 'block')} no pixels are left to pool. Set training.image_size to "
        f"{enough} or more{lower}"
    }


def _blocks_that_fit(params: SequentialParams, side: int) -> int:
    """Counts the blocks that leave at least one pixel, up to the depth."""
    lost = params.kernel_size - 1 if params.padding == "valid" else 0
    for block in range(params.depth):
        side = (side - lost - 1) // params.stride + 1  # the first convolution
        side = (side - lost * (params.convolutions - 1)) // 2  # the others, then the pool
        if side < 1:
            return block
    return params.depth


SEQUENTIAL_CNN = Component(
    "sequential_cnn",
    build,
    SequentialParams,
    "convolutions and pooling, with filters doubling, then dense layers; to train from scratch",
    check,
)
