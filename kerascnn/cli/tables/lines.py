"""Short descriptions of a run: its data and network, a stage, the calibration."""

from collections.abc import Mapping, Sequence

from kerascnn.cli.tables.layout import interval
from kerascnn.engine.events import Overview, StageStart
from kerascnn.engine.metrics.named import Measured
from kerascnn.engine.metrics.score import Standing
from kerascnn.engine.metrics.significance import paired_interval
from kerascnn.engine.result.run import Result
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.runtime.text import counted


def overview_rows(overview: Overview) -> list[tuple[str, str]]:
    """One line each for the data and the network."""
    parts = ", ".join(f"{size:,} {name}" for name, size in overview.images.items())
    packed = f"{overview.packed:,} packed, " if overview.packed else ""
    return [
        (
            "data",
            f"{sum(overview.images.values()):,} images of {len(overview.class_names)} classes: "
            f"{parts}   {packed}{overview.data_seconds:.1f} s",
        ),
        (
            "network",
            f"{overview.architecture}, {overview.weights or 'from scratch'}, "
            f"{overview.parameters:,} parameters in {len(overview.blocks)} blocks",
        ),
    ]


def frozen_part(result: StageResult) -> str:
    """Which activations of the frozen prefix were computed before the first step."""
    cached = result.cached
    continued = f" ({cached.continued:,} from an earlier layer)" if cached.continued else ""
    counts = [f"{cached.made:,} computed{continued}"] if cached.made else []
    counts += [f"{cached.reused:,} from the cache"] if cached.reused else []
    done = f" · {', '.join(counts)}, {result.prefix_seconds:.1f} s" if counts else ""
    engine = f", on {cached.engine}" if cached.engine else ""
    return f"frozen prefix {cached.frozen_part}{engine}{done}"


def reused(result: StageResult, stage: StageStart) -> str:
    """The run that a stage is taken from, and the time that this saves."""
    saved = max(0.0, result.trained_seconds - result.seconds)
    return (
        f"[bold]{stage.number}/{stage.total} {stage.name}[/bold]: as in run "
        f"{(result.reused_from or '')[:8]}, {saved:.1f} s saved"
    )


def best_epoch(result: StageResult) -> str:
    """The epoch whose weights a stage carries forward, or would have."""
    return f"{'kept' if result.kept else 'best'} epoch {result.best_epoch} of {result.epochs}"


def measured_lines(metrics: Mapping[str, Measured]) -> list[str]:
    """One line for each metric besides the accuracy that has a value."""
    said = []
    for name, of in metrics.items():
        if of["value"] is not None and name != "accuracy":
            bounds = f" {interval(*of['interval'])}" if of["interval"] else ""
            said.append(f"{name} {of['value']:.3f}{bounds}{_lower(of['greater_is_better'])}")
    return said


def member_lines(result: Result) -> list[tuple[str, str]]:
    """The members of an ensemble, with labels: each one's accuracy, and the ensemble's gain."""
    members = result.ensemble["members"] if result.ensemble else []
    texts = [
        f"{member['run'][:8]} {member['architecture']}, {member['image_size']} px: accuracy "
        f"{member['test_accuracy']:.3f}; the ensemble's gain {_gain(member['gain'])} "
        f"{_bounds(member['gain_interval'])}"
        for member in members
    ]
    return _labelled("members", texts)


def teacher_lines(result: Result) -> list[tuple[str, str]]:
    """What a student kept of its teacher, with labels."""
    if (table := result.teacher) is None:
        return []
    others = {"teacher": table["teacher"], "its best member": table["member"]}
    texts = [
        f"{name} {other['run'][:8]}: accuracy {other['test_accuracy']:.3f}; the student's "
        f"difference {_gain(other['difference'])} {_bounds(other['interval'])}"
        for name, other in others.items()
        if other
    ]
    kept = f"; it keeps {table['kept']:.0%} of the gain" if table["kept"] is not None else ""
    texts.append(f"the same class for {table['agreement']:.1%} of the images{kept}")
    return _labelled("taught by", texts)


def update_lines(result: Result) -> list[tuple[str, str]]:
    """An update against the run that it updates, with labels."""
    if (table := result.update) is None:
        return []
    sides = {"old": table["old_tests"], "new": table["new_tests"]}
    texts = [
        f"{counted(side['images'], f'{what} test image')}: accuracy {side['after']:.3f}, before "
        f"{side['before']:.3f}; difference {_gain(side['difference'])} {_bounds(side['interval'])}"
        for what, side in sides.items()
        if side
    ]
    by_name = {one["name"]: one for one in table["by_class"]}
    texts += [
        f"worse: {name}, {by_name[name]['after']:.3f} instead of {by_name[name]['before']:.3f} "
        f"(p = {by_name[name]['p_corrected']:.2g}, corrected)"
        for name in table["worse"]
    ]
    if not table["worse"] and by_name:
        texts.append("no class is surely worse than before")
    texts.insert(0, f"of run {table['run'][:8]}, {table['start']}")
    return _labelled("update", texts)


def _labelled(label: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Lines of which the first has the label."""
    return list(zip([label, *[""] * len(texts)], texts, strict=False))


def _gain(value: float) -> str:
    return f"{value:+.3f}"


def _bounds(of: tuple[float, float]) -> str:
    return rf"\[{of[0]:+.3f}, {of[1]:+.3f}]"


def calibration(result: Result) -> str:
    """How the probabilities of a run are calibrated."""
    set_before = result.training.temperature is not None
    how = "set by the experiment" if set_before else "fitted on the validation images"
    return f"temperature {result.temperature:.2f}, {how}"


def verdict(result: StageResult, before: Standing) -> str:
    """What a stage gained over the weights it started from, and which weights were kept."""
    own, gain = result.own, result.own.accuracy - before.accuracy
    low, high = paired_interval(before.correct, own.correct)
    said = f"{gain:+.3f} validation accuracy (paired 95%: {low:+.3f} to {high:+.3f})"
    if own.metric:
        better = _lower(own.greater_is_better)
        said = f"{own.value - before.value:+.3f} validation {own.metric}{better}, {said}"
        gain = (own.value - before.value) * (1 if own.greater_is_better else -1)
    if gain > 0:
        return f"{said} [green]✓[/green] kept"
    outcome = "no difference" if gain == 0 else "worse"
    if not result.kept:
        return f"{said} {outcome}: kept the weights from before this stage"
    return f"{said} {outcome}: kept" + (' (keep = "last")' if gain < 0 else "")


def _lower(greater_is_better: bool) -> str:
    return "" if greater_is_better else " (lower is better)"
