"""What MLflow shows of a sweep: the note on its run, and the run's numbers."""

from kerascnn.results.report.note import table_lines
from kerascnn.runtime.text import markdown
from kerascnn.studies.sweep.report import labels, verdict
from kerascnn.studies.sweep.report.page import PAGE
from kerascnn.studies.sweep.result import SweepResult, Trial

FIRST = 10  # trials in the table


def note(result: SweepResult) -> str:
    """The verdict and the best trials, in Markdown."""
    said = verdict.sentences(result) + ([f"{verdict.tested(result)}."] if result.winner else [])
    names = labels.short_keys(result.space)
    metric = labels.metric_name(result)
    heads = ("trial", metric, "95%", *names.values(), "epochs", "state")
    rows = [_row(result, trial) for trial in verdict.ranked(result)[:FIRST]]
    lines = table_lines([markdown(head) for head in heads], rows)
    more = len(result.trials) - len(rows)
    below = [f"and {more:,} more, in the table of runs below this one", ""] if more > 0 else []
    first, *others = (sentence.replace("_", "\\_") for sentence in said)
    paragraphs = [part for sentence in (f"**{first}**", *others) for part in (sentence, "")]
    searched = [f"- `{key}`: {markdown(tried)}" for key, tried in labels.searched(result).items()]
    where = f"All figures are in the artifact {PAGE}."
    return "\n".join([*paragraphs, *lines, "", *below, "Tried:", "", *searched, "", where])


def _row(result: SweepResult, trial: Trial) -> list[str]:
    value = f"{trial.value:z.3f}" if trial.value is not None else "–"
    bounds = f"{trial.interval[0]:z.3f} to {trial.interval[1]:z.3f}" if trial.interval else ""
    settings = [
        markdown(labels.setting(trial.params[key])) if key in trial.params else "–"
        for key in result.space
    ]
    state = verdict.standing(result, trial)
    return [str(trial.number), value, bounds, *settings, str(trial.epochs), state]


def numbers(result: SweepResult) -> dict[str, float]:
    """The metrics of the sweep's own run: the best value, under the name that trials log it by."""
    counts = result.counts()
    values = {
        result.metric: result.best.value if result.best else None,
        "test_accuracy": result.winner.test_accuracy if result.winner else None,
        "optimism": result.optimism,
        "trials": float(len(result.trials)),
        **{f"trials_{state}": float(counts.get(state, 0)) for state in verdict.ENDED},
    }
    return {name: value for name, value in values.items() if value is not None}


def params(result: SweepResult) -> dict[str, str]:
    """The parameters of the sweep's own run: what was tried of each key, and the settings."""
    tried = {f"space.{key}": said for key, said in labels.searched(result).items()}
    settings = {key: value for key, value in result.settings.items() if value is not None}
    return tried | {f"sweep.{key}": labels.setting(value) for key, value in settings.items()}
