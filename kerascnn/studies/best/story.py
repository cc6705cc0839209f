"""The story of `best`: load the images, climb the ladder, run the best in full."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from kerascnn.engine.data.hygiene.balance import uneven
from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.load import examine, load_data
from kerascnn.engine.observer import Observer, heard_as, optional
from kerascnn.engine.result.run import BEST, BEST_PLAN, Result
from kerascnn.errors import RunError
from kerascnn.results.lookup import Kind, find, runs_folder
from kerascnn.run.adapt import head_epochs, steps_of
from kerascnn.run.observing import told
from kerascnn.run.result.known import TO_COMPUTE
from kerascnn.run.session import Session
from kerascnn.runtime.backend import select_backend, start_backend
from kerascnn.runtime.commands import command
from kerascnn.runtime.process import contained
from kerascnn.runtime.redact import scrubbed
from kerascnn.runtime.text import markdown
from kerascnn.studies.best import verdict
from kerascnn.studies.best.asked import Asked
from kerascnn.studies.best.climb import Climb
from kerascnn.studies.best.clock import Clock, Counts
from kerascnn.studies.best.finish import ALL, BOTH, TRAIN, Finish
from kerascnn.studies.best.observer import BestObserver
from kerascnn.studies.best.page import PAGE, write_page
from kerascnn.studies.best.result import FAILED, RUNNING, BestResult, Ending, Tried
from kerascnn.studies.best.rungs import HEAD_EPOCHS, IMAGE_SIZE
from kerascnn.studies.best.sample import sampled
from kerascnn.tracking.tracker import Tracker

KILLED = "the process ended while it was tried, as for lack of memory"


@contained()
def find_best_classifier(
    asked: Asked, minutes: float, observer: Observer | None = None
) -> BestResult:
    """Finds the best classifier of some images within a time.

    Args:
        asked: The images, and what may be tried.
        minutes: From the call to the return, above 0.
        observer: Receives the progress, as a `BestObserver` all of it; default prints it on
            standard error.

    Raises:
        InputError: The images are at fault.
        RunError: Nothing could be trained.
    """
    start, heard = time.perf_counter(), heard_as(BestObserver, observer)
    asked = replace(asked, experiment=sampled(asked.experiment, minutes, heard.warned))
    return _Study(asked, minutes, heard, start).run(None)


@contained()
def resume_best(study: str, minutes: float, observer: Observer | None = None) -> BestResult:
    """Continues a study for more minutes; what it has tried is not tried again.

    Args:
        study: Its id, a unique prefix of it, or "last".
    """
    start, folder = time.perf_counter(), find(study, Kind.BEST)
    return _Study(Asked.read(folder), minutes, heard_as(BestObserver, observer), start).run(folder)


@dataclass(frozen=True)
class _Study:
    """A study from its images to its end; see `find_best_classifier`."""

    asked: Asked
    minutes: float
    observer: BestObserver
    start: float

    @property
    def _left(self) -> float:
        return 60 * self.minutes - (time.perf_counter() - self.start)

    def run(self, begun: Path | None) -> BestResult:
        experiment = self.asked.experiment
        select_backend(experiment.training.backend)
        with Session() as session, told(self.observer):
            tracker = Tracker(
                experiment.name,
                "best",
                runs_folder(),
                resume=begun,
                mlflow=session.mlflow,
            )
            with tracker:  # MLflow is loaded beside the images
                data = self._load()
                run_id, folder = tracker.open()
                so_far = self._begin(run_id, folder, data, begun)
                with _resumable(folder):
                    result = self._climb_and_finish(session, so_far, data)
                self._record(result, tracker)
        for unsent in filter(None, (tracker.unsent, session.uploads.unsent)):
            self.observer.warned(unsent)
        self.observer.best_ended(result)
        return result

    def _load(self) -> Data:
        """The images, at the size of the first rungs; examined, and what is noted told."""
        experiment = self.asked.experiment.with_overrides({"training.image_size": IMAGE_SIZE})
        start_backend(experiment.training.backend)
        data = load_data(experiment, self.observer)
        examine(data, experiment, self.observer)
        return data

    def _begin(self, run_id: str, folder: Path, data: Data, begun: Path | None) -> BestResult:
        images = {name: len(split) for name, split in data.splits().items()}
        if begun and (begun / BEST).is_file():
            before = BestResult.read(begun)
            tried = [_ended(one) for one in before.tried if not one.members]
            so_far = replace(before, tried=tried, minutes=before.minutes + self.minutes)
        else:
            self.asked.write(folder)
            so_far = BestResult(
                study=run_id,
                name=self.asked.experiment.name,
                minutes=self.minutes,
                seconds=0.0,
                images=images["validation"],
                artifacts=str(folder),
            )
        self.observer.best_started(so_far, images, self._left)
        return so_far

    def _climb_and_finish(self, session: Session, so_far: BestResult, data: Data) -> BestResult:
        batch_size = self.asked.experiment.training.images_per_step
        counts = Counts(
            train=len(data.train),
            validation=len(data.validation),
            test=len(data.test),
            known=min(len(data.train), TO_COMPUTE * len(data.class_names)),
        )
        climb = Climb(
            base=self.asked.experiment,
            class_weights="balanced" if uneven(data.class_counts()["train"]) else None,
            networks=self.asked.networks,
            session=session,
            clock=Clock(60 * self.minutes, self.start, counts),
            observer=self.observer,
            warned=cache(self.observer.warned),
            so_far=so_far,
            ends=2 if self.asked.all_images else 1,
            head_epochs=max(HEAD_EPOCHS, head_epochs(steps_of(counts.train, batch_size))),
        )
        interrupted = False
        try:
            climb.run()
        except KeyboardInterrupt:
            if climb.so_far.best is None:
                raise
            interrupted = True
            self.observer.warned(
                "interrupted: the best so far is run as it is; Ctrl-C again ends at once."
            )
        ending = climb.finished(in_haste=interrupted)
        if ending is None:
            raise self._nothing(climb.so_far)
        self.observer.finishing(ending, climb.so_far)
        ending, winner = self._run(climb, ending)
        result = replace(
            climb.so_far,
            winner=winner,
            retrained=ending.retrained,
            not_told_apart=climb.not_told_apart(),
        )
        if self.asked.all_images:
            everything = Finish(climb, ALL).run(ending)
            result = replace(result, everything=everything.run_id)
        spent = time.perf_counter() - self.start
        return replace(result, seconds=so_far.seconds + spent)

    def _run(self, climb: Climb, ending: Ending) -> tuple[Ending, Result]:
        """Runs the best in full; if a mean fails, its first member, which is the best of them."""
        finish = Finish(climb, BOTH if ending.retrained else TRAIN)
        try:
            return ending, finish.run(ending)
        except Exception as error:
            if not ending.one.members:
                raise
            reason = scrubbed(str(error) or type(error).__name__)
            first = climb.so_far.parts(ending.one)[0]
            climb.failed(ending.one, reason)
            self.observer.warned(
                f"{ending.one.what} failed: {reason} Its best member is run instead."
            )
            ending = replace(ending, one=first)
            return ending, finish.run(ending)

    def _nothing(self, so_far: BestResult) -> RunError:
        reasons = dict.fromkeys(one.reason for one in so_far.tried if one.reason)
        more = command("best", "--resume", so_far.study[:8], "--minutes", "MINUTES")
        return RunError(
            f"nothing could be trained in {self.minutes:g} min: {'; '.join(reasons)}. "
            f"`{more}` gives it more time."
        )

    def _record(self, result: BestResult, tracker: Tracker) -> None:
        result.write()
        with optional(f"the page {PAGE}", self.observer):
            write_page(result)
        for name in (BEST_PLAN, BEST, PAGE):
            if (result.folder / name).is_file():
                tracker.artifact(result.folder / name)
        tracker.metrics(_numbers(result), step=0)
        tracker.tags(
            {
                "study": "best",
                "mlflow.note.content": "\n\n".join(map(markdown, verdict.sentences(result))),
                "mlflow.source.name": "kerascnn best",
                "mlflow.source.type": "LOCAL",
            }
        )


def _numbers(result: BestResult) -> dict[str, float]:
    """The metrics of the study's own run."""
    values = {
        "val_accuracy": result.best.val_accuracy if result.best else None,
        "test_accuracy": result.winner.test_accuracy if result.winner else None,
        "tried": float(len(result.tried)),
        "total_seconds": result.seconds,
    }
    return {name: value for name, value in values.items() if value is not None}


def _ended(one: Tried) -> Tried:
    """What was tried as a later process finds it."""
    return replace(one, state=FAILED, reason=KILLED) if one.state == RUNNING else one


@contextmanager
def _resumable(folder: Path) -> Iterator[None]:
    """Says how to go on with the study that is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        again = command("best", "--resume", folder.name[:8])
        raise KeyboardInterrupt(f"interrupted; `{again}` resumes the study.") from None
