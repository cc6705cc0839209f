"""The checks that train an architecture: what freezing leaves alone, and whether it learns."""

import gc
from collections import deque
from typing import Any

import numpy as np

from kerascnn.engine.network.build import HEAD
from kerascnn.engine.network.freezing import digest, frozen_variables, trainable_layers
from kerascnn.hookspecs import Network, kerascnn_architectures
from kerascnn.runtime.compilation import graphs_freed, jit_compile
from kerascnn.runtime.keras_internals import nested_layers
from kerascnn.testing.architecture_subject import (
    CLASSES,
    ArchitectureSubject,
    freeze,
    kept,
    unfrozen,
)
from kerascnn.testing.checks import CheckError, check
from kerascnn.testing.predictions import CLOSE, same

STEPS, RATES = 300, (1e-3, 5e-5, 1e-2)  # for overfitting a batch
LEARNING_BLOCKS = 8  # are trained; all of a network with hundreds would take minutes
FROZEN = ""  # not a layer's name
CHANCE = float(np.log(CLASSES))  # the loss of guessing: 1/K for everything
HOPELESS_STEPS = 30  # without progress, after which a rate is abandoned
UNTRACED_STEPS = 20  # take less time than TensorFlow needs to trace a network


@check(Network)
def last_n_freezes(subject: ArchitectureSubject) -> str:
    """With "last:N", for every N, exactly the layers of the last N blocks and of the head are
    trainable; a training step of the head changes nothing else, and nothing that is not among the
    weights."""
    model, blocks = subject.made.model, subject.made.blocks
    freeze(subject.made, len(blocks))
    trainable = trainable_layers(model)
    for count in range(len(blocks) + 1):
        _check_what_trains(subject, count, trainable)
    expected = subject.predictions
    with kept(unfrozen(freeze(subject.made, 0))):
        _check_a_step(subject)
    same(subject.predict(subject.images), expected, "after a step that was taken back", CLOSE)
    return f"0 to {len(blocks)} blocks"


def _check_what_trains(subject: ArchitectureSubject, count: int, trainable: list[str]) -> None:
    model, block_of = freeze(subject.made, count), subject.made.block_of
    wanted = {*subject.made.blocks[len(subject.made.blocks) - count :], HEAD}
    expected = [name for name in trainable if block_of[name] in wanted]
    if trainable_layers(model) != expected:
        other = sorted(set(trainable_layers(model)) ^ set(expected))
        raise CheckError(f'with "last:{count}" wrong layers are trainable: {", ".join(other[:5])}')
    training = {id(variable) for variable in model.trainable_variables}
    if shared := [v.path for v in frozen_variables(model) if id(v) in training]:
        raise CheckError(f'with "last:{count}" {shared[0]} is in a frozen and a trainable layer')


def _check_a_step(subject: ArchitectureSubject) -> None:
    import keras

    model = subject.made.model
    trainer = _trainer(model, keras.optimizers.SGD(1e-2))
    frozen = frozen_variables(model)
    before = digest(frozen)
    trainer.train_on_batch(subject.images, subject.labels)
    if digest(frozen) != before:
        raise CheckError("a training step of the head changed frozen weights")


def _trainer(model: Any, optimizer: Any) -> Any:
    """A copy of the model with the same layers, so that compiling leaves no trace."""
    import keras

    trainer = keras.Model(model.input, model.output)
    trainer.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=jit_compile())
    trainer.run_eagerly = keras.config.backend() == "tensorflow"
    return trainer


def _trace(trainer: Any) -> None:
    """Speeds up later steps, if the network has not been traced yet."""
    if trainer.run_eagerly:
        trainer.run_eagerly = False
        trainer.make_train_function(force=True)


@check(kerascnn_architectures)
def overfits_one_batch(subject: ArchitectureSubject) -> str:
    """With its last 8 blocks trainable (or all, if it has fewer) and Dropout off, the network
    overfits a batch of 8 images: within 300 steps of Adam, at one of three learning rates, the
    loss falls to half that of guessing. Every trainable layer changes, and nothing frozen does."""
    try:
        return _steps_to_learn(subject)
    finally:
        gc.collect()  # the trained model may be gigabytes, kept alive by cyclic references


@graphs_freed()
def _steps_to_learn(subject: ArchitectureSubject) -> str:
    import keras

    keras.utils.set_random_seed(0)
    built = subject.build()  # with a new classifier
    freeze(built, min(LEARNING_BLOCKS, len(built.blocks)))
    for layer in nested_layers(built.model):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    optimizer, reached = keras.optimizers.Adam(), []
    trainer = _trainer(built.model, optimizer)
    optimizer.build(trainer.trainable_variables)
    before = _digests(built.model)
    for rate in RATES:
        with kept(unfrozen(built.model)):
            for variable in optimizer.variables:
                variable.assign(keras.ops.zeros_like(variable.value))
            optimizer.learning_rate = rate
            recent = deque[float](maxlen=HOPELESS_STEPS)
            for step in range(1, STEPS + 1):
                if step > UNTRACED_STEPS:
                    _trace(trainer)
                loss = float(trainer.train_on_batch(subject.images, subject.labels))
                trainer.reset_metrics()
                if loss < CHANCE / 2:
                    _check_what_changed(before, _digests(built.model))
                    return f"{step} steps at {rate:g}"
                recent.append(loss)
                if len(recent) == HOPELESS_STEPS and not min(recent) < 0.95 * CHANCE:
                    break
        reached.append(f"loss {loss:.2f} at {rate:g}")
    raise CheckError("; ".join(reached))


def _digests(model: Any) -> dict[str, str]:
    """Digests of all frozen weights together, and of each trainable layer."""
    trained = (layer for layer in model.layers if layer.trainable_weights)
    each = {layer.name: digest(layer.trainable_variables) for layer in trained}
    return {FROZEN: digest(frozen_variables(model)), **each}


def _check_what_changed(before: dict[str, str], after: dict[str, str]) -> None:
    same = [name for name in before if after[name] == before[name]]
    if FROZEN not in same:
        raise CheckError("training changed frozen weights")
    if same != [FROZEN]:
        raise CheckError(f"training did not change {', '.join(same[1:6])}")
