"""The contract between kerascnn and its plugins: a hook for each kind, and the types that they use.

A plugin is a module that implements some of the hooks, each marked with `kerascnn.hookimpl`,
and that an entry point of the group `kerascnn` names. The built-in components are plugins too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pluggy
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import keras
    import numpy as np

hookspec = pluggy.HookspecMarker("kerascnn")
hookimpl = pluggy.HookimplMarker("kerascnn")

Arrays = dict[str, Any]
"""Arrays by name: NumPy arrays on the host, the backend's tensors on the device."""


class Params(BaseModel):
    """Base class of a component's parameters; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class NoParams(Params):
    """The parameters of a component that has none."""


@dataclass(frozen=True)
class Component:
    """What a plugin registers under a name.

    Args:
        name: The name that an experiment writes, in snake_case.
        build: Builds the component, as the hook of its kind says. Heavy imports belong inside it.
        params: Validates the component's TOML keys, before anything heavy is imported.
        summary: One line for `kerascnn plugins`.
        check: `check(params, *, image_size) -> {key: fault}` returns what cannot work: a file that
            does not exist, images that are too small. Called when an experiment is loaded; must
            import nothing heavy. Default none.
    """

    name: str
    build: Callable[..., Any]
    params: type[Params] = NoParams
    summary: str = ""
    check: Callable[..., Mapping[str, str]] | None = None


class Source(Protocol):
    """A random-access source of labelled images: a map-style dataset of PyTorch or Grain.

    `source[i]` is `(image, label)`. The image is a path, encoded bytes, or uint8 [H, W, 3] (grey:
    [H, W] or [H, W, 1]); the label is an int, the index of its class name. An optional
    `fingerprint` (str) changes whenever an image or a label changes; without it kerascnn hashes
    the images.

    Several threads read a source at once, and it is sent to other processes with `cloudpickle`:
    open files and connections in `__getitem__`, once for each thread of each process.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Any, int]: ...


@dataclass(frozen=True)
class Splits:
    """A dataset: three sources that share no image, and the class names.

    Args:
        train: The images to train on.
        validation: The images that epochs and stages are compared on.
        test: The images that the final accuracy is measured on.
        class_names: In the order of the labels; at least two.
        ignored: What was found besides images, with its count, such as {"HEIC files": 2}.
    """

    train: Source
    validation: Source
    test: Source
    class_names: Sequence[str]
    ignored: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Augmentation:
    """An augmentation in two functions, so that its random numbers are the same on every backend.

    Args:
        draw: `draw(rng, batch_size) -> arrays` draws the random numbers on the host. `rng` is a
            NumPy generator keyed by (seed, stage, epoch, step); the first axis of each array is
            `batch_size`.
        apply: `apply(batch, arrays) -> batch` applies them on the device, using only `keras.ops`.
            A batch is `{"images": float32 [B, H, W, 3] in 0-255, "labels": float32 [B, K]}`.
            Where images are mixed or exchanged, so are their labels, in the same shares.
    """

    draw: "Callable[[np.random.Generator, int], Arrays]"
    apply: Callable[[Arrays, Arrays], Arrays]


@dataclass(frozen=True)
class HostAugmentation:
    """An augmentation of one image at a time on the CPU, with NumPy or any other library.

    It runs ahead of the training step that uses the image, in other processes where that is faster.
    The labels stay as they are.

    Args:
        apply: `apply(image, rng) -> image` returns an augmented copy. Both images are uint8
            [H, W, 3] in RGB, of the same size. `rng` is a NumPy generator keyed by (seed, stage,
            epoch, step, place in the batch): use no other randomness. `cloudpickle` must be able
            to send `apply` to another process.
    """

    apply: "Callable[[np.ndarray, np.random.Generator], np.ndarray]"


@dataclass(frozen=True)
class Network:
    """A functional model and its blocks.

    Args:
        model: Maps float32 [B, S, S, 3] in 0-255 to probabilities float32 [B, K]; the layers of
            its classifier are named `head_...`.
        blocks: Glob patterns of layer names by block, from the input on. A layer belongs to the
            first block with a pattern that matches.
        weights: Description of the weights, such as "weights of resnet_50_imagenet"; default the
            value of the parameter `weights`.
        modules: Modules to import before a saved model is loaded, such as "my_layers.register":
            those that register layers with Keras without defining them. Each belongs to the
            package of the component or to one that it requires. Default none: the modules that
            define the layers are found.
    """

    model: "keras.Model"
    blocks: Mapping[str, Sequence[str]]
    weights: str = ""
    modules: Sequence[str] = ()


@dataclass(frozen=True)
class Metric:
    """A measure of how good probabilities are.

    Args:
        compute: `compute(labels, probabilities) -> float`, in NumPy: labels int [N] in 0 to K - 1,
            probabilities float [N, K]; N is at least 1, and a class may have no image. NaN where
            the metric is not defined for these images.
        greater_is_better: Whether greater values are better; default True.
    """

    compute: "Callable[[np.ndarray, np.ndarray], float]"
    greater_is_better: bool = True


@dataclass(frozen=True)
class Exporter:
    """A format for other runtimes: how a model is written, and how what was written is run.

    Args:
        write: `write(model, folder) -> path` writes a functional model into an empty folder and
            returns the path of the file, or of the folder if the format needs several files. The
            model maps float32 [N, S, S, 3] in 0-255 to probabilities float32 [N, K] and computes
            in float32; `write` must not change it.
        predict: `predict(path, images) -> probabilities` runs what was written, without Keras if
            the format has a runtime of its own: from float32 [N, S, S, 3] in 0-255, for any N, to
            float32 [N, K]. The path may be another one by then.
        backend: The Keras backend that `write` needs, such as "tensorflow"; default any.
        runtime: The package that `predict` runs the model with, such as "onnxruntime"; its version
            is recorded. Default the exporter's own package.
        tolerance: Largest allowed difference between a probability and that of Keras; higher only
            for formats of lower precision.
    """

    write: "Callable[[keras.Model, Path], Path]"
    predict: "Callable[[Path, np.ndarray], np.ndarray]"
    backend: str = ""
    runtime: str = ""
    tolerance: float = 1e-4


@hookspec
def kerascnn_datasets() -> list[Component]:
    """Datasets. `build(params, *, seed) -> Splits`.

    Example:
        import numpy as np
        from kerascnn import Component, Splits, hookimpl

        def squares(count, seed):
            rng = np.random.default_rng(seed)
            return [
                (rng.integers(120 * (i % 2), 120 * (i % 2) + 120, (32, 32, 3), "uint8"), i % 2)
                for i in range(count)
            ]

        def build(params, *, seed):
            sources = squares(60, 1), squares(30, 2), squares(30, 3)
            return Splits(*sources, class_names=["dark", "bright"])

        @hookimpl
        def kerascnn_datasets():
            return [Component("squares", build, summary="dark and bright squares")]
    """
    raise NotImplementedError


@hookspec
def kerascnn_augmentations() -> list[Component]:
    """Augmentations. `build(params, *, image_size, num_classes) -> Augmentation`.

    `build` may also return a `HostAugmentation`, which augments one image at a time with a library
    such as OpenCV; or a Keras preprocessing layer or a `keras.layers.Pipeline` of them, which draws
    its random numbers from Keras.

    Example:
        from kerascnn import Augmentation, Component, hookimpl

        def build(params, *, image_size, num_classes):
            from keras import ops

            def draw(rng, batch_size):
                return {"gain": rng.uniform(0.8, 1.2, (batch_size, 1, 1, 1)).astype("float32")}

            def apply(batch, arrays):
                return {**batch, "images": ops.clip(batch["images"] * arrays["gain"], 0, 255)}

            return Augmentation(draw, apply)

        @hookimpl
        def kerascnn_augmentations():
            return [Component("gain", build, summary="darker and brighter")]
    """
    raise NotImplementedError


@hookspec
def kerascnn_architectures() -> list[Component]:
    """Architectures. `build(params, *, image_size, num_classes) -> Network | keras.Model`.

    The blocks of a plain functional model are the parts of its layers' names before the first
    underscore, in the order of the layers. A parameter `weights` with a value other than "none"
    means that the backbone is pretrained: its BatchNorm layers stay frozen unless a stage says
    otherwise.

    Example:
        from kerascnn import Component, classifier_head, hookimpl

        def build(params, *, image_size, num_classes):
            import keras
            from keras import layers

            images = keras.Input((image_size, image_size, 3))
            x = layers.Rescaling(1 / 255, name="stem_rescaling")(images)
            x = layers.Conv2D(16, 3, activation="relu", name="stem_conv")(x)
            return keras.Model(images, classifier_head(x, num_classes))

        @hookimpl
        def kerascnn_architectures():
            return [Component("one_convolution", build, summary="a single convolution")]
    """
    raise NotImplementedError


@hookspec
def kerascnn_schedules() -> list[Component]:
    """Learning-rate schedules of a stage.

    `build(params, *, peak_learning_rate, steps, steps_per_epoch)` returns a
    `keras.optimizers.schedules.LearningRateSchedule` or a `keras.callbacks.Callback`. `steps` is
    the number of steps of the stage: 0 to `steps - 1`, each with a rate above zero. A callback sets
    `self.model.optimizer.learning_rate` before a step and changes nothing else of the model; finite
    numbers that it puts into the logs of `on_epoch_end` become metrics of the epoch.

    Example:
        from kerascnn import Component, hookimpl

        def build(params, *, peak_learning_rate, steps, steps_per_epoch):
            from keras.optimizers.schedules import CosineDecay

            return CosineDecay(peak_learning_rate, steps)

        @hookimpl
        def kerascnn_schedules():
            return [Component("falling_cosine", build, summary="cosine decay to zero")]
    """
    raise NotImplementedError


@hookspec
def kerascnn_losses() -> list[Component]:
    """Training losses of a stage.

    `build(params, *, num_classes, class_counts)` returns a `keras.losses.Loss` whose
    `call(y_true, y_pred)` gives the loss of each image, float32 [B], from labels float32 [B, K],
    which may be smoothed or mixed, and probabilities float32 [B, K]. `class_counts` is the number
    of training images of each class. kerascnn weights the images and takes the mean.

    Example:
        from kerascnn import Component, hookimpl

        def build(params, *, num_classes, class_counts):
            import keras
            from keras import ops

            class Brier(keras.losses.Loss):
                def call(self, y_true, y_pred):
                    return ops.sum((y_true - y_pred) ** 2, axis=-1)

            return Brier()

        @hookimpl
        def kerascnn_losses():
            return [Component("brier", build, summary="squared error of the probabilities")]
    """
    raise NotImplementedError


@hookspec
def kerascnn_metrics() -> list[Component]:
    """Metrics of validation and test images. `build(params, *, class_names) -> Metric`.

    `class_names` is a tuple, in the order of the labels.

    Example:
        import numpy as np
        from kerascnn import Component, Metric, hookimpl

        def brier(labels, probabilities):
            wrong = probabilities - np.eye(probabilities.shape[1])[labels]
            return np.square(wrong).sum(1).mean()

        def build(params, *, class_names):
            return Metric(brier, greater_is_better=False)

        @hookimpl
        def kerascnn_metrics():
            return [Component("brier_score", build, summary="mean squared error of probabilities")]
    """
    raise NotImplementedError


@hookspec
def kerascnn_observers() -> list[Component]:
    """Observers. `build(params) -> kerascnn.Observer`.

    `build` and every event run in a process of their own, without Keras: an observer receives
    copies, in order, and nothing that it does affects the run.

    Example:
        from pathlib import Path

        from kerascnn import Component, Observer, hookimpl

        class Accuracies(Observer):
            def tracked(self, run_id, store, folder):
                self.file = Path(folder, "accuracies.txt")

            def epoch(self, epoch, total):
                with self.file.open("a") as file:
                    file.write(f"{epoch.metrics['val_accuracy']:.4f}\\n")

        @hookimpl
        def kerascnn_observers():
            return [Component("accuracies", lambda params: Accuracies(), summary="a text file")]
    """
    raise NotImplementedError


@hookspec
def kerascnn_exporters() -> list[Component]:
    """Formats of `kerascnn export`. `build(params) -> Exporter`.

    Keras may not be imported yet when `build` is called; if a package is missing, it raises
    `InputError` with the command that installs it.

    Example:
        from kerascnn import Component, Exporter, hookimpl

        def write(model, folder):
            (folder / "model.json").write_text(model.to_json())
            model.save_weights(folder / "model.weights.h5")
            return folder

        def predict(path, images):
            import keras

            model = keras.models.model_from_json((path / "model.json").read_text())
            model.load_weights(path / "model.weights.h5")
            return keras.ops.convert_to_numpy(model(images))

        def build(params):
            return Exporter(write, predict)

        @hookimpl
        def kerascnn_exporters():
            return [Component("json_and_h5", build, summary="the network as JSON, weights as HDF5")]
    """
    raise NotImplementedError
