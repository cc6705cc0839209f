"""The Keras guide's way to transfer learning, as one writes it by hand; for `stages.py`.

After keras.io/guides/transfer_learning: files read by tf.data, a frozen base in inference mode
with a new classifier on top, `fit`; then layers unfrozen, compiled anew at 1e-5, `fit`. The data
folder has train, validation and test; prints seconds and right answers as one JSON line.
"""

import json
import time
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from kerascnn_efficientnet_lite import loaded_backbone


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--image-size", default=160)
@click.option("--batch-size", default=32)
@click.option("--head-epochs", default=5)
@click.option("--finetune-epochs", default=3)
@click.option("--unfreeze", default="", help="Names of layers with commas between; default all.")
@click.option("--weights", default="imagenet")
@click.option("--seed", default=0)
def main(
    data: Path,
    image_size: int,
    batch_size: int,
    head_epochs: int,
    finetune_epochs: int,
    unfreeze: str,
    weights: str,
    seed: int,
) -> None:
    """Train the two stages and count the right answers on the test images."""
    keras.utils.set_random_seed(seed)
    splits = {name: read(data / name, image_size, batch_size) for name in ("train", "validation")}
    test = read(data / "test", image_size, batch_size, shuffle=False)
    base = loaded_backbone("efficientnet_lite0", image_size, weights)
    model = with_classifier(base, len(list((data / "train").iterdir())))
    base.trainable = False
    figures = {"head_seconds": fit(model, splits, 1e-3, head_epochs), **right(model, test, "head_")}
    base.trainable = True
    for layer in base.layers:
        layer.trainable = not unfreeze or layer.name in unfreeze.split(",")
    figures["finetune_seconds"] = fit(model, splits, 1e-5, finetune_epochs)
    click.echo(json.dumps({**figures, **right(model, test)}))


def read(folder: Path, image_size: int, batch_size: int, shuffle: bool = True) -> Any:
    dataset = keras.utils.image_dataset_from_directory(
        folder,
        image_size=(image_size, image_size),
        batch_size=batch_size,
        crop_to_aspect_ratio=True,
        shuffle=shuffle,
        verbose=False,
    )
    return dataset.prefetch(-1)  # as far ahead as tf.data finds best


def with_classifier(base: keras.Model, classes: int) -> keras.Model:
    inputs = keras.Input(base.input_shape[1:])
    x = base(inputs, training=False)  # BatchNorm keeps its statistics, unfrozen too
    x = keras.layers.GlobalAveragePooling2D()(x)  # [B, C]
    x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))


def fit(model: keras.Model, splits: dict[str, Any], learning_rate: float, epochs: int) -> float:
    optimizer = keras.optimizers.Adam(learning_rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    if epochs:
        model.fit(splits["train"], validation_data=splits["validation"], epochs=epochs, verbose=0)
    return time.perf_counter() - start


def right(model: keras.Model, test: Any, prefix: str = "") -> dict[str, int]:
    labels = np.concatenate([labels for _, labels in test])
    predicted = model.predict(test, verbose=0).argmax(1)
    return {f"{prefix}correct": int((predicted == labels).sum()), "total": len(labels)}


if __name__ == "__main__":
    main()
