"""A plugin with one component of each kind, right as it stands and wrong in one way by each fault.

tests/test_testing.py installs it; the kit's own processes import it too.
"""

import hashlib
import json
import os
import random
import signal
import sqlite3
import sys
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from pydantic import Field

from kerascnn import (
    Augmentation,
    BackgroundProcess,
    Component,
    Engine,
    Exporter,
    HostAugmentation,
    InputError,
    Metric,
    Mixing,
    Network,
    Observer,
    Params,
    Splits,
    Weights,
    classifier_head,
    fetch,
    hookimpl,
    read_image,
)


class Suspect(Params):
    fault: str = Field("", description="What is wrong with it.")


EVENTS = [name for name in vars(Observer) if not name.startswith("_")]


# Datasets


class DatasetParams(Suspect):
    path: Path | None = Field(None, description="A folder of PNG files; default noise.")
    images: int = Field(12, ge=1, description="Images a split.")
    shade: int = Field(0, ge=0, le=9, description="Added to every pixel.")


@dataclass
class Noise:
    """Images that are drawn when they are asked for."""

    params: DatasetParams
    split: int
    reads: list[int] = field(default_factory=list)
    opened: Any = None

    def __len__(self):
        return 0 if self.params.fault == "empty_split" and self.split == 2 else self.params.images

    def __getitem__(self, index):
        fault, label = self.params.fault, index % 2
        self.reads.append(index)
        if fault == "raises":
            index = index // 0
        if fault == "bound_to_its_thread":
            index = self.opened.execute("SELECT ?", (index,)).fetchone()[0]
        if fault == "one_place_for_all":
            self.opened = index
            time.sleep(1e-4)
            index = self.opened
        if fault == "one_class" and self.split == 1:
            label = 0
        if fault == "no_label":
            return self.image(index)
        if fault == "label_too_large":
            label = index % 3
        if fault == "label_is_text":
            label = str(label)
        return self.image(index), label

    def __getitems__(self, indices):
        chosen = sorted(indices) if self.params.fault == "many_in_its_own_order" else indices
        return [self[index] for index in chosen]

    def image(self, index):
        fault = self.params.fault
        seed = [0 if fault == "splits_overlap" else self.split, index]
        if fault == "other_in_each_process":
            seed = [*seed, os.getpid()]
        rng = np.random.default_rng(None if fault == "unseeded" else seed)
        image = rng.integers(0, 240, (48, 48, 3), np.uint8) + np.uint8(self.params.shade)
        if fault == "black":
            image //= 16
        if fault == "one_colour":
            image = np.full_like(image, 10 * index) + image // 60
        if fault == "brightened_copies":
            shown = np.random.default_rng(index).integers(0, 220, (8, 8, 3), np.uint8)
            image = shown.repeat(6, 0).repeat(6, 1) + np.uint8(9 * self.split)
        if fault == "floats":
            return image / 255
        return b"no image" if fault == "undecodable" else image

    @property
    def fingerprint(self):
        shade = None if self.params.fault == "fingerprint_without_shade" else self.params.shade
        told = {
            "fingerprint_of_this_process": os.getpid(),
            "fingerprint_anew": uuid.uuid4(),
            "fingerprint_of_reads": len(self.reads),
        }
        return f"{self.params.images} {self.split} {shade} {told.get(self.params.fault)}"


@dataclass
class Files:
    """Paths of images."""

    paths: list[Path]
    fault: str

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.paths[index], index % 2

    @property
    def fingerprint(self):
        if self.fault == "fingerprint_of_names":
            return str([path.name for path in self.paths])
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.paths]
        return " ".join(digests)


def build_dataset(params, *, seed):
    fault, names = params.fault, ["even", "odd"]
    if fault == "dictionary":
        return {"train": []}
    if params.path is not None:
        return files(params)
    opened = {"bound_to_its_thread": lambda: sqlite3.connect(":memory:"), "locked": threading.Lock}
    sources = [Noise(params, split, opened=opened.get(fault, int)()) for split in range(3)]
    if fault == "in_memory":
        sources = [[source[i] for i in range(len(source))] for source in sources]
    return Splits(*sources, ["odd", "odd"] if fault == "one_name_twice" else names)


def files(params):
    if not params.path.is_dir():
        raise InputError(f'there is no folder "{params.path}".')
    paths = sorted(params.path.glob("*.png"))
    if params.fault == "decodes_all":
        for path in paths:
            read_image(path)
    return Splits(*(Files(paths[start::3], params.fault) for start in range(3)), ["even", "odd"])


# Augmentations


class AugmentationParams(Suspect):
    layer: bool = Field(False, description="Whether it is a Keras layer.")
    host: bool = Field(False, description="Whether it runs on the host.")
    mixes: bool = Field(False, description="Whether it mixes examples.")


def build_augmentation(params, *, image_size, num_classes):
    import keras
    from keras import ops

    fault, state = params.fault, SimpleNamespace(steps=0)

    def draw(rng, batch_size):
        state.steps += 1
        if fault == "own_generator":
            rng = np.random.default_rng(0)
        if fault == "global_generator":
            rng = np.random
        count = 1 if fault == "draws_once" else batch_size
        extra = state.steps if fault == "other_shapes" else 1
        return {"gain": rng.uniform(0.7, 1.3, (count, 1, 1, extra))}

    def apply(batch, arrays):
        images, labels = batch["images"], batch["labels"]
        images = images * ops.mean(arrays["gain"], axis=-1, keepdims=True)
        if fault == "stateful":
            images = images * keras.random.uniform((1,))
        if fault == "crops":
            images = images[:, 1:]
        if fault == "backends_differ":
            images = images * {"tensorflow": 1, "jax": 0.9, "torch": 0.8}[keras.config.backend()]
        if fault == "labels_rolled":
            labels = ops.roll(labels, 1, axis=0)
        if fault == "mixes_images_alone":
            images = (images + ops.roll(images, 1, axis=0)) / 2
        if fault == "mixes_in_apply":
            images, labels = (0.6 * part + 0.4 * ops.roll(part, 1, 0) for part in (images, labels))
        if fault == "mixes_the_other_way":
            images = 0.8 * images + 0.2 * ops.roll(images, 1, axis=0)
            labels = 0.2 * labels + 0.8 * ops.roll(labels, 1, axis=0)
        if fault == "blackens":
            images = images / 255
        if fault == "labels_added":
            labels = labels + ops.roll(labels, 1, axis=0)
        if fault != "unclipped":
            images = ops.clip(images, 0, 255)
        if fault == "half_precision":
            images = ops.cast(images, "float16")
        return {"images": images, **({} if fault == "forgets_labels" else {"labels": labels})}

    if fault == "function":
        return apply
    if params.host:
        return HostAugmentation(host_apply(fault))
    if params.layer:
        return never_calm() if fault == "never_calm" else keras.layers.RandomBrightness(0.3)
    return Augmentation(draw, apply, mixing(fault) if params.mixes else None)


def mixing(fault):
    from keras import ops

    def draw(rng, batch_size):
        return {"share": rng.uniform(0, 0.5, batch_size)}

    def apply(batch, arrays):
        inputs, labels = batch["inputs"], batch["labels"]
        if fault == "mixes_maps_alone":
            ops.transpose(inputs, (0, 2, 1, 3))
        share = ops.reshape(arrays["share"], (-1,) + (1,) * (len(inputs.shape) - 1))
        inputs = inputs + share * (ops.roll(inputs, 1, axis=0) - inputs)
        if fault == "forgets_axes":
            inputs = ops.reshape(inputs, (inputs.shape[0], -1))
        if fault != "mixes_inputs_alone":
            labels = labels + arrays["share"][:, None] * (ops.roll(labels, 1, axis=0) - labels)
        return {"inputs": inputs, "labels": labels}

    return Mixing(draw, apply)


def host_apply(fault):
    state, lock = SimpleNamespace(calls=0), threading.Lock()

    def apply(image, rng):
        state.calls += 1
        if fault == "own_generator":
            rng = np.random.default_rng(0)
        if fault == "global_generator":
            rng = SimpleNamespace(integers=np.random.randint)
        if fault == "unseeded":
            rng = np.random.default_rng()
        shift = int(rng.integers(-40, 40))
        if fault == "python_generator":
            shift = random.randint(-40, 40)
        if fault == "keras_generator":
            import keras

            shift = int(keras.random.uniform((), -40, 40))
        if fault == "counts":
            shift = state.calls
        if fault == "other_in_each_process":
            shift += 0 if os.environ[FIRST] == str(os.getpid()) else 25
        if fault == "no_change":
            shift = 0
        if fault == "in_place":
            image += np.uint8(1)
        shifted = image.astype(float) + shift
        if fault == "crops":
            return image[1:]
        return shifted if fault == "floats" else np.clip(shifted, 0, 255).astype(np.uint8)

    def guarded(image, rng):
        with lock:
            return apply(image, rng)

    return guarded if fault == "holds_a_lock" else apply


def never_calm():
    import keras

    class NeverCalm(keras.layers.RandomBrightness):
        def call(self, inputs, training=True):
            return super().call(inputs, training=True)

    return NeverCalm(0.3)


# Architectures


class ArchitectureParams(Suspect):
    weights: str = Field("none", description="Said to be pretrained unless it is none.")


def describe_weights(params, *, image_size):
    if params.fault == "imports_keras_to_describe":
        import keras  # noqa: F401
    if params.weights == "none" and params.fault != "described_from_scratch":
        return None
    return Weights("suspects" if params.fault != "of_nowhere" else "", at_hand=True)


def build_architecture(params, *, image_size, num_classes):
    import keras
    from keras import layers

    fault, parts = params.fault, keras_parts()
    images = keras.Input((image_size, image_size, 3))
    scale = {"rescales_twice": 1 / 255**2, "rescales_never": 1}.get(fault, 1 / 255)
    x = layers.Rescaling(scale, name="stem_rescaling")(images)
    x = layers.Conv2D(8, 3, 2, activation="relu", name="stem_conv")(x)
    if fault == "downloads":
        fetch("http://127.0.0.1:9/suspect.h5", about_bytes=1)
    if fault == "noise":
        x = parts.Noise(name="stem_noise")(x)
    if fault == "among_others":
        x = x - keras.ops.mean(x, axis=0)
    if fault == "remembers":
        x = parts.Remembers(name="stem_remembers")(x)
    if fault == "lambda":
        x = layers.Lambda(lambda x: x * 1, name="stem_lambda")(x)
    if fault == "loads_here_only":
        x = parts.Doubled(name="stem_doubled")(x)
    if fault == "nested":
        x = keras.Sequential([keras.Input(x.shape[1:]), layers.ReLU()], name="stem_model")(x)
    if fault == "counts_frozen":
        x = parts.Counter(name="stem_counter")(x)
    if fault == "backends_differ":
        x = x * {"tensorflow": 1, "jax": 2, "torch": 4}[keras.config.backend()]
    if fault == "detached":
        x = keras.ops.stop_gradient(x)
    x = layers.Conv2D(16, 3, 2, activation="relu", name="body_conv")(x)
    x = layers.BatchNormalization(name="stem_norm" if fault == "interleaved" else "body_norm")(x)
    if fault == "dead":
        x = x * 0
    if fault == "headless":
        x = layers.Dense(num_classes, "softmax", name="top")(layers.Flatten(name="top_flat")(x))
    elif fault == "sigmoid":
        x = layers.GlobalAveragePooling2D(name="head_pool")(x)
        x = layers.Dense(num_classes, "sigmoid", name="head_dense")(x)
    else:
        x = classifier_head(x, num_classes, dropout=0.98 if fault == "drops_most" else 0)
    model = keras.Model(images, x)
    if fault == "listed_backwards":
        return Network(model, {"body": ["body_*"], "stem": ["stem_*"]})
    if fault == "empty_block":
        return Network(model, {"stem": ["stem_*"], "neck": ["neck_*"], "body": ["*"]})
    if fault == "one_block_for_all":
        return Network(model, {"head": ["*"]})
    return model


@cache
def keras_parts():
    import keras

    @keras.saving.register_keras_serializable("suspects")
    class Noise(keras.layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.seed = keras.random.SeedGenerator(0)  # state: other noise with every call

        def call(self, inputs):
            return inputs + keras.random.normal(keras.ops.shape(inputs), seed=self.seed)

    @keras.saving.register_keras_serializable("suspects")
    class Remembers(keras.layers.Layer):
        factor = 1.0  # changed by training, and neither saved nor restored

        def call(self, inputs, training=None):
            if training:
                self.factor = 2.0
            return inputs * self.factor

    @keras.saving.register_keras_serializable("suspects")
    class Doubled(keras.layers.Layer):
        """Known only where `build` has run."""

        def call(self, inputs):
            return inputs * 2

    @keras.saving.register_keras_serializable("suspects")
    class Counter(keras.layers.Layer):
        def build(self, _):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, inputs):
            self.count.assign_add(1.0)
            return inputs

    class Ramp(keras.optimizers.schedules.LearningRateSchedule):
        """Linear up, then linear down."""

        def __init__(self, peak, steps, rise=0, final=0.0, fault=""):
            self.peak, self.steps, self.rise, self.final, self.fault = (
                *(peak, steps, rise, final),
                fault,
            )

        def __call__(self, step):
            ops = keras.ops
            if self.fault == "asks_for_its_value":
                step = float(step)
            step = ops.cast(step, "float32")
            offset = {"late": -1, "later": -2, "too_early": 2}.get(self.fault, 0)
            step = ops.maximum(step + offset, 0)
            first = 0 if self.fault == "starts_at_zero" else 1
            up = (step + first) / (self.rise + first) if self.rise + first else step
            length = self.steps - self.rise
            left = 1 - (step - self.rise) / (length - (self.fault == "short_is_nan"))
            if self.fault == "starts_at_zero":
                left = left * ops.minimum(step, 1)
            if self.fault == "other_elsewhere" and keras.config.backend() != "jax":
                left = left * 0.9
            down = self.final + (1 - self.final) * ops.maximum(left, 0)
            return self.peak * ops.where(step < self.rise, up, down)

        def get_config(self):
            config = vars(self)
            return config | {"steps": 3} if self.fault == "forgets_its_steps" else dict(config)

    keras.saving.register_keras_serializable("suspects")(Ramp)

    class Drop(keras.callbacks.Callback):
        def __init__(self, rates, late):
            super().__init__()
            self.rates, self.late = rates, late

        def on_epoch_begin(self, epoch, logs=None):
            if epoch and not self.late:
                self.model.optimizer.learning_rate = self.rates[min(epoch - 1, 1)]
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if self.epoch and self.late:
                self.model.optimizer.learning_rate = self.rates[min(self.epoch - 1, 1)]

    every = (Noise, Remembers, Doubled, Counter, Ramp, Drop)
    return SimpleNamespace(**{part.__name__: part for part in every})


# Schedules


class ScheduleParams(Suspect):
    warmup_fraction: float = Field(0.0, ge=0, lt=1, description="Part that rises.")
    final_fraction: float = Field(0.0, ge=0, le=1, description="Rate at the end over the peak.")


def build_schedule(params, *, peak_learning_rate, steps, steps_per_epoch):
    fault, peak = params.fault, peak_learning_rate
    rise = 0 if fault == "no_warm_up" else min(round(params.warmup_fraction * steps), steps - 1)
    final = 0 if fault == "no_final_fraction" else params.final_fraction
    if fault == "number":
        return peak
    if fault == "half_the_peak":
        peak = peak / 2
    if fault == "steps_of_an_epoch":
        steps = steps_per_epoch
    return keras_parts().Ramp(peak, steps, rise, final, fault)


def build_callback(params, *, peak_learning_rate, steps, steps_per_epoch):
    last = -1 if params.fault == "negative" else 0.25
    rates = [peak_learning_rate * factor for factor in (0.5, last)]
    return keras_parts().Drop(rates, params.fault == "late")


# Losses


def build_loss(params, *, num_classes, class_counts):
    import keras
    from keras import ops

    fault = params.fault
    counts = np.array(class_counts, np.float32)
    least = 0.0 if fault == "unclipped" else 1e-7

    class Suspicious(keras.losses.Loss):
        """Cross-entropy, weighted by class."""

        def call(self, y_true, y_pred):
            if fault == "largest_label":
                y_true = ops.one_hot(ops.argmax(y_true, axis=-1), num_classes)
            if fault == "logits":
                y_pred = ops.softmax(y_pred)
            if fault == "detached":
                y_pred = ops.stop_gradient(y_pred) + 0.0 * y_pred
            if fault == "inverse_counts":
                y_true = ops.divide(y_true, counts)
            losses = -y_true * ops.log(ops.maximum(y_pred, least))
            if fault == "of_each_class":
                return losses
            losses = ops.sum(losses, axis=-1)
            if fault == "infinite_slope":
                losses = losses + ops.sqrt(1 - ops.sum(y_true * y_pred, axis=-1))
            return wrong(losses)

    def wrong(losses):
        if fault == "mean_of_the_batch":
            return ops.mean(losses)
        if fault == "half_precision":
            return ops.cast(losses, "float16")
        if fault == "upside_down":
            return -losses
        if fault == "relative_to_the_batch":
            return losses / ops.mean(losses)
        if fault == "random":
            return losses * keras.random.uniform(ops.shape(losses), 0.5, 1)
        if fault == "other_elsewhere":
            return losses * {"tensorflow": 1, "jax": 2, "torch": 4}[keras.config.backend()]
        return losses

    return Suspicious().call if fault == "function" else Suspicious()


# Metrics


def build_metric(params, *, class_names):
    fault, state = params.fault, SimpleNamespace(calls=0)
    if fault == "function":
        return np.mean

    def compute(labels, probabilities):
        state.calls += 1
        rows = np.arange(len(labels))
        value = probabilities[rows, labels].mean(dtype=float)
        if fault == "counts":
            value += state.calls
        if fault == "first_image":
            value = probabilities[0, labels[0]]
        if fault == "sorts":
            probabilities.sort()
        if fault == "raises" and len(set(labels)) < len(class_names):
            raise ValueError("a class has no image")
        if fault == "array":
            value = probabilities.mean(0)
        if fault == "nan_for_two" and len(class_names) == 2:
            value = np.nan
        if fault == "slow" and len(labels) > 5000:
            time.sleep(0.2)
        return value

    return Metric(compute, greater_is_better=fault != "other_way")


# Observers


class ObserverParams(Suspect):
    seconds: float = Field(0.3, description="How long it sleeps.")
    file: Path | None = Field(None, description="A file for the names of the events.")


class Hearer(Observer):
    def __init__(self, params):
        self.params = params

    def __getattribute__(self, name):
        if name in EVENTS:
            everywhere(object.__getattribute__(self, "params"), name)
        return super().__getattribute__(name)

    def epoch(self, epoch, total):
        if self.params.fault == "adds_a_metric":
            epoch.metrics["mine"] = 1.0
        if self.params.fault == "seeds":
            random.seed(0)
            np.random.seed(0)
        if self.params.fault == "prints":
            sys.stdout.write("an epoch")

    def ended(self, result):
        if self.params.fault == "imports_keras":
            sys.modules.setdefault("keras", ModuleType("keras"))  # Keras itself takes seconds

    def failed(self, message):
        if self.params.fault == "raises_when_failed":
            raise ValueError(message)


def everywhere(params, event):
    """What it does on every event."""
    if params.file:
        with params.file.open("a") as file:
            file.write(f"{event}\n")
    if params.fault == "raises_everywhere":
        raise ValueError("no")
    if params.fault == "sleeps":
        time.sleep(params.seconds)
    if params.fault == "kills_itself":
        os.kill(os.getpid(), signal.SIGKILL)
    if params.fault == "only_in_one_process" and os.environ[FIRST] != str(os.getpid()):
        raise ValueError("not here")


FIRST = "SUSPECTS_FIRST_PROCESS"
os.environ.setdefault(FIRST, str(os.getpid()))


def build_observer(params):
    return print if params.fault == "function" else Hearer(params)


# Exporters


def build_exporter(params):
    fault, kept = params.fault, {}

    def write(model, folder):
        import keras

        weights = model.get_weights()
        if fault == "backends_differ" and keras.config.backend() != "tensorflow":
            weights[-1] += np.arange(len(weights[-1]))
        if fault == "writes_its_first_model":
            weights = kept.setdefault("weights", weights)
        if fault == "freezes":
            model.trainable = False
        if fault == "rounds_weights":
            model.set_weights([weight.round(1) for weight in weights])
        path = folder / "model.json"
        path.write_text(json.dumps([model.to_json(), [weight.tolist() for weight in weights]]))
        strays = {
            "writes_beside": folder.parent,
            "writes_into_the_working_directory": Path(),
            "writes_two_files": folder,
        }
        if fault in strays:
            (strays[fault] / "notes.txt").write_text("a stray")
        kept["path"] = path.absolute()
        return {"returns_text": str(path), "returns_nothing": None}.get(fault, path)

    def predict(path, images):
        if fault == "remembers_its_path":
            path = kept["path"]
        probabilities = run(path, images)
        if fault == "classes_in_another_order":
            return np.roll(probabilities, 1, axis=1)
        if fault == "one_image_alone":
            return run(path, images[:1]).repeat(len(images), axis=0)
        if fault == "normalises_a_batch":
            return probabilities - probabilities.mean(0) * 0.1
        return probabilities.astype("float64") if fault == "float64" else probabilities

    if fault == "functions":
        return write, predict
    backend = "theano" if fault == "unknown_backend" else ""
    return Exporter(write, predict, backend, tolerance=1 if fault == "lenient" else 1e-4)


def run(path, images):
    import keras

    configuration, weights = json.loads(path.read_text())
    model = keras.models.model_from_json(configuration)
    model.set_weights([np.array(weight, "float32") for weight in weights])
    return keras.ops.convert_to_numpy(model(images))


# Engines


class Placed(BackgroundProcess):
    """A process with one fault."""

    one_at_a_time = threading.Lock()

    def __init__(self, fault):
        self.fault = fault
        # a pipe that stays open for a while after this process has ended
        lingers = ["sh", "-c", '(cat; sleep 3) | "$@"', "sh"]
        super().__init__(launcher=lingers if fault == "outlives" else [])

    def submit(self, function, /, *arguments):
        if self.fault == "here":
            return ThreadPoolExecutor(1).submit(function, *arguments)
        if self.fault == "out_of_order" and arguments == (2,):
            self.late, self.held = Future(), function
            return self.late
        if self.fault == "elsewhere":
            super().submit(os.chdir, "/")
        if self.fault == "takes_turns":
            with self.one_at_a_time:
                return done(super().submit(function, *arguments).result())
        if self.fault in ("swallows", "loses"):
            try:
                return done(super().submit(function, *arguments).result())
            except Exception as error:
                if self.fault == "swallows" or "killed" in str(error):
                    return done(None)
                raise
        future = super().submit(function, *arguments)
        if self.fault == "out_of_order" and arguments == (3,):
            held = super().submit(self.held, 2)
            held.add_done_callback(lambda call: self.late.set_result(call.result()))
        return future

    def terminate(self):
        if self.fault != "deaf":
            super().terminate()

    def close(self):
        if self.fault == "stays":
            threading.Timer(2, super().close).start()
        else:
            super().close()


def done(value):
    future = Future()
    future.set_result(value)
    return future


def build_engine(params, *, processes):
    fault = params.fault

    def close():
        if fault == "fails_to_close":
            raise ValueError("no")

    if fault == "function":
        return Placed
    return Engine(
        lambda place: Placed(fault), 1 if fault == "one_place" else processes, close=close
    )


@hookimpl
def kerascnn_datasets():
    return [Component("suspect", build_dataset, DatasetParams, check=refuse)]


def refuse(params, *, image_size):
    return {"fault": "it cannot work."} if params.fault == "refused" else {}


@hookimpl
def kerascnn_augmentations():
    return [Component("suspect", build_augmentation, AugmentationParams)]


@hookimpl
def kerascnn_architectures():
    return [Component("suspect", build_architecture, ArchitectureParams, weights=describe_weights)]


@hookimpl
def kerascnn_schedules():
    return [
        Component("suspect", build_schedule, ScheduleParams),
        Component("suspect_callback", build_callback, Suspect),
    ]


@hookimpl
def kerascnn_losses():
    return [Component("suspect", build_loss, Suspect)]


@hookimpl
def kerascnn_metrics():
    return [Component("suspect", build_metric, Suspect)]


@hookimpl
def kerascnn_observers():
    return [Component("suspect", build_observer, ObserverParams)]


@hookimpl
def kerascnn_exporters():
    return [Component("suspect", build_exporter, Suspect)]


@hookimpl
def kerascnn_engines():
    return [Component("suspect", build_engine, Suspect)]
