"""How settings are drawn: all beforehand, or by Optuna from the trials before."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascnn.studies.sweep.plan.load import Planned
from kerascnn.studies.sweep.trials.storage import numbered

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler


def settings_of(planned: Planned) -> list[dict[str, Any]]:
    """All settings of a sweep that does not learn from its trials; none of one that does.

    More trials begin with the same settings.
    """
    space, settings, count = planned.space, planned.settings, planned.trials
    if settings.sampler == "tpe":
        return []
    rng = np.random.default_rng(settings.seed)
    if settings.sampler == "grid":
        every = space.grid()
        chosen = range(len(every)) if count == len(every) else rng.permutation(len(every))
        return [every[index] for index in chosen[:count]]
    size = len(space.dimensions)
    if settings.sampler == "random":
        shares = rng.random((count, size))
    else:
        shares = _evenly(count, size, settings.seed)
    return [space.drawn(row) for row in shares]


def _evenly(count: int, size: int, seed: int) -> np.ndarray:
    """Points [count, size] of a scrambled Sobol sequence (Owen 1998), from 0 to below 1."""
    from scipy.stats.qmc import Sobol

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is balanced only for powers of 2
        return Sobol(size, scramble=True, rng=np.random.default_rng(seed)).random(count)


def sampler_of(planned: Planned, everything: "Study") -> "BaseSampler":
    """Draws the settings of a study that were not drawn beforehand.

    Each trial has random numbers of its own, by its number, so that a sweep of one worker that is
    resumed draws what it would have drawn.
    """
    from optuna.samplers import BaseSampler, RandomSampler, TPESampler

    class ByNumber(BaseSampler):
        def __init__(self) -> None:
            self._sampler: BaseSampler = RandomSampler(0)

        def before_trial(self, study: Any, trial: Any) -> None:
            trials = numbered(everything.get_trials(deepcopy=False))
            number = [one.number for one in trials].index(trial.number)
            seeds = np.random.SeedSequence([planned.settings.seed, number])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # grouping keys by their conditions is experimental
                self._sampler = TPESampler(
                    multivariate=True,
                    group=True,
                    seed=int(seeds.generate_state(1)[0]),
                )
            self._sampler.before_trial(study, trial)

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self._sampler.infer_relative_search_space(study, trial)

        def sample_relative(self, *arguments: Any) -> Any:
            return self._sampler.sample_relative(*arguments)

        def sample_independent(self, *arguments: Any) -> Any:
            return self._sampler.sample_independent(*arguments)

        def after_trial(self, *arguments: Any) -> None:
            self._sampler.after_trial(*arguments)

    return RandomSampler(0) if planned.settings.sampler != "tpe" else ByNumber()


def more(planned: Planned, trials: Sequence[Any]) -> bool:
    """Whether a worker has a trial to begin, given the trials of the study."""
    from optuna.trial import TrialState

    waiting = any(trial.state == TrialState.WAITING for trial in trials)
    return waiting or len(numbered(trials)) < planned.trials
