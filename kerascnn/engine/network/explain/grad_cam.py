"""Grad-CAM: where a network sees a class."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerascnn.engine.network.explain.maps import as_maps, spatial_call, spatial_layers
from kerascnn.engine.network.inference import Forward, to_numpy
from kerascnn.engine.network.joined import members_of
from kerascnn.errors import InputError
from kerascnn.runtime.compilation import gradient
from kerascnn.runtime.keras_internals import last_calls, node_behind

BATCH_SIZE = 32


def grad_cam(model: Any, images: Any, classes: Any, layer: str | None = None) -> np.ndarray:
    """The heat of images for classes, computed once; see `GradCam`."""
    return GradCam(model, layer, min(BATCH_SIZE, len(images)))(images, classes)


class GradCam:
    """Shows where a network sees a class (Grad-CAM, Selvaraju et al., arXiv 1610.02391).

    The channels of a layer are weighted by the mean gradient of the class score (before the
    softmax) with respect to each; negative sums become 0. The patches of a transformer are a map.

    Args:
        model: A functional model; it runs in inference mode.
        layer: Name of the layer; default `last_spatial_layer`. For an ensemble the default is the
            mean of its members' maps.
        batch_size: Images to compute at once.

    Raises:
        InputError: There is no such layer, or its output is not a single tensor of feature maps.
    """

    def __init__(self, model: Any, layer: str | None = None, batch_size: int = BATCH_SIZE) -> None:
        members = [] if layer else members_of(model)
        self._members = [GradCam(one.model, None, batch_size) for one in members]
        self._weights = [one.weight for one in members]
        if not members:
            self._slopes = _Slopes(model, layer or last_spatial_layer(model), batch_size)

    def __call__(self, images: Any, classes: Any) -> np.ndarray:
        """The heat of each image [N, S, S, 3] for the index of its class, int [N].

        Returns:
            float32 [N, h, w], the layer's height and width; each image's maximum is 1, or 0 if no
            position supports the class.
        """
        if self._members:
            return _mean_heat([one(images, classes) for one in self._members], self._weights)
        features, gradients = self._slopes(images, classes)
        weights = gradients.mean((1, 2), keepdims=True)  # [N, 1, 1, C]
        return _scaled(np.maximum((weights * features).sum(-1), 0))  # [N, h, w]


def heat_place(model: Any) -> str:
    """Where `grad_cam` looks by default: the name of a layer, or in words for an ensemble."""
    if members := members_of(model):
        return f"the last layers of {len(members)} members"
    return last_spatial_layer(model)


def _mean_heat(heats: list[np.ndarray], weights: list[float]) -> np.ndarray:
    """The maps of all members at the size of the largest, averaged by their weights."""
    height, width = (max(heat.shape[axis] for heat in heats) for axis in (1, 2))
    spread = [np.stack([_enlarged(one, height, width) for one in heat]) for heat in heats]
    return _scaled(np.average(spread, 0, weights).astype(np.float32))


def _enlarged(heat: np.ndarray, height: int, width: int) -> np.ndarray:
    """Heat [h, w] at another size [H, W]."""
    from PIL import Image

    return np.asarray(Image.fromarray(heat).resize((width, height), Image.Resampling.BILINEAR))


def _scaled(heat: np.ndarray) -> np.ndarray:
    """Heat [N, h, w] so that each image's maximum is 1, if it has any."""
    return heat / np.maximum(heat.max((1, 2), keepdims=True), np.finfo(np.float32).tiny)


class _Slopes:
    """The maps of a layer, and the gradients of the scores of classes: both [N, h, w, C]."""

    def __init__(self, model: Any, layer: str, batch_size: int) -> None:
        import keras

        maps = spatial_call(model, layer).outputs[0]
        scores = _after(model, maps)
        if scores is None:
            raise InputError(
                f'Grad-CAM: other layers bypass "{layer}"; choose the last layer of a block, such '
                f"as {last_spatial_layer(model)}."
            )
        self._forward, self._batch_size = Forward(keras.Model(model.input, maps)), batch_size
        self._slope, self._classes = _slope(scores), scores.output_shape[-1]

    def __call__(self, images: Any, classes: Any) -> tuple[np.ndarray, np.ndarray]:
        features = self._forward(images, self._batch_size)
        chosen = np.eye(self._classes, dtype=np.float32)[np.asarray(classes)]
        batches = (slice(at, at + BATCH_SIZE) for at in range(0, len(features), BATCH_SIZE))
        gradients = [self._slope(features[batch], chosen[batch]) for batch in batches]
        return as_maps(features), as_maps(np.concatenate(gradients))


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Overlays heat [h, w] in 0-1 in colour on a grey image: both uint8 [S, S, 3]."""
    from matplotlib import colormaps
    from PIL import Image

    size = image.shape[1::-1]
    spread = np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BICUBIC))
    spread = np.clip(spread, 0, 1)[..., None]  # [S, S, 1]
    colours = 255 * colormaps["turbo"](spread[..., 0])[..., :3]  # [S, S, 3]
    grey = image.mean(-1, keepdims=True)
    opacity = 0.6 * np.minimum(1, 2 * spread)  # clear where nothing supports the class
    return ((1 - opacity) * grey + opacity * colours).astype(np.uint8)


def last_spatial_layer(model: Any) -> str:
    """The name of the last layer with maps of the image that the scores depend on.

    Feature maps, except of pooling and padding, or tokens. Where the token of the class alone is
    classified, the scores do not depend on what the last block gives of the others.

    Raises:
        InputError: There is none.
    """
    calls, found = last_calls(model), list(spatial_layers(model))
    for name in found:
        maps = calls[name].outputs[0]
        if len(maps.shape) == 4 or _patches_count(model, name, maps):
            return name
    if found:
        return found[0]
    raise InputError(
        "the network has no layer with feature maps: no layer after its first "
        "weights returns [B, H, W, C], as convolutions do, or tokens [B, N, C], as a ViT does."
    )


def _patches_count(model: Any, layer: str, tokens: Any) -> bool:
    """Whether the scores of an image of noise depend on the layer's tokens of patches."""
    if _after(model, tokens) is None:
        return False
    size = model.input_shape[1]
    noise = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    return bool(_Slopes(model, layer, 1)(noise, np.zeros(1, int))[1].any())


def _after(model: Any, maps: Any) -> Any | None:
    """The network from maps to the scores before the softmax; None if other layers bypass them."""
    import keras

    try:
        return keras.Model(maps, _scores(model))
    except ValueError:
        return None


def _scores(model: Any) -> Any:
    """The tensor before the softmax; without a softmax, the logarithm of the output."""
    import keras
    from keras import layers, ops

    node = node_behind(model.output)
    last, inputs = node.operation, node.input_tensors[0]
    activation = getattr(last, "activation", None)
    if isinstance(last, layers.Dense) and activation is keras.activations.softmax:
        return ops.matmul(inputs, last.kernel) + (last.bias if last.use_bias else 0.0)
    if isinstance(last, layers.Softmax) or activation is keras.activations.softmax:
        return inputs
    return ops.log(ops.maximum(model.output, np.finfo(np.float32).tiny))


def _slope(scores: Any) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The gradient of scores with respect to maps, a function of them and of classes [N, K]."""
    from keras import ops

    def total(maps: Any, chosen: Any) -> Any:
        return ops.sum(ops.cast(scores(maps, training=False), "float32") * chosen)

    slope = gradient(total)

    def of_batch(maps: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        tensors = map(ops.convert_to_tensor, (maps, chosen))
        return to_numpy(slope(*tensors)).astype(np.float32)

    return of_batch
