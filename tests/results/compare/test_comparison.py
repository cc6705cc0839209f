"""Runs compared: settings, tests of pairs, images that flip, groups of seeds, the terminal."""

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

from kerascnn import InputError, compare_runs
from kerascnn.cli.tables.comparison import show_comparison
from kerascnn.engine.metrics.significance import mcnemar
from kerascnn.results.compare.settings import differing
from kerascnn.results.find import all_runs

HEAD = {"stages.0.name": "head", "stages.0.epochs": 5}
LIGHT = {"augmentation.name": "light", "augmentation.zoom": 0.1}


def test_only_what_differs():
    assert differing([{"seed": 0, **HEAD}, {"seed": 1, **HEAD}]) == ["seed"]
    assert differing([LIGHT, LIGHT | {"augmentation.zoom": 0.2}]) == ["augmentation.zoom"]


def test_another_component_is_shown_without_its_parameters():
    other = {"augmentation.name": "strong", "augmentation.zoom": 0.3, "augmentation.shear": 5}
    assert differing([LIGHT, other]) == ["augmentation.name"]


def test_a_stage_that_a_run_lacks_is_shown_by_its_name():
    more = HEAD | {
        "stages.1.name": "rest",
        "stages.1.epochs": 3,
        "stages.1.schedule.name": "cosine",
    }
    assert differing([HEAD, more]) == ["stages.1.name"]


def test_a_stage_that_a_run_lacks_hides_no_difference_of_the_others():
    last = {**HEAD, "stages.1.name": "rest", "stages.1.unfreeze": "last:2"}
    more = last | {"stages.1.unfreeze": "last:6"}
    assert differing([HEAD, last, more]) == ["stages.1.name", "stages.1.unfreeze"]


def test_a_stage_of_another_name_is_shown_with_its_settings():
    renamed = {"stages.0.name": "top", "stages.0.epochs": 9}
    assert differing([HEAD, renamed]) == ["stages.0.name", "stages.0.epochs"]


def right(*wrong, count=40):
    """All images are recognised but these."""
    return ~np.isin(np.arange(count), wrong)


@pytest.fixture
def three(written_run):
    """The best of three runs is right on images that the worst is not; two differ by one."""
    return [
        written_run("a" * 32, right(*range(20)), seed=3),
        written_run("b" * 32, right(39)),
        written_run("c" * 32, right(38, 39), architecture={"filters": 8}),
    ]


def test_the_verdict_names_the_better_run_and_how_sure_that_is(three):
    worst, best, next_best = three
    comparison = compare_runs([worst, best])
    (pair,) = comparison.pairs
    assert (pair.first, pair.second, pair.better) == (best.run_id, worst.run_id, best.run_id)
    assert (pair.first_alone, pair.second_alone) == (20, 1)
    assert pair.difference == pytest.approx(19 / 40)
    assert pair.interval[0] < pair.difference < pair.interval[1]
    assert pair.p_value == pair.p_value_holm == mcnemar(20, 1)
    assert pair.verdict.startswith("bbbbbbbb is better than aaaaaaaa: +0.475 [0.")
    assert pair.verdict.endswith("], p < 0.001")
    (close,) = compare_runs([best, next_best]).pairs
    assert close.better is None
    assert close.verdict == (
        "bbbbbbbb and cccccccc cannot be distinguished: +0.025 [0.000, 0.075], p = 1.000"
    )


def test_the_metrics_of_any_run_are_computed_for_all_with_paired_differences(three, written_run):
    """With as many images of each class, balanced accuracy is accuracy; the loss is the better
    the smaller it is."""
    best, tables = three[1], [{"name": "balanced_accuracy"}, {"name": "log_loss"}]
    worst = written_run("d" * 32, right(*range(20)), metrics=[*tables, {"name": "gone"}])
    comparison = compare_runs([best, worst])
    assert comparison.runs[1].metrics["balanced_accuracy"]["value"] == pytest.approx(0.5)
    (pair,) = comparison.pairs
    lead = pair.metrics["balanced_accuracy"]
    assert lead.difference == pytest.approx(pair.difference)
    assert lead.interval == pytest.approx(pair.interval, abs=0.06)
    apart = np.log(0.8) - np.log(0.2)
    assert pair.metrics["log_loss"].difference == pytest.approx(19 / 40 * apart, rel=1e-5)
    [gone] = comparison.metrics.left_out
    assert gone.startswith('without the metric "gone": unknown metric.')
    document = json.loads(json.dumps(comparison.to_json()))
    assert document["metrics_left_out"] == [gone]
    text = "\n".join(shown(comparison, 80))
    assert re.search(r"balanced_accuracy +0\.500 +\[0\.\d+, 0\.\d+\] +0\.475 +\[0", text)
    assert gone[:30] in text


def test_the_metrics_of_groups_are_means_over_seeds(three, written_run):
    tables = [{"name": "balanced_accuracy"}]
    for seed, wrong in enumerate(([1], [1, 2, 3]), start=5):
        written_run(str(seed) * 32, right(*wrong), seed=seed, metrics=tables)
    comparison = compare_runs(["5", "6"], by_seed=True)
    of = comparison.groups[0].metrics["balanced_accuracy"]
    assert (of.least, of.greatest) == (pytest.approx(0.925), pytest.approx(0.975))
    assert "balanced_accuracy  0.950 ± 0.035" in "\n".join(shown(comparison, 80))


def test_all_pairs_are_corrected_together_and_the_best_comes_first(three):
    comparison = compare_runs(three)
    assert [run.run_id[0] for run in comparison.runs] == ["b", "c", "a"]
    assert [pair.first[0] + pair.second[0] for pair in comparison.pairs] == ["bc", "ba", "ca"]
    assert comparison.against_best == comparison.pairs[:2]
    raw = {pair.second: pair.p_value for pair in comparison.against_best}
    assert comparison.pairs[1].p_value_holm == pytest.approx(3 * raw["a" * 32])
    assert "after Holm" in comparison.pairs[0].verdict


def test_the_images_that_flip_are_named_with_what_each_run_takes_them_for(three):
    worst, best, _ = three
    comparison = compare_runs([worst, best])
    assert [flip.row for flip in comparison.flips] == [*range(20), 39]
    flip = comparison.flips[-1]
    assert (flip.image, flip.label) == ("39", "square")
    assert flip.predicted == {best.run_id: "circle", worst.run_id: "square"}
    assert flip.probability == pytest.approx({best.run_id: 0.8, worst.run_id: 0.8})
    assert [flip.row for flip in comparison.flipped(worst.run_id, best.run_id)] == [39]


def test_runs_without_names_are_those_on_the_images_of_the_last_one(three, written_run):
    written_run("d" * 32, right(count=30), fingerprint="others")
    assert [run.run_id[0] for run in compare_runs().runs] == ["d"]
    assert len(all_runs()) == 4


def test_no_test_on_other_images_but_a_table(three, written_run):
    other = written_run("d" * 32, right(count=45), fingerprint="others")
    comparison = compare_runs([three[0], three[1], other])
    assert [run.same_test_images for run in comparison.runs] == [False, True, True]
    for ask in ("pairs", "against_best", "flips"):
        with pytest.raises(InputError, match="dddddddd: 5 of its 45 images are not among the 40"):
            getattr(comparison, ask)
    document = comparison.to_json()
    assert len(document["runs"]) == 3
    assert document["pairs"] is None
    assert "dddddddd" in document["refusal"]


def test_images_prepared_otherwise_are_matched_by_their_source_alone(three, written_run):
    larger = {"image_size": 32}
    same = written_run("d" * 32, right(), training=larger)
    assert compare_runs([three[0], same]).pairs[0].better == same.run_id
    other = written_run("e" * 32, right(), training=larger, fingerprint="others")
    assert "prepared differently" in compare_runs([three[0], other]).refusal


def test_the_same_images_in_another_order_are_matched_by_content(three, written_run):
    best = three[1]
    shuffled = written_run("d" * 32, right(39), fingerprint="renamed")
    file = shuffled.folder / "predictions.csv"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, *rows[::-1], ""]))
    comparison = compare_runs([best, shuffled])
    assert not comparison.refusal
    assert not comparison.flips
    assert comparison.pairs[0].p_value == 1


def test_a_run_whose_predictions_are_gone_is_named(three):
    (three[0].folder / "predictions.csv").unlink()
    with pytest.raises(InputError, match="aaaaaaaa cannot be compared without its predictions"):
        compare_runs(three).to_json()


def seeds_of(written_run, letter, wrong, *, seeds=(0, 1, 2), **changes):
    rng = np.random.default_rng(ord(letter))
    for seed in seeds:
        chosen = rng.choice(40, wrong + seed, replace=False)
        written_run(f"{letter}{seed}" * 16, right(*chosen), seed=seed, **changes)


def test_runs_that_differ_by_seed_alone_are_one_group(written_run):
    seeds_of(written_run, "a", 15)
    seeds_of(written_run, "b", 1, architecture={"filters": 8})
    comparison = compare_runs(by_seed=True)
    best, other = comparison.groups
    assert (best.settings, other.settings) == (
        {"architecture.filters": 8},
        {"architecture.filters": 4},
    )
    assert (best.name, best.seeds) == ("A", [0, 1, 2])
    spread = best.test_accuracy
    assert (spread.mean, spread.least, spread.greatest) == pytest.approx((0.95, 0.925, 0.975))
    assert spread.standard_deviation == pytest.approx(0.025)
    (pair,) = comparison.pairs
    assert (pair.first, pair.second, pair.better) == ("A", "B", "A")
    assert pair.difference == pytest.approx(0.35)
    assert pair.first_alone is None


def test_what_does_not_decide_a_result_does_not_part_a_group(written_run):
    for seed, training in enumerate([{}, {"backend": "tensorflow"}, {"checkpoint_seconds": 9}]):
        written_run(f"a{seed}" * 16, right(seed), seed=seed, training=training)
    (group,) = compare_runs(by_seed=True).groups
    assert group.seeds == [0, 1, 2]


def test_a_seed_that_ran_twice_counts_once(written_run):
    seeds_of(written_run, "a", 5)
    written_run("f" * 32, right(1), seed=2, name="again")
    (group,) = compare_runs(by_seed=True).groups
    assert group.seeds == [0, 1, 2]
    assert group.run_ids[-1] == "f" * 32


def test_too_few_seeds_are_shown_and_not_tested(written_run):
    seeds_of(written_run, "a", 15)
    seeds_of(written_run, "b", 1, seeds=(0,), architecture={"filters": 8})
    comparison = compare_runs(by_seed=True)
    (pair,) = comparison.pairs
    assert (pair.p_value, pair.interval, pair.better) == (None, None, None)
    assert comparison.groups[0].test_accuracy.standard_deviation is None
    assert "cannot be tested: +0.375, but a test takes 3 seeds" in pair.verdict


def test_a_lucky_single_run_keeps_no_groups_from_being_tested(written_run):
    seeds_of(written_run, "a", 15)
    seeds_of(written_run, "b", 3, architecture={"filters": 8})
    seeds_of(written_run, "c", 0, seeds=(0,), architecture={"filters": 16})
    comparison = compare_runs(by_seed=True)
    assert [group.seeds for group in comparison.groups] == [[0], [0, 1, 2], [0, 1, 2]]
    (pair,) = comparison.against_best
    assert (pair.first, pair.second, pair.better) == ("B", "C", "B")
    assert comparison.summary == f"{pair.verdict}; not tested, fewer than 3 seeds: A"


@pytest.mark.parametrize("by_seed", [False, True])
def test_the_document_is_json(three, by_seed):
    document = json.loads(json.dumps(compare_runs(three, by_seed=by_seed).to_json()))
    assert set(document) == {
        "runs",
        "groups",
        "refusal",
        "summary",
        "metrics_left_out",
        "pairs",
        "flipped",
        "advice",
        "data",
    }
    assert len(document["pairs"]) == (1 if by_seed else 3)
    assert {"difference", "interval", "p_value", "p_value_holm", "better", "verdict"} <= set(
        document["pairs"][0]
    )
    assert document["runs"][0]["calibration_interval"][0] >= 0


def shown(comparison, width):
    stream = io.StringIO()
    show_comparison(Console(file=stream, width=width, highlight=False), comparison)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("runs", [2, 5, 30])
def test_a_comparison_fits_the_terminal(width, runs, written_run):
    for number in range(runs):
        written_run(f"{number:02d}" * 16, right(*range(number)), seed=number)
    lines = shown(compare_runs(), width)
    assert not any("…" in line or len(line) > width for line in lines)
    assert lines[0].split()[:3] == ["run", "accuracy", "95%"]
    assert len(lines) < 2 * runs + 40
    assert ("and 19 more" in "\n".join(lines)) == (runs == 30)


def test_a_comparison_of_many_settings_loses_nothing(three):
    lines = shown(compare_runs(three), 80)
    assert ["architecture.filters", "4", "8", "="] in [line.split() for line in lines]


def test_two_runs_show_the_images_that_flip(three):
    text = "\n".join(shown(compare_runs(three[:2]), 80))
    assert "Only bbbbbbbb is right on 20 images, only aaaaaaaa on 1:" in text
    assert "and 13 more" in text


def test_one_run_is_shown_alone_and_none_leads_to_the_first(three, tmp_path, monkeypatch, run_cli):
    lines = shown(compare_runs([three[0]]), 80)
    assert len(lines) == 3
    monkeypatch.chdir(tmp_path)
    assert "no finished run in" in shown(compare_runs(), 80)[0]
    assert "<table" in compare_runs()._repr_html_()
    assert run_cli("compare", "--html", "page.html").exit_code == 2


def test_the_summary_counts_what_is_sure(three, written_run):
    assert compare_runs(three).summary == (
        "bbbbbbbb has the highest accuracy: better than 1 of 2, not distinguishable from 1 of 2 "
        "(p after Holm correction for 3 pairs)"
    )


def test_the_command_shows_the_table_and_refuses_the_test(run_cli, three, written_run):
    written_run("d" * 32, right(count=45), fingerprint="others")
    answer = run_cli("compare", "a", "d")
    assert answer.exit_code == 2
    assert "dddddddd *" in answer.stdout
    assert "5 of its 45 images" in answer.stderr
    assert run_cli("compare", "a", "b", "--json").exit_code == 0
    assert json.loads(run_cli("compare", "a", "d", "--json").stdout)["refusal"]
