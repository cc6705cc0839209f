"""Studies of folds compared: pair by pair on all images, as runs are on their test images."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from kerascnn import InputError, compare_runs
from kerascnn.cli.tables.comparison import show_comparison
from kerascnn.engine.metrics.significance import mcnemar, repeated_test
from kerascnn.results.compare.page import write_comparison

A, B, C = ("a" * 32, "b" * 32, "c" * 32)


def right(*wrong, count=40):
    return ~np.isin(np.arange(count), wrong)


def test_studies_are_tested_image_by_image_whatever_their_order(written_study):
    written_study(A, right())
    written_study(B, right(*range(9)), tested="other order", order=np.arange(40)[::-1])
    comparison = compare_runs([A[:6], B[:6]])
    (pair,) = comparison.pairs
    assert (pair.first, pair.first_alone, pair.second_alone) == (A, 9, 0)
    assert pair.p_value == mcnemar(9, 0)
    assert pair.better == A
    assert {flip.image for flip in comparison.flips} == {str(row) for row in range(9)}


def test_repeats_count_as_one_image(written_study):
    one = np.stack([right(), right(1), right(2)])
    other = np.stack([right(1, 2, 3, 4), right(2, 3, 4, 5), right(3, 4, 5, 6)])
    written_study(A, one)
    written_study(B, other)
    comparison, printed = compare_runs([A, B]), io.StringIO()
    (pair,) = comparison.pairs
    assert pair.difference == pytest.approx(one.mean() - other.mean())
    assert pair.p_value == repeated_test(one.mean(0) - other.mean(0))
    assert pair.first_alone is None
    show_comparison(Console(file=printed, width=120), comparison)
    assert "is right on 12 predictions, only bbbbbbbb on 2" in printed.getvalue()


def test_the_spread_between_folds_is_beside_that_of_chance(written_study):
    study = written_study(A, right(0, 1, 2, 3))  # 0.9 in each fold of 20 images
    assert study.to_json()["spread"]["by_chance"] == pytest.approx((0.9 * 0.1 / 20) ** 0.5)


def test_other_folds_are_refused(written_study):
    written_study(A, right())
    written_study(B, right(), k=5)
    comparison = compare_runs([A, B])
    assert "all images in 5 folds, not all images in 2 folds" in comparison.refusal
    with pytest.raises(InputError, match="no test"):
        _ = comparison.pairs


def test_other_images_are_refused(written_study):
    written_study(A, right())
    written_study(B, right(count=44), tested="more")
    refusal = compare_runs([A, B]).refusal
    assert "4 of its 44 images are not among the 40" in refusal
    assert refusal.endswith("Compare studies of the same images and folds.")


def test_a_run_is_not_compared_with_a_study(written_study, written_run):
    written_study(A, right())
    written_run(B, right())
    refusal = compare_runs([A, B]).refusal
    assert "it tests one split, not all images in 2 folds" in refusal
    assert refusal.endswith("Compare runs with runs, and studies with studies.")


def test_a_study_has_no_network_to_evaluate(written_study, tmp_path):
    written_study(A, right())
    with pytest.raises(InputError, match="no network of its own"):
        compare_runs([A], data=tmp_path)


def test_a_command_that_needs_a_run_says_that_it_is_a_study(written_study, run_cli):
    written_study(A, right())
    ended = run_cli("predict", A[:8], "image.jpg")
    assert ended.exit_code == 2
    assert "is a study of folds, not a run" in ended.stderr


def test_the_table_and_the_page_are_those_of_runs(written_study, workplace):
    written_study(A, right(), seed=1)
    written_study(B, right(*range(9)), seed=2)
    comparison, printed = compare_runs([A, B]), io.StringIO()
    show_comparison(Console(file=printed, width=120), comparison)
    assert "aaaaaaaa is better than bbbbbbbb" in printed.getvalue()
    assert printed.getvalue().split()[0] == "study"
    assert comparison.to_json()["pairs"][0]["first_alone"] == 9
    write_comparison(comparison, workplace / "page.html")
    page = (workplace / "page.html").read_text()
    assert "mistaken for" in page
    text = re.sub(r"<(style|svg|pre).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert "Comparison of 2 studies" in text
    assert "only one of two studies classifies correctly" in text
    assert "test images" not in text
    assert re.findall(r".{0,60}\bruns?\b.{0,30}", text) == []
