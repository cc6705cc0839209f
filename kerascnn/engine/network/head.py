"""The classifier head of pretrained backbones."""

from typing import Any

from kerascnn.errors import PluginError


def classifier_head(
    features: Any, num_classes: int, *, dropout: float = 0.2, zero_initialized: bool = True
) -> Any:
    """Adds global average pooling, dropout and a softmax layer to the features of a backbone.

    Args:
        features: KerasTensor, [B, H, W, C] or [B, C].
        num_classes: Number of classes K, at least 2.
        dropout: Fraction of the features dropped in training, 0 to 1.
        zero_initialized: Start the kernel at zero, so that the first loss is exactly log K and
            the first gradients are the features themselves (Kolesnikov et al., Big Transfer,
            arXiv 1912.11370).

    Returns:
        KerasTensor of probabilities, float32 [B, K]; the layers are named `head_...`.

    Raises:
        PluginError: The features have another shape, such as the tokens [B, N, C] of a ViT.
    """
    from keras import layers

    x = features
    if len(x.shape) not in (2, 4):
        raise PluginError(
            f"classifier_head takes features [B, H, W, C] or [B, C], not {tuple(x.shape)}. Of "
            "tokens [B, N, C] give it one, as in features[:, 0], or their mean."
        )
    if len(x.shape) == 4:
        x = layers.GlobalAveragePooling2D(name="head_pool")(x)  # [B, C]
    x = layers.Dropout(dropout, name="head_dropout")(x)
    return layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer="zeros" if zero_initialized else "glorot_uniform",
        dtype="float32",  # under mixed precision too: probabilities must sum to one
        name="head_dense",
    )(x)
