"""The contract between kerascnn and its plugins: a hook for each kind, and the types that they use.

A plugin is a module that implements some of the hooks, each marked with `kerascnn.hookimpl`,
and that an entry point of the group `kerascnn` names. The built-in components are plugins too.
"""

import pluggy

from kerascnn.hookspecs.types import (
    Arrays,
    Augmentation,
    Component,
    Engine,
    Exporter,
    HostAugmentation,
    Launched,
    Metric,
    Mixing,
    Network,
    NoParams,
    Params,
    Process,
    Source,
    Splits,
    Weights,
)

__all__ = [
    "Arrays",
    "Augmentation",
    "Component",
    "Engine",
    "Exporter",
    "HostAugmentation",
    "Launched",
    "Metric",
    "Mixing",
    "Network",
    "NoParams",
    "Params",
    "Process",
    "Source",
    "Splits",
    "Weights",
]

hookspec = pluggy.HookspecMarker("kerascnn")
hookimpl = pluggy.HookimplMarker("kerascnn")


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

    What mixes images with each other is a `Mixing`, its third argument.

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
    underscore, in the order of the layers. A backbone with pretrained weights, which
    `Component.weights` describes, keeps its BatchNorm layers frozen unless a stage says otherwise.

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


@hookspec
def kerascnn_engines() -> list[Component]:
    """Engines, which place processes on devices. `build(params, *, processes)` returns `Engine`, or
    `Launched` if a launcher has started them.

    The processes of an `Engine` are the workers of a sweep, or train one run together
    (`[cluster]`); those that are `Launched` train one run. `processes` is how many are to run at a
    time, or None for one on each device. `build` may start or reach a cluster; Keras may not be
    imported yet. If that fails, it raises `InputError` with a message that says what to do.

    Example:
        from kerascnn import BackgroundProcess, Component, Engine, hookimpl

        def build(params, *, processes):
            def start(place):
                return BackgroundProcess({"CUDA_VISIBLE_DEVICES": str(place)})

            return Engine(start, processes or 8)

        @hookimpl
        def kerascnn_engines():
            return [Component("eight_gpus", build, summary="the eight GPUs of this host")]
    """
    raise NotImplementedError
