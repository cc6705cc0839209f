"""The end of a study: its best is run in full, trained on more images if there is time."""

from dataclasses import dataclass

from kerascnn.engine.observer import Only
from kerascnn.engine.result.ensemble import Decision
from kerascnn.engine.result.run import Result
from kerascnn.experiment.bound import bind_experiment
from kerascnn.run.runner import run_in
from kerascnn.studies.best.climb import Climb
from kerascnn.studies.best.result import Ending, Tried
from kerascnn.studies.best.rungs import FEWEST_MORE
from kerascnn.studies.ensemble.members import ensemble_settings

TRAIN, BOTH, ALL = "train", "train+validation", "all"
"""What trains, as `training.train_on`."""


@dataclass(frozen=True)
class Finish:
    """Runs what was tried in full, on some of the images.

    Args:
        train_on: "train" repeats what was tried, whose stages are stored; with "train+validation"
            and "all" a fine-tuned network trains on from there, and others are trained anew.
    """

    climb: Climb
    train_on: str

    def run(self, ending: Ending) -> Result:
        """The best, or the mean of several, as a run."""
        climb, parts = self.climb, self.climb.so_far.parts(ending.one)
        more = ending.more_epochs or FEWEST_MORE
        if not ending.one.members:
            return self._single(ending.one, more, report=True)
        members = [self._single(part, more, report=False) for part in parts]
        settings = ensemble_settings(
            members,
            [1 / len(members)] * len(members),
            name=climb.base.name,
            backend=climb.base.training.backend,
        )
        settings["training"] |= self._training(ending.one)
        why = "each member was taken because it lowers the loss on the validation images."
        return run_in(
            climb.session,
            bind_experiment(settings, climb.base.registry),
            climb.observer,
            parent=climb.so_far.study,
            name=self._name(ending.one.what),
            decisions=[Decision(what="weights", chosen="equal", why=why)],
        )

    def _single(self, one: Tried, more_epochs: int, report: bool) -> Result:
        climb, rung = self.climb, one.rung
        assert rung
        run = rung if self.train_on == TRAIN else rung.continued(more_epochs)
        experiment = run.of(climb.base, climb.class_weights)
        changes = {f"training.{key}": value for key, value in self._training(one).items()}
        heard = climb.observer
        quiet = Only(progress=heard.progress, warned=climb.warned, download=heard.download)
        return run_in(
            climb.session,
            experiment.with_overrides(changes),
            heard if report else quiet,
            parent=climb.so_far.study,
            name=self._name(rung.what),
            report=report,
            upload_model=report,
        )

    def _training(self, one: Tried) -> dict[str, object]:
        """The calibration comes from the validation images, which did not train what was tried."""
        if self.train_on == TRAIN and not one.members:
            return {}
        return {"train_on": self.train_on, "temperature": one.temperature, "keep": "last"}

    def _name(self, what: str) -> str:
        trained = {TRAIN: "", BOTH: ", with the validation images", ALL: ", with all images"}
        return f"best: {what}{trained[self.train_on]}"
