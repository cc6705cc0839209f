"""Adapts the text of a recipe to the images of a folder; each change is explained in a comment."""

import math
import re

from kerascnn.engine.data.hygiene.balance import uneven
from kerascnn.engine.data.store.packed import Data
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.runtime.text import counted

MANY_IMAGES = 2000
"""Training images from which on a recipe's own size of images stays, for the sake of time."""
LARGEST_SIZE = 260
"""Pixels; networks trained on larger images take too long on a CPU."""
HEAD_STEPS = 200
"""Steps that a new classifier takes to converge at a rate of 1e-3; see benchmarks/README.md."""
MOST_HEAD_EPOCHS = 100

STAGE = "[[stages]]\n"


def explained(text: str, key: str, why: str) -> str:
    """The text with a comment after a key."""
    line = rf"(?m)^({key} = [^#\n]*?) *(#.*)?$"
    return re.sub(line, lambda found: f"{found[1]:<33} # because {why}", text)


def with_native_size(text: str, experiment: BoundExperiment) -> str:
    """The experiment with images as large as those that its weights were trained on.

    Only for folders small enough that the time does not matter, and up to `LARGEST_SIZE`.
    """
    weights = experiment.architecture.weights(LARGEST_SIZE)
    native = weights.image_size if weights else None
    size = min(native or 0, LARGEST_SIZE)
    images = len(experiment.dataset.build(seed=experiment.seed).train)
    if size <= experiment.training.image_size or images >= MANY_IMAGES:
        return text
    text = re.sub(r"(?m)^image_size = \d+", f"image_size = {size}", text)
    return explained(text, "image_size", f"the weights were trained on {native} pixels")


def steps_of(images: int, batch_size: int) -> int:
    """The steps of an epoch."""
    return math.ceil(images / batch_size)


def head_epochs(steps: int) -> int:
    """The epochs in which a new classifier converges, by the steps of one."""
    return min(MOST_HEAD_EPOCHS, math.ceil(HEAD_STEPS / steps))


def with_longer_head(text: str, experiment: BoundExperiment, data: Data) -> str:
    """The experiment with epochs for `HEAD_STEPS` steps in a stage that trains the head alone.

    Only where its activations are stored, so that a further epoch takes next to no time.
    """
    steps = steps_of(len(data.train), experiment.training.images_per_step)
    epochs = head_epochs(steps)
    before, *stages = text.split(STAGE)
    for number, stage in enumerate(experiment.settings.stages):
        stored = stage.augmentation is not None and stage.augmentation.name == "none"
        if stage.unfreeze == "head" and stored and stage.epochs < epochs:
            longer = re.sub(r"(?m)^epochs = \d+", f"epochs = {epochs}", stages[number])
            why = f"an epoch has only {counted(steps, 'step')}"
            stages[number] = explained(longer, "epochs", why)
    return STAGE.join([before, *stages])


def with_class_weights(text: str, data: Data) -> str:
    """The experiment with class weights in each stage if the classes are imbalanced."""
    counts, names = data.class_counts()["train"], data.class_names
    if not uneven(counts):
        return text
    most, least = int(counts.argmax()), int(counts.argmin())
    text = re.sub(r"(?m)^(learning_rate = .*)$", r'\1\nclass_weights = "balanced"', text)
    why = f"{names[most]} has {counts[most]:,} training images, {names[least]} {counts[least]:,}"
    return explained(text, "class_weights", why)
