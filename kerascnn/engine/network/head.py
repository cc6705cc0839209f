"""The classifier head of pretrained backbones."""

from typing import Any

from kerascnn.errors import PluginError


def classifier_head(
    features: Any,
    num_classes: int,
    *,
    dropout: float = 0.2,
    zero_initialized: bool = True,
    class_token: bool | None = None,
) -> Any:
    """Adds global average pooling, dropout and a softmax layer to the features of a backbone.

    Args:
        features: KerasTensor: maps [B, H, W, C], tokens [B, N, C] or features [B, C].
        num_classes: Number of classes K, at least 2.
        dropout: Fraction of the features dropped in training, 0 to 1.
        zero_initialized: Start the kernel at zero, so that the first loss is exactly log K and
            the first gradients are the features themselves (Kolesnikov et al., Big Transfer,
            arXiv 1912.11370).
        class_token: Whether the first of the tokens is that of the class, and classified alone;
            else their mean is. Must be given for tokens, and is not used otherwise.

    Returns:
        KerasTensor of probabilities, float32 [B, K]; the layers are named `head_...`.

    Raises:
        PluginError: The features have another shape, or tokens are given without `class_token`.
    """
    from keras import layers

    x = layers.Dropout(dropout, name="head_dropout")(_pooled(features, class_token))
    return layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer="zeros" if zero_initialized else "glorot_uniform",
        dtype="float32",  # under mixed precision too: probabilities must sum to one
        name="head_dense",
    )(x)


def _pooled(features: Any, class_token: bool | None) -> Any:
    """Features [B, C]."""
    from keras import layers

    axes = len(features.shape)
    if axes not in (2, 3, 4):
        raise PluginError(
            "classifier_head takes features [B, H, W, C], [B, N, C] or [B, C], not "
            f"{tuple(features.shape)}."
        )
    if axes == 4:
        return layers.GlobalAveragePooling2D(name="head_pool")(features)
    if axes == 3 and class_token is None:
        raise PluginError(
            f"classifier_head is given tokens {tuple(features.shape)}: say class_token=True if the "
            "first is that of the class, or class_token=False for the mean of all."
        )
    if axes == 3:
        pool = layers.GlobalAveragePooling1D(name="head_pool")
        return features[:, 0] if class_token else pool(features)
    return features
