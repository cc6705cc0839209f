"""Runs the frozen prefix over whole sets of images, plain or augmented."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from kerascnn.engine.data.batches.augment import Augmenter
from kerascnn.engine.data.batches.feed import Ahead, Examples, OneHot, shuffled
from kerascnn.engine.network.inference import OnProgress, to_numpy
from kerascnn.engine.network.prefix.activations import BATCH_SIZE, Batch, Batches, Prefix
from kerascnn.engine.network.prefix.earlier import UP_TO
from kerascnn.engine.network.prefix.folding import DisagreementError
from kerascnn.engine.training.listener import Listener
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.teacher import Teacher

T = TypeVar("T")
Read = Callable[[np.ndarray], Any]  # rows [B] to images, or activations of an earlier layer


def run_prefix(
    model: Any,
    boundary: str,
    plan: Plan,
    total: int,
    listener: Listener,
    use: Callable[["PrefixRuns"], T],
) -> tuple["PrefixRuns", T]:
    """Runs a frozen prefix over images and views; all come from one way to run it.

    Args:
        model: From images to activations.
        boundary: Its last layer, for the listing of the cache.
        plan: How it runs, and what augments a view.
        total: Number of images and views.
        listener: Receives the number done, and warnings.
        use: Takes activations from the runs; called again if the fastest way disagrees.

    Returns:
        The runs, and what `use` returned.
    """
    how = (plan.prefix_precision, plan.built_by, plan.prefix_engine)
    prefix = Prefix(model, f"{plan.architecture}{UP_TO}{boundary}", *how, listener.warned)
    while True:
        runs = PrefixRuns(prefix, plan, total, listener.prefix)
        try:
            return runs, use(runs)
        except DisagreementError as reason:
            prefix.reject(reason)


def teacher_says(
    plan: Plan, teacher: Teacher, train: Examples, labels: OneHot, listener: Listener
) -> list[Any]:
    """A teacher's probabilities [N, K] for the images of each view, which are cached as well."""
    planned = replace(
        plan, architecture=f"run {teacher.run[:8]}", built_by=None, prefix_precision=None
    )

    def use(runs: PrefixRuns) -> list[Any]:
        if not plan.augment:
            return [runs.images(train)]
        return [runs.view(train, number, labels)[0] for number in range(plan.views)]

    total = plan.views * len(train)
    return run_prefix(teacher.model, "its probabilities", planned, total, listener, use)[1]


class PrefixRuns:
    """Computes or reads the activations of one stage, and counts both.

    `progress` receives the number of images and views done, of `total`.
    """

    def __init__(self, prefix: Prefix, plan: Plan, total: int, progress: OnProgress) -> None:
        self._prefix, self._plan = prefix, plan
        self._total, self._progress = total, progress
        self.made = self.continued = self.bytes = 0
        self._done = 0  # images and views of the sets that are complete

    @property
    def engine(self) -> str:
        """See `Prefix.engine`."""
        return self._prefix.engine

    @property
    def reused(self) -> int:
        return self._done - self.made

    def images(self, examples: Examples) -> Any:
        """The activations [N, ...] of images without augmentation."""
        return self._each(examples, "images", "images", lambda rows: examples.inputs[rows])

    def view(self, examples: Examples, number: int, targets: OneHot) -> tuple[Any, Any]:
        """The activations [N, ...] of one augmented copy of each image, and its targets."""
        plan, augment = self._plan, self._plan.augment
        assert augment
        view = augment.view
        if view is None:
            return self._shuffled(examples, number, targets, augment)

        def images(rows: np.ndarray) -> np.ndarray:
            return view(examples.inputs[rows], examples.digests[rows], targets[rows], number)

        key = plan.views_key and f"{plan.views_key} {plan.view_seed} {number}"
        what = f"view {number + 1} of {plan.augmentation}"
        return self._each(examples, key, what, images), targets

    def _each(self, examples: Examples, seen: str, what: str, images: Read) -> Any:
        """Runs over what `images(rows)` gives; `seen` identifies it in the cache, "" if unknown."""

        def batches(claims: Iterable[np.ndarray], earlier: Read | None = None) -> Batches:
            inputs = earlier or images
            with closing(self._counted((rows, inputs(rows)) for rows in claims)) as made:
                for batch in made:
                    yield batch
                    self.continued += len(batch[0]) if earlier else 0

        digests, count = examples.digests, len(examples)
        if seen and self._prefix.key:
            return self._counted_in(self._prefix.stored(digests, seen, what, batches))
        starts = range(0, count, BATCH_SIZE)
        rows = (np.arange(first, min(first + BATCH_SIZE, count)) for first in starts)
        return self._counted_in(self._prefix.unstored(count, batches(rows)))

    def _shuffled(
        self, examples: Examples, number: int, targets: OneHot, augment: Augmenter
    ) -> tuple[Any, Any]:
        """A view by a Keras layer: it draws by itself, and may mix the images of a batch."""
        plan, count = self._plan, len(examples)
        mixed = np.empty((count, targets.classes), np.float32)

        def batches() -> Iterator[Batch]:
            order = shuffled(count, (plan.seed, plan.index), number, examples.blocks)
            for step, first in enumerate(range(0, count, plan.batch_size)):
                rows = order[first : first + plan.batch_size]
                images, labels = augment.afresh(examples.inputs[rows], targets[rows], number, step)
                mixed[rows] = to_numpy(labels)
                yield rows, to_numpy(images)

        activations = self._prefix.unstored(count, self._counted(batches()))
        return self._counted_in(activations), mixed

    def _counted(self, batches: Iterator[Batch]) -> Batches:
        ahead, before = Ahead(batches), self.made
        try:
            for batch in ahead:
                yield batch
                self.made += len(batch[0])
                self._progress(self._done + self.made - before, self._total)
        finally:
            ahead.close()

    def _counted_in(self, activations: Any) -> Any:
        self._done += len(activations)
        self._progress(self._done, self._total)
        self.bytes += activations.nbytes
        return activations
