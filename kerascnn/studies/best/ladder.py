"""The order of the ladder: what is worth the most per minute comes first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kerascnn.studies.best.result import DONE, BestResult
from kerascnn.studies.best.rungs import (
    FINETUNED,
    FROZEN,
    HEAD_EPOCHS,
    IMAGE_SIZE,
    LARGER_SIZE,
    SCRATCH,
    Rung,
)

THOROUGHNESS, MORE_THOROUGH = (4, 3, 2), (8, 6)
"""Epochs of a fine-tuning, each on views of its own, the most thorough first: of each network, then
of the best ones. A second network is worth more than further views of the first."""
SCRATCH_EPOCHS = (5, 10, 20, 40, 80, 160)
SCRATCH_NETWORK, SCRATCH_SIZE = "sequential_cnn", 96
FIRST = 2
"""Networks that are fine-tuned before others are looked at; and of all the best, for more views."""
SEEDS = 3
"""Fine-tunings of one network that differ in nothing but the seed, at most."""

Alternatives = Sequence[Rung]
"""Rungs of which one is tried: the first for which there is time."""


def ladder(
    networks: Sequence[str], so_far: Callable[[], BestResult], head_epochs: int = HEAD_EPOCHS
) -> Iterator[Alternatives]:
    """Yields what to try next, as the results so far suggest.

    First the frozen features of two networks; then the better one is fine-tuned, and again with
    larger images. The other one, and then all others, are fine-tuned at the size that was better;
    then the best two with more views; then the best with other seeds.
    """
    if not networks:
        for epochs in SCRATCH_EPOCHS:
            yield [Rung(SCRATCH, SCRATCH_NETWORK, SCRATCH_SIZE, epochs)]
        return
    frozen = [[Rung(FROZEN, network, IMAGE_SIZE, head_epochs)] for network in networks]
    yield from frozen[:FIRST]
    for rung in ranked(so_far(), FROZEN)[:1]:
        for image_size in (IMAGE_SIZE, LARGER_SIZE):
            yield _finetunings(rung, image_size)
    for rung in ranked(so_far(), FROZEN)[1:]:
        yield _finetunings(rung, _better_size(so_far()))
    yield from frozen[FIRST:]
    for rung in ranked(so_far(), FROZEN):
        yield _finetunings(rung, _better_size(so_far()))
    for rung in ranked(so_far(), FINETUNED)[:FIRST]:
        yield [replace(rung, epochs=views, views=views) for views in MORE_THOROUGH]
    for seed in range(1, SEEDS):
        for rung in ranked(so_far(), FINETUNED)[:1]:
            yield [replace(rung, seed=seed)]


def ranked(so_far: BestResult, kind: str) -> list[Rung]:
    """What is done of a kind, the least loss first."""
    done = [one for one in so_far.tried if one.state == DONE]
    ordered = sorted(done, key=lambda one: one.val_loss or 0.0)
    return [one.rung for one in ordered if one.rung and one.rung.kind == kind]


def _better_size(so_far: BestResult) -> int:
    """That of the best fine-tuning."""
    tuned = ranked(so_far, FINETUNED)
    return tuned[0].image_size if tuned else IMAGE_SIZE


def _finetunings(frozen: Rung, image_size: int) -> Alternatives:
    network, head = frozen.network, frozen.epochs
    return [
        Rung(FINETUNED, network, image_size, epochs, views=epochs, head_epochs=head)
        for epochs in THOROUGHNESS
    ]
