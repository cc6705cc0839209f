"""`kerascnn update`: a run that begins where another one ended, on the images of today."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.load import load_data
from kerascnn.engine.observer import Observer, Only, default_observer
from kerascnn.engine.result.ensemble import Decision
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.results.find import find_run
from kerascnn.results.report.write import report_run
from kerascnn.run.runner import run_in
from kerascnn.run.session import Session
from kerascnn.runtime.arguments import as_list, expect
from kerascnn.runtime.process import contained
from kerascnn.studies.update.asked import update_experiment
from kerascnn.studies.update.changes import changed, check_changed
from kerascnn.studies.update.start import ANEW, BOTH, STARTS, WARM, choose, fell_short, first_start


@contained()
def update_run(
    run: str | Result,
    data: str | Path | Iterable[str | Path] = (),
    observer: Observer | None = None,
    *,
    start: str = "auto",
    overrides: Mapping[str, Any] | None = None,
) -> Result:
    """Updates a run to the images and labels of today.

    Every image that the run knew keeps its split; new ones are divided by the same shares.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result.
        data: Folders with one folder per class, besides the dataset: more images, and known ones
            under their right class.
        observer: Receives the events; default prints them on standard error.
        start: "warm": from the run's weights; "anew": as a run from the beginning; "both": what
            the validation images favour; "auto": warm where more than the head trains, and both if
            that turns out surely worse than the run was.
        overrides: Dotted keys and their values, as for `load_experiment`.

    Returns:
        The result; its `update` has the run and the update side by side.

    Raises:
        InputError: Nothing is new, a class of the run is gone, or the run cannot be updated.
    """
    if start not in STARTS:
        raise InputError(f'start = "{start}": expected {", ".join(STARTS)}.')
    expect(overrides or {}, Mapping, "overrides")
    folders = [Path(of) for of in as_list(data, (str, os.PathLike), "data")]
    before, observer = find_run(run), observer or default_observer()
    experiment = update_experiment(before, folders, overrides or {})
    with Session() as session:
        quiet = Only(progress=observer.progress, warned=observer.warned)
        loaded = load_data(experiment, quiet)
        check_changed(before, loaded, folders)
        observer.warned(changed(before, loaded))
        return _Story(session, before, experiment, loaded, observer).run(start)


@dataclass(frozen=True)
class _Story:
    session: Session
    before: Result
    experiment: BoundExperiment
    data: Data
    observer: Observer

    def run(self, asked: str) -> Result:
        start, why = first_start(asked, self.experiment)
        result = self._run(start, why)
        if asked == BOTH:
            return self._both(result, "both are asked for")
        if asked == "auto" and start == WARM and (short := fell_short(self.before, result)):
            return self._both(result, short)
        return result

    def _both(self, warm: Result, why: str) -> Result:
        """Trains anew too, and returns what the validation images favour."""
        anew = self._run(ANEW, why)
        start, chosen = choose(warm, anew)
        self.observer.warned(f"start: {start}; {chosen}")
        result = warm if start == WARM else anew
        assert result.update
        decision = Decision(what="start", chosen=start, why=chosen)
        result = replace(result, update={**result.update, "decisions": [decision]})
        result.write()
        report_run(result, observer=Observer())
        return result

    def _run(self, start: str, why: str) -> Result:
        self.observer.warned(f"start: {start}; {why}")
        return run_in(
            self.session,
            self.experiment.with_overrides({"update.start": start}),
            self.observer,
            data=self.data,
            name=f"update of {self.before.run_id[:8]}, {start}",
            decisions=[Decision(what="start", chosen=start, why=why)],
        )
