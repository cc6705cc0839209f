"""Cross-validation: trains an experiment on every fold, and tests every image once."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from kerascnn.engine.data.sources.download import reporting
from kerascnn.engine.data.splits.folds import Folds, draw_folds
from kerascnn.engine.events import Overview, StageStart
from kerascnn.engine.load import examine_folds, load_pooled
from kerascnn.engine.observer import Observer, Only, default_observer
from kerascnn.engine.result.folds import FoldsResult, FoldTable, divided
from kerascnn.engine.training.listener import Epoch
from kerascnn.experiment.bound import BoundExperiment, check_experiment
from kerascnn.results.lookup import Kind, find_unfinished, runs_folder
from kerascnn.run.observing import explained, told
from kerascnn.run.session import Session
from kerascnn.runtime.arguments import expect_count
from kerascnn.runtime.backend import select_backend, start_backend
from kerascnn.runtime.commands import command
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.process import contained
from kerascnn.studies.folds.asked import Asked
from kerascnn.studies.folds.fold import DoneFold, folder_of_fold, run_fold
from kerascnn.studies.folds.record import make_result, record_begin, record_result
from kerascnn.tracking.tracker import Tracker

OnFold = Callable[[FoldTable], None]


@contained()
def cross_validate(
    experiment: BoundExperiment,
    k: int = 5,
    repeats: int = 1,
    observer: Observer | None = None,
    *,
    resume: str | None = None,
    on_fold: OnFold = lambda fold: None,
) -> FoldsResult:
    """Trains an experiment on every fold, so that every image is tested once.

    All images of the dataset are divided by their content, whatever its own splits: the same images
    have the same folds in every experiment. Of the images that a fold does not test, the same share
    validates as in the dataset's own splits.

    Args:
        experiment: From `load_experiment`; its own observers do not hear of the folds.
        k: Number of folds, at least 2.
        repeats: How often the images are divided, each time into other folds.
        observer: Receives warnings and progress; default prints them on standard error;
            `Observer()` shows nothing.
        resume: The id of an unfinished study of the same experiment, a prefix of it, or "last":
            trains the folds that are left.
        on_fold: Called with each fold that is done.

    Returns:
        The result; its `predictions` are a table of all images.

    Raises:
        InputError: The experiment or its data are at fault, or differ from those of the study to
            resume.
        RunError: A check failed, or training failed.
    """
    check_experiment(experiment)
    expect_count(k, "k", least=2)
    expect_count(repeats, "repeats")
    start, observer = time.perf_counter(), observer or default_observer()
    begun = find_unfinished(resume, Kind.FOLDS) if resume else None
    with Session() as session, told(observer):
        warned = cache(observer.warned)  # folds repeat a warning
        study = _Study(session, experiment, k, repeats, observer, warned, on_fold, start)
        return study.run(begun)


@dataclass(frozen=True)
class _Study:
    """A study from its images to its result; see `cross_validate`."""

    session: Session
    experiment: BoundExperiment
    k: int
    repeats: int
    observer: Observer
    warned: Callable[[str], None]
    on_fold: OnFold
    start: float

    def run(self, begun: Path | None) -> FoldsResult:
        before = Asked.read(begun) if begun else None
        select_backend(before.backend if before else self.experiment.training.backend)
        tracker = Tracker(
            self.experiment.name,
            divided(self.k, self.repeats),
            runs_folder(),
            resume=begun,
            mlflow=self.session.mlflow,
        )
        with explained(tracker, "study", _resume), tracker:
            every, asked, notes = self._divide()
            if before:
                before.check(asked)
            run_id, folder = tracker.open()
            self.observer.tracked(run_id, tracker.store, str(folder))
            if not before:
                record_begin(tracker, asked, folder)
            done = [one for folds in every for one in self._run(folds, folder, run_id)]
            self.session.uploads.end()  # from then on the runs of the folds have their ids
            result = make_result(asked, every, done, notes, folder, self.warned)
            result = replace(result, seconds=self._seconds(result))
            record_result(result, self.experiment, every[0].pooled, tracker, self.observer)
        for unsent in filter(None, (tracker.unsent, self.session.uploads.unsent)):
            self.observer.warned(unsent)
        return result

    def _divide(self) -> tuple[list[Folds], Asked, tuple[str, ...]]:
        """The images in folds, once a repeat; what is asked; and the notes on the images."""
        experiment, observer = self.experiment, self.observer
        backend = start_backend(experiment.training.backend)
        observer.started(experiment.name, backend, device_name())
        with reporting(observer.download):
            pooled = load_pooled(experiment, observer)
            every = [draw_folds(pooled, self.k, number) for number in range(self.repeats)]
            data = [folds.data(fold) for folds in every for fold in range(self.k)]
            notes = examine_folds(every[0], data, experiment, observer).notes
        return every, Asked(experiment, self.k, self.repeats, pooled.fingerprint, backend), notes

    def _run(self, folds: Folds, folder: Path, run_id: str) -> Iterator[DoneFold]:
        """Each fold, trained now or before."""
        for fold in range(self.k):
            place = folder_of_fold(folder, folds.number + 1, fold + 1)
            name = f"fold {fold + 1}/{self.k}"
            if self.repeats > 1:
                name = f"repeat {folds.number + 1}/{self.repeats}, {name}"
            if (done := DoneFold.read(place)) is None:
                done = run_fold(
                    self.experiment,
                    folds,
                    fold,
                    _Heard(self.observer, self.warned, name),
                    session=self.session,
                    folder=place,
                    name=name,
                    parent=run_id,
                )
            self.on_fold(done.table)
            yield done

    def _seconds(self, result: FoldsResult) -> float:
        """Those of this process, and of the folds that were done before."""
        now = time.perf_counter() - self.start
        return max(now, sum(fold["seconds"] for fold in result.folds))


class _Heard(Only):
    """What a study shows of a fold: its epochs, as progress, and warnings."""

    def __init__(self, observer: Observer, warned: Callable[[str], None], name: str) -> None:
        super().__init__(download=observer.download, warned=warned)
        self._observer, self._name, self._stage = observer, name, ""

    def progress(self, what: str, done: int, total: int) -> None:
        self._observer.progress(f"{self._name}: {what}", done, total)

    def prepared(self, overview: Overview) -> None:
        self._observer.progress(self._name, 0, 1)

    def stage_started(self, stage: StageStart) -> None:
        self._stage = stage.name

    def epoch(self, epoch: Epoch, total: int) -> None:
        self._observer.progress(f"{self._name}: {self._stage}", epoch.number, total)


def _resume(study: str) -> str:
    return command("folds", "--resume", study)
