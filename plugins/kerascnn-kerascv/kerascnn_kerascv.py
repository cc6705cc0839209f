"""The augmentations of KerasCV that Keras lacks, for kerascnn on TensorFlow."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from kerascnn import Augmentation, Component, InputError, Mixing, Params, hookimpl, pip_install

if TYPE_CHECKING:
    import numpy as np

Batch = dict[str, Any]
Operation = Callable[[Batch, Any], Batch]  # of a batch and a seed for each image, int32 [B]
Arrays = dict[str, Any]

SEEDS = 2**31 - 1


def _ascending(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError("expected the smaller number first")
    return values


Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[tuple[Share, Share], AfterValidator(_ascending)]
Factor = Annotated[float, Field(ge=0.1, le=10)]
Factors = Annotated[tuple[Factor, Factor], AfterValidator(_ascending)]
Quality = Annotated[int, Field(ge=1, le=100)]
Qualities = Annotated[tuple[Quality, Quality], AfterValidator(_ascending)]


class Rated(Params):
    """The parameter of every operation."""

    rate: float = Field(
        1.0, gt=0, le=1, description="Random share of the images that it is applied to."
    )


class HorizontalFlip(Rated):
    """RandomFlip of KerasCV: flips left to right."""

    rate: float = Field(0.5, gt=0, le=1, description="Random share of the images that are flipped.")


class JitteredResize(Rated):
    """JitteredResize of KerasCV: scales, then takes a random window, padded with black."""

    scale: Factors = Field((0.8, 1.25), description="Smallest and largest scale of the sides.")


class RandomAspectRatio(Rated):
    """RandomAspectRatio of KerasCV, then the middle of the image."""

    factor: Factors = Field(
        (0.85, 1.18), description="Factor by which the width is multiplied and the height divided."
    )


class ChannelShuffle(Rated):
    """ChannelShuffle of KerasCV: red, green and blue in a random order."""


class RandomChannelShift(Rated):
    """RandomChannelShift of KerasCV: adds a number to each channel."""

    shift: float = Field(
        0.1, gt=0, le=0.5, description="Largest shift to either side, as a share of 0-255."
    )


class RandomJpegQuality(Rated):
    """RandomJpegQuality of KerasCV: JPEG artefacts."""

    quality: Qualities = Field((30, 95), description="Lowest and highest JPEG quality.")


class GridMask(Rated):
    """GridMask of KerasCV: hides the squares of a rotated grid (arXiv 2001.04086)."""

    ratio: Shares = Field(
        (0.0, 0.5), description="Side of a hidden square as a share of the grid's unit."
    )
    rotation_degrees: float = Field(
        54.0, ge=0, le=180, description="Largest rotation of the grid to either side."
    )
    fill: int = Field(0, ge=0, le=255, description="Grey value of the hidden squares.")


class FourierMix(Rated):
    """FourierMix of KerasCV: mixes two images through a cloudy mask (FMix, arXiv 2002.12047)."""

    alpha: float = Field(
        0.5, ge=0.1, le=10, description="Parameter of the beta distribution of the shares."
    )
    decay_power: float = Field(
        3.0, ge=0.5, le=10, description="Smoothness of the mask; larger is smoother."
    )


class Mosaic(Rated):
    """Mosaic of KerasCV: four images of the batch meet at a point (arXiv 2004.10934)."""

    centre: Shares = Field(
        (0.25, 0.75), description="Range of the point, as shares of width and height."
    )


class Draws:
    """The random generator of KerasCV's layers: everything it returns follows from a seed."""

    def start(self, seed: Any) -> None:
        """Restarts from a seed.

        Args:
            seed: int32 tensor, no axes.
        """
        self.seed, self.count = seed, 0

    def next_seed(self) -> Any:
        import tensorflow as tf

        self.count += 1
        return tf.stack([self.seed, self.count])

    def uniform(self, shape: Any, minval: Any = 0, maxval: Any = 1, dtype: Any = "float32") -> Any:
        import tensorflow as tf

        return tf.random.stateless_uniform(shape, self.next_seed(), minval, maxval, dtype)

    def normal(self, shape: Any) -> Any:
        import tensorflow as tf

        return tf.random.stateless_normal(shape, self.next_seed())

    def between(self, low: float, high: float) -> Any:
        """A random number between the two: a factor, in KerasCV's terms."""
        from keras_cv.core import FactorSampler

        class Uniform(FactorSampler):
            def __call__(sampler, shape: Any = (), dtype: Any = "float32") -> Any:  # noqa: N805
                import tensorflow as tf

                return tf.cast(self.uniform(shape, low, high), dtype)

        return Uniform()

    def layer(self, name: str, *arguments: Any, **options: Any) -> Any:
        """A KerasCV layer that draws from this generator."""
        import keras_cv
        import tensorflow as tf

        # without a global generator, some layers fail if operations are deterministic
        tf.random.set_global_generator(tf.random.Generator.from_seed(0))
        layer = getattr(keras_cv.layers, name)(*arguments, dtype="float32", **options)
        for part in layer, getattr(layer, "random_rotate", layer):  # GridMask's own
            part._random_generator = self
        return layer


def each_image(change: Callable[[Any], Any], draws: Draws) -> Operation:
    """Applies a function of one image, float32 [S, S, 3], to each image, with its own seed."""
    import tensorflow as tf

    def one(image: tuple[Any, Any]) -> Any:
        draws.start(image[1])
        return change(image[0])

    def apply(batch: Batch, seeds: Any) -> Batch:
        images = tf.map_fn(one, (batch["images"], seeds), fn_output_signature="float32")
        return {**batch, "images": tf.ensure_shape(images, batch["images"].shape)}

    return apply


def horizontal_flip(params: HorizontalFlip, draws: Draws, size: int) -> Operation:
    return each_image(draws.layer("RandomFlip", "horizontal", rate=1.0), draws)


def jittered_resize(params: JitteredResize, draws: Draws, size: int) -> Operation:
    scale = draws.between(*params.scale)
    return each_image(draws.layer("JitteredResize", (size, size), scale), draws)


def aspect_ratio(params: RandomAspectRatio, draws: Draws, size: int) -> Operation:
    stretch = draws.layer("RandomAspectRatio", draws.between(*params.factor))
    square = draws.layer("Resizing", size, size, crop_to_aspect_ratio=True)
    return each_image(lambda image: square(stretch(image).to_tensor()), draws)


def channel_shuffle(params: ChannelShuffle, draws: Draws, size: int) -> Operation:
    return each_image(draws.layer("ChannelShuffle", groups=3), draws)


def channel_shift(params: RandomChannelShift, draws: Draws, size: int) -> Operation:
    factor = draws.between(0, 2 * params.shift)  # which KerasCV halves
    return each_image(draws.layer("RandomChannelShift", (0, 255), factor), draws)


def jpeg_quality(params: RandomJpegQuality, draws: Draws, size: int) -> Operation:
    low, high = params.quality
    layer = draws.layer("RandomJpegQuality", draws.between(low, high + 1))
    # it clips floats to 0-1, contrary to the example in its documentation
    return each_image(lambda image: layer(image / 255) * 255, draws)


def grid_mask(params: GridMask, draws: Draws, size: int) -> Operation:
    turn = params.rotation_degrees / 360
    ratio = draws.between(*params.ratio)
    layer = draws.layer("GridMask", ratio, rotation_factor=turn, fill_value=params.fill)
    return each_image(layer, draws)


def fourier_mix(params: FourierMix, draws: Draws, size: int) -> Operation:
    """Mixes through KerasCV's masks; its own draws of partners and shares cannot be seeded.

    A mask of the image is reduced to the cells of a feature map; without places, inputs are blended
    by its area.
    """
    import tensorflow as tf

    layer, shape = draws.layer("FourierMix"), tf.constant([size, size])

    def mask(image: tuple[Any, Any]) -> Any:
        share, seed = image
        draws.start(seed)
        clouds = layer._sample_mask_from_transform(params.decay_power, shape)
        return layer._binarise_mask(clouds, share, shape)  # [S, S]

    def apply(batch: Batch, seeds: Any) -> Batch:
        inputs, labels = batch["inputs"], batch["labels"]
        draws.start(seeds[0])
        count = tf.shape(seeds)[0]
        partner = tf.argsort(draws.uniform([count]))
        gamma = tf.random.stateless_gamma([2, count], draws.next_seed(), params.alpha)
        share = gamma[0] / (gamma[0] + gamma[1])  # [B], beta distributed
        part = tf.reshape(share, [-1] + [1] * (len(inputs.shape) - 1))
        if len(inputs.shape) == 4:
            masks = tf.map_fn(mask, (share, seeds), fn_output_signature="float32")[..., None]
            part = tf.image.resize(masks, tf.shape(inputs)[1:3], "nearest")  # [B, h, w, 1]
            share = tf.reduce_mean(part, [1, 2, 3])

        def mixed(values: Any, own: Any) -> Any:
            return own * values + (1 - own) * tf.gather(values, partner)

        return {"inputs": mixed(inputs, part), "labels": mixed(labels, share[:, None])}

    return apply


def mosaic(params: Mosaic, draws: Draws, size: int) -> Operation:
    """Puts four examples together; without places, they are blended by their areas."""
    import tensorflow as tf

    layer = draws.layer("Mosaic", draws.between(*params.centre))

    def apply(batch: Batch, seeds: Any) -> Batch:
        inputs, labels = batch["inputs"], batch["labels"]
        draws.start(seeds[0])
        drawn = layer.get_random_transformation_batch(tf.shape(seeds)[0])
        unit = tf.zeros([1, 1, 1, 1])  # the areas are shares
        if len(inputs.shape) == 4:
            changed = tf.ensure_shape(layer.augment_images(inputs, drawn), inputs.shape)
        else:
            flat = tf.reshape(inputs, [tf.shape(inputs)[0], -1])
            changed = tf.reshape(layer.augment_labels(flat, drawn, unit), tf.shape(inputs))
        return {"inputs": changed, "labels": layer.augment_labels(labels, drawn, unit)}

    return apply


# In the order in which the pipeline applies them.
OPERATIONS: dict[str, tuple[Callable[..., Operation], type[Rated], str]] = {
    "horizontal_flip": (horizontal_flip, HorizontalFlip, ""),
    "jittered_resize": (jittered_resize, JitteredResize, "random scale and window"),
    "aspect_ratio": (aspect_ratio, RandomAspectRatio, "random stretch"),
    "channel_shuffle": (channel_shuffle, ChannelShuffle, "colour channels in a random order"),
    "channel_shift": (channel_shift, RandomChannelShift, "each colour channel shifted"),
    "jpeg_quality": (jpeg_quality, RandomJpegQuality, "JPEG artefacts"),
    "grid_mask": (grid_mask, GridMask, "a grid of hidden squares"),
    "fourier_mix": (fourier_mix, FourierMix, "two images mixed through clouds"),
    "mosaic": (mosaic, Mosaic, "four images in one, with their labels"),
}
MIXING = ("fourier_mix", "mosaic")


class Pipeline(Params):
    """Several operations, each with its own table, applied in this order."""

    horizontal_flip: HorizontalFlip | None = None
    jittered_resize: JitteredResize | None = None
    aspect_ratio: RandomAspectRatio | None = None
    channel_shuffle: ChannelShuffle | None = None
    channel_shift: RandomChannelShift | None = None
    jpeg_quality: RandomJpegQuality | None = None
    grid_mask: GridMask | None = None
    fourier_mix: FourierMix | None = None
    mosaic: Mosaic | None = None


@hookimpl
def kerascnn_augmentations() -> list[Component]:
    single = [
        Component(name, partial(build_one, name), params, f"KerasCV: {summary}")
        for name, (_, params, summary) in OPERATIONS.items()
        if summary
    ]
    return [*single, Component("kerascv", build, Pipeline, "KerasCV: several of its operations")]


def build_one(name: str, params: Rated, *, image_size: int, num_classes: int) -> Augmentation:
    """Makes an augmentation of one operation; see `build`."""
    pipeline = Pipeline.model_validate({name: params})
    return build(pipeline, image_size=image_size, num_classes=num_classes)


def build(params: Pipeline, *, image_size: int, num_classes: int) -> Augmentation:
    """Makes an augmentation from KerasCV's layers, with a seed for each image.

    Args:
        params: The operations.
        image_size: Pixels S, height and width.
        num_classes: Number of classes; not used.

    Raises:
        InputError: The backend is not TensorFlow, or KerasCV is missing.
    """
    _require_tensorflow()
    rates = {name: table.rate for name, table in params if table}
    alone = {name: rate for name, rate in rates.items() if name not in MIXING}
    together = {name: rate for name, rate in rates.items() if name in MIXING}
    mix = Mixing(*_halves(params, together, image_size)) if together else None
    return Augmentation(*_halves(params, alone, image_size), mix)


def _halves(
    params: Pipeline, rates: dict[str, float], image_size: int
) -> tuple[Callable[["np.random.Generator", int], Arrays], Callable[[Batch, Any], Batch]]:
    """`draw` and `apply` of the operations named, each applied to a random share of the batch."""
    operations = {
        name: OPERATIONS[name][0](getattr(params, name), Draws(), image_size) for name in rates
    }

    def draw(rng: "np.random.Generator", batch_size: int) -> Arrays:
        def drawn(name: str) -> Arrays:
            seeds = rng.integers(SEEDS, size=batch_size)
            return {f"{name}_seeds": seeds, name: rng.random(batch_size) < rates[name]}

        return {key: array for name in rates for key, array in drawn(name).items()}

    def apply(batch: Batch, arrays: dict[str, Any]) -> Batch:
        import tensorflow as tf

        for name, operation in operations.items():
            changed = operation(batch, tf.cast(arrays[f"{name}_seeds"], tf.int32))
            batch = _where(arrays[name] > 0, changed, batch)
        return batch

    return draw, apply


def _where(chosen: Any, changed: Batch, batch: Batch) -> Batch:
    """Takes the chosen examples, bool [B], from the changed batch."""
    import tensorflow as tf

    def choose(name: str) -> Any:
        rank = len(batch[name].shape)
        return tf.where(tf.reshape(chosen, [-1] + [1] * (rank - 1)), changed[name], batch[name])

    return {name: choose(name) for name in batch}


def _require_tensorflow() -> None:
    import keras

    backend = keras.config.backend()
    if backend != "tensorflow":
        raise InputError(
            f"KerasCV's augmentations need TensorFlow, and this run is on {backend}: use "
            "--backend tensorflow, or a built-in augmentation such as strong."
        )
    try:
        import keras_cv  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"cannot import KerasCV ({error}); install it with `{pip_install('keras-cv==0.9.0')}`."
        ) from error
