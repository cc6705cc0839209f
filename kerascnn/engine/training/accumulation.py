"""Gradient accumulation: the gradients of a batch's micro-batches make one step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kerascnn.engine.training.micro_batches import MicroBatches
from kerascnn.engine.training.plan import Plan
from kerascnn.runtime.keras_internals import draws_cut, nested_layers, step_replaced

Step = Callable[..., Any]


@contextmanager
def accumulating(trainer: Any, batches: MicroBatches) -> Iterator[None]:
    """In its block, a compiled trainer takes each step by the mean gradient of micro-batches.

    The optimizer sees one gradient per batch, so that its steps, schedule and averages are those of
    the undivided batch. So is what layers draw, such as dropout: it is drawn for the whole batch in
    each micro-batch, and cut. BatchNorm that trains normalises by each micro-batch.
    """
    import keras

    if batches.count == 1:
        yield
        return
    make = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
    with step_replaced(trainer, make[keras.config.backend()](trainer, trainer.train_step, batches)):
        yield


def normalised_note(trainer: Any, plan: Plan, batches: MicroBatches) -> str | None:
    """A warning if a BatchNorm normalises by micro-batches where it would by batches; else None."""
    from keras.layers import BatchNormalization

    norms = [one for one in nested_layers(trainer) if isinstance(one, BatchNormalization)]
    if batches.count == 1 or not any(norm.trainable for norm in norms):
        return None
    return (
        f'stage "{plan.stage.name}": BatchNorm that trains normalises by each of the '
        f"{batches.count} micro-batches of a batch, not by the batch."
    )


@contextmanager
def _kept(optimizer: Any) -> Iterator[list[Any]]:
    """In its block, an optimizer's step changes nothing; yields the gradients that it was given."""
    kept: list[Any] = []

    def apply(gradients: Any, variables: Any = None) -> None:
        kept.extend(gradients)

    def apply_gradients(pairs: Any) -> None:
        kept.extend(gradient for gradient, _ in pairs)

    def stateless_apply(variables: Any, gradients: Any, weights: Any) -> tuple[Any, Any]:
        kept.extend(gradients)
        return weights, variables

    steps = {
        "apply": apply,
        "apply_gradients": apply_gradients,
        "stateless_apply": stateless_apply,
    }
    vars(optimizer).update(steps)
    try:
        yield kept
    finally:
        for name in steps:
            del vars(optimizer)[name]


def _generators(trainer: Any) -> list[bool]:
    """Which of a trainer's `non_trainable_variables` hold the state of what layers draw from."""
    return [one.name == "seed_generator_state" for one in trainer.non_trainable_variables]


class _Steps:
    """Keras's own step, on each micro-batch."""

    def __init__(self, trainer: Any, own: Step, batches: MicroBatches) -> None:
        self.optimizer, self.batches = trainer.optimizer, batches
        self._own = own

    def take(self, data: Sequence[Any], number: Any, rows: int, *state: Any) -> tuple[Any, list]:
        """What a step on a micro-batch returns, and its share of the gradients."""
        batches = self.batches

        def cut(array: Any) -> Any:
            return batches.cut(array, number, rows)

        with _kept(self.optimizer) as gradients, draws_cut(cut, rows, batches.rows):
            said = self._own(*state, tuple(map(cut, data)))
        share = rows / batches.rows
        return said, [None if one is None else one * share for one in gradients]


def _on_torch(trainer: Any, own: Step, batches: MicroBatches) -> Step:
    import torch

    steps = _Steps(trainer, own, batches)
    flags = zip(trainer.non_trainable_variables, _generators(trainer), strict=True)
    generators = [variable for variable, draws in flags if draws]
    sizes = [batches.each] * batches.whole + [batches.last] * (batches.last > 0)

    def step(data: Sequence[Any]) -> Any:
        starts, state = [one.value.clone() for one in generators], torch.get_rng_state()
        states = torch.cuda.get_rng_state_all()
        sums: list[Any] = []
        for number, rows in enumerate(sizes):
            for generator, start in zip(generators, starts, strict=True):
                generator.assign(start)
            torch.set_rng_state(state)
            torch.cuda.set_rng_state_all(states)
            logs, gradients = steps.take(data, number, rows)
            sums = [
                one if total is None else total.add_(one) if one is not None else total
                for total, one in zip(sums or [None] * len(gradients), gradients, strict=True)
            ]
        with torch.no_grad():
            trainer.optimizer.apply(sums, trainer.trainable_weights)
        return logs

    return step


def _on_jax(trainer: Any, own: Step, batches: MicroBatches) -> Step:
    import jax

    steps, generators = _Steps(trainer, own, batches), _generators(trainer)

    def step(state: Any, data: Sequence[Any]) -> Any:
        weights, untrained, optimizer, metrics = state

        def take(carry: Any, number: Any, rows: int = batches.each) -> tuple[Any, Any]:
            sums, others, metrics = carry
            drawn = zip(generators, untrained, others, strict=True)
            others = [start if draws else other for draws, start, other in drawn]
            given = weights, others, optimizer, metrics
            (logs, after), gradients = steps.take(data, number, rows, given)
            sums = [total + one for total, one in zip(sums, gradients, strict=True)]
            return (sums, after[1], after[3]), logs

        carry = [jax.numpy.zeros_like(weight) for weight in weights], untrained, metrics
        carry, all_logs = jax.lax.scan(take, carry, jax.numpy.arange(batches.whole))
        logs = {name: values[-1] for name, values in all_logs.items()}
        if batches.last:
            carry, logs = take(carry, batches.whole, batches.last)
        sums, untrained, metrics = carry
        weights, optimizer = trainer.optimizer.stateless_apply(optimizer, sums, weights)
        return logs, (weights, untrained, optimizer, metrics)

    return step


def _on_tensorflow(trainer: Any, own: Step, batches: MicroBatches) -> Step:
    import tensorflow

    steps = _Steps(trainer, own, batches)
    flags = zip(trainer.non_trainable_variables, _generators(trainer), strict=True)
    generators = [variable for variable, draws in flags if draws]

    def step(data: Sequence[Any]) -> Any:
        weights = trainer.trainable_weights
        starts = [tensorflow.identity(generator.value) for generator in generators]
        unused = set[int]()

        def take(number: Any, *sums: Any, rows: int = batches.each) -> list[Any]:
            for generator, start in zip(generators, starts, strict=True):
                generator.assign(start)
            _, gradients = steps.take(data, number, rows)
            unused.update(index for index, one in enumerate(gradients) if one is None)
            pairs = zip(sums, gradients, strict=True)
            return [number + 1, *(total if one is None else total + one for total, one in pairs)]

        zeros = [tensorflow.zeros(weight.shape, weight.dtype) for weight in weights]
        number, *sums = tensorflow.while_loop(
            lambda number, *_: number < batches.whole, take, [0, *zeros], parallel_iterations=1
        )
        if batches.last:
            with tensorflow.control_dependencies(sums):  # not beside the others
                _, *sums = take(number, *sums, rows=batches.last)
        given = [None if index in unused else total for index, total in enumerate(sums)]
        trainer.optimizer.apply_gradients(zip(given, weights, strict=True))
        return trainer.get_metrics_result()

    return step
