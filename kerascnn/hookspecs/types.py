"""The types of the contract: a component, and what the builders of each kind return."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

from kerascnn.hookspecs.model_card import stated_licence

if TYPE_CHECKING:
    import keras
    import numpy as np

Arrays = dict[str, Any]
"""Arrays by name: NumPy arrays on the host, the backend's tensors on the device."""


class Params(BaseModel):
    """Base class of a component's parameters; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class NoParams(Params):
    """The parameters of a component that has none."""


@dataclass(frozen=True)
class Weights:
    """The pretrained weights of an architecture: where they come from, and what they are.

    Args:
        origin: The package, address, preset or file that they come from.
        licence: As the publisher states it, an SPDX identifier if there is one; "" if unknown.
        trained_on: The images that they were trained on, such as "ImageNet-1k"; "" if unknown.
        image_size: Height and width of those images in pixels; None if unknown.
        at_hand: Whether they are on this machine, so that `build` needs no download.
    """

    origin: str
    licence: str = ""
    trained_on: str = ""
    image_size: int | None = None
    at_hand: bool = False

    @classmethod
    def of_model(cls, name: str, image_size: int | None = None) -> "Weights":
        """Those of a model hub.

        Args:
            name: A folder, at hand and with the licence that the header of its README.md states,
                or a name or an address that is downloaded.
            image_size: As of `Weights`.
        """
        folder = Path(name).expanduser()
        licence = stated_licence(folder)
        return cls(name, licence, image_size=image_size, at_hand=folder.is_dir())

    def __str__(self) -> str:
        return f"{self.trained_on} weights" if self.trained_on else f"weights of {self.origin}"


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
        weights: Of an architecture: `weights(params, *, image_size) -> Weights | None` describes
            the pretrained weights that `build` would load, without Keras and without a download;
            None from scratch. Default: a parameter `weights` other than "none" is their origin.
        trained: Of an architecture: what it builds is trained already, so that an experiment needs
            no stages.
    """

    name: str
    build: Callable[..., Any]
    params: type[Params] = NoParams
    summary: str = ""
    check: Callable[..., Mapping[str, str]] | None = None
    weights: Callable[..., Weights | None] | None = None
    trained: bool = False


class Source(Protocol):
    """A random-access source of labelled images: a map-style dataset of PyTorch or Grain.

    `source[i]` is `(image, label)`. The image is a path, encoded bytes, or uint8 [H, W, 3] (grey:
    [H, W] or [H, W, 1]); the label is an int, the index of its class name.

    Optional members:
        fingerprint: A str that changes whenever an image or a label changes; without it kerascnn
            hashes the images.
        __getitems__: `source.__getitems__(rows)`, for a list of ints, is the list of `source[i]` of
            each, for sources that return many images sooner than one at a time. If it raises
            `InputError`, each row is requested by itself.
        image_name: `source.image_name(i)` names an image in messages and reports, such as
            "train-0003.tar/cat_17.jpg"; default its path, or its number.
        files: The number of images in each file that holds many, in the order of the source:
            `training.shuffle = "blocks"` reads those of a file together. Default equal parts.

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
class Mixing:
    """How the examples of a batch are mixed with each other, such as MixUp.

    It is drawn anew in every step. Where the frozen prefix has run before, its activations are
    mixed instead of the images (Manifold MixUp, Verma et al., arXiv 1806.05236).

    Args:
        draw: `draw(rng, batch_size) -> arrays`, as that of an `Augmentation`.
        apply: `apply(batch, arrays) -> batch` mixes on the device, using only `keras.ops`. A batch
            is `{"inputs": float32 [B, ...], "labels": float32 [B, K]}`. The inputs are images
            [B, H, W, 3] in 0-255 or activations: feature maps [B, h, w, C], tokens [B, T, C] or
            features [B, C]. Labels are mixed in the same shares, so that they still sum to 1.
        params: The names of the component's parameters that nothing but mixing uses; by default
            none is known. Where only these differ, experiments share stored views.
    """

    draw: "Callable[[np.random.Generator, int], Arrays]"
    apply: Callable[[Arrays, Arrays], Arrays]
    params: Sequence[str] = ()


@dataclass(frozen=True)
class Augmentation:
    """An augmentation in two functions, so that its random numbers are the same on every backend.

    Args:
        draw: `draw(rng, batch_size) -> arrays` draws the random numbers on the host; the first axis
            of each array is `batch_size`. `rng` is a NumPy generator keyed by (seed, stage, epoch,
            step); for a stored view, `draw(rng, 1)` is called for each image, with a generator
            keyed by (`training.view_seed`, view, image).
        apply: `apply(batch, arrays) -> batch` applies them on the device, using only `keras.ops`.
            A batch is `{"images": float32 [B, H, W, 3] in 0-255, "labels": float32 [B, K]}`. What
            becomes of an image depends on the image and its draws alone; labels stay as they are.
        mix: Mixes the augmented examples with each other. Default none.
    """

    draw: "Callable[[np.random.Generator, int], Arrays]"
    apply: Callable[[Arrays, Arrays], Arrays]
    mix: Mixing | None = None


@dataclass(frozen=True)
class HostAugmentation:
    """An augmentation of one image at a time on the CPU, with NumPy or any other library.

    It runs ahead of the training step that uses the image, in other processes where that is faster.
    The labels stay as they are.

    Args:
        apply: `apply(image, rng) -> image` returns an augmented copy. Both images are uint8
            [H, W, 3] in RGB, of the same size. `rng` is a NumPy generator keyed by (seed, stage,
            epoch, step, place in the batch), for a stored view by (`training.view_seed`, view,
            image): use no other randomness. `cloudpickle` must be able to send `apply` to another
            process.
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
        modules: Modules to import before a saved model is loaded, such as "my_layers.register":
            those that register layers with Keras without defining them. Each belongs to the
            package of the component or to one that it requires. Default none: the modules that
            define the layers are found.
    """

    model: "keras.Model"
    blocks: Mapping[str, Sequence[str]]
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


class Process(Protocol):
    """A Python process that calls functions one after another, such as a `BackgroundProcess`.

    It works as this process does: in the same working directory, with the same packages, and with
    the environment variables of kerascnn, Keras and MLflow. It ends when this process does, even if
    that is killed, also in the middle of a call. Ctrl-C in a terminal does not reach it, and what
    it prints does not reach standard output.
    """

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> "Future[Any]":
        """Queues a call with copies of the arguments, which `cloudpickle` sends.

        The future raises an exception if the call fails or the process is lost; its text says why.
        """

    def terminate(self) -> None:
        """Sends SIGTERM, which lets a call end at its next checkpoint."""

    def close(self) -> None:
        """Ends the process within seconds; a call that is running is lost."""


@dataclass(frozen=True)
class Engine:
    """Where processes run: on the devices of this host or of a cluster.

    Args:
        start: `start(place) -> Process` starts a process in a place from 0 to `places - 1`, whose
            devices it has to itself, and does not wait for it. A place is given again only after
            its process has ended.
        places: How many processes can run at a time.
        hosts: How many hosts they may run on. With more than one, files must be on a shared disk,
            and databases on a server.
        close: Releases what `build` has acquired, after all processes have ended. Default nothing.
    """

    start: Callable[[int], Process]
    places: int
    hosts: int = 1
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Launched:
    """That this process is one of several that a launcher, such as torchrun or Slurm, has started.

    Args:
        rank: Of this process, from 0.
        count: How many there are, on all hosts.
        address: A host name and a free port of the host of rank 0, where that can be reached.
        on_host: How many of them are on this host and share its cores.
        attempt: How often the launcher has started them again after a failure.
    """

    rank: int
    count: int
    address: tuple[str, int]
    on_host: int = 1
    attempt: int = 0
