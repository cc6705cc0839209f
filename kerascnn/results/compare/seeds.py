"""Groups of runs that differ only in the seed."""

from collections.abc import Iterable
from statistics import fmean

from kerascnn.engine.result.outcome import Outcome
from kerascnn.engine.result.run import PREDICTIONS
from kerascnn.results.compare.results import Compared, Group, Spread
from kerascnn.results.compare.settings import Settings, differing, settings_of

NO_SETTINGS = {"seed", "name"}  # a name does not affect the result either


def groups_by_seed(results: Iterable[Outcome], runs: Iterable[Compared]) -> tuple[Group, ...]:
    """Groups runs by their settings without the seed.

    Args:
        results: The runs as they are on disk.
        runs: The same with their metrics, in the same order.

    Returns:
        The groups, the best mean accuracy first; of several runs with one seed, the latest counts.
    """
    settings: dict[str, Settings] = {}
    members: dict[str, dict[int, Compared]] = {}
    for result, run in sorted(zip(results, runs, strict=True), key=_written):
        decisive = {k: v for k, v in settings_of(result).items() if k not in NO_SETTINGS}
        settings[str(decisive)] = decisive
        members.setdefault(str(decisive), {})[result.experiment["seed"]] = run
    names = differing(list(settings.values()))
    ordered = sorted(members, key=lambda key: -_accuracy(members[key]))
    return tuple(
        _group(_letters(index), {name: settings[key].get(name) for name in names}, members[key])
        for index, key in enumerate(ordered)
    )


def _written(run: tuple[Outcome, Compared]) -> float:
    return (run[0].folder / PREDICTIONS).stat().st_mtime


def _accuracy(by_seed: dict[int, Compared]) -> float:
    return fmean(run.test_accuracy for run in by_seed.values())


def _letters(index: int) -> str:
    """A to Z, then AA, AB, …"""
    first, last = divmod(index, 26)
    return (_letters(first - 1) if first else "") + chr(ord("A") + last)


def _group(name: str, settings: Settings, by_seed: dict[int, Compared]) -> Group:
    seeds = sorted(by_seed)
    runs = [by_seed[seed] for seed in seeds]
    return Group(
        name=name,
        settings=settings,
        run_ids=[run.run_id for run in runs],
        seeds=seeds,
        test_accuracy=Spread.of([run.test_accuracy for run in runs]),
        macro_f1=Spread.of([run.macro_f1 for run in runs]),
        calibration_error=Spread.of([run.calibration_error for run in runs]),
        seconds=Spread.of([run.seconds for run in runs]),
        parameters=runs[0].parameters,
        metrics={
            name: Spread.of(
                [value for run in runs if (value := run.metrics[name]["value"]) is not None]
            )
            for name in runs[0].metrics
        },
    )
