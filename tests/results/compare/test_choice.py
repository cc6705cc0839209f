"""Which of several indistinguishable runs to choose, and what the test images can show."""

import numpy as np
import pytest
from PIL import Image

from kerascnn.engine.metrics.significance import detectable_difference, images_needed, mcnemar
from kerascnn.results.compare.compare import compare_runs
from kerascnn.results.compare.page import write_comparison


def right(*wrong, count=200):
    """All images are recognised but these."""
    return ~np.isin(np.arange(count), wrong)


def test_the_smaller_of_runs_that_are_level_is_taken(written_run):
    written_run("a" * 32, right(0, 1), parameters=5_000)
    written_run("b" * 32, right(1, 2, 3), parameters=700)
    advice = compare_runs().advice
    assert advice.startswith("Choose bbbbbbbb: it has 700 parameters instead of 5,000")
    assert "200 images can show a difference of 0.0" in advice
    assert "showing one of 0.005 takes about " in advice


def test_a_smaller_run_that_is_far_behind_is_not_taken(written_run):
    written_run("a" * 32, right(*range(4)), parameters=5_000)
    written_run("b" * 32, right(*range(10, 19)), parameters=700)
    comparison = compare_runs()
    assert comparison.pairs[0].better is None
    assert comparison.advice.startswith("Choose aaaaaaaa: it has the highest accuracy")


def test_equal_runs_are_not_called_greatest(written_run):
    for letter in "abc":
        written_run(letter * 32, right(0))
    comparison = compare_runs()
    assert "highest" not in comparison.summary
    assert comparison.summary.startswith("aaaaaaaa, bbbbbbbb and cccccccc are equally accurate")
    assert "equally accurate" in compare_runs(["a" * 32, "b" * 32]).summary
    assert comparison.advice.startswith("Choose any of the equally accurate ones")


def test_a_difference_that_is_sure_needs_no_advice(written_run):
    written_run("a" * 32, right())
    written_run("b" * 32, right(*range(60)))
    assert compare_runs().advice == ""


def test_so_few_images_show_nothing():
    assert detectable_difference(5, 0.5, 0.05) is None
    assert detectable_difference(6, 0.0, 0.05) == 1.0


@pytest.mark.parametrize(("images", "apart"), [(100, 0.2), (400, 0.1), (2000, 0.05)])
def test_the_difference_that_can_be_shown_is_shown_four_times_in_five(images, apart):
    least = detectable_difference(images, apart, 0.05)
    assert images_needed(least, apart, 0.05) <= images
    apart = max(apart, least)
    shares = [(apart + least) / 2, (apart - least) / 2, 1 - apart]
    drawn = np.random.default_rng(0).multinomial(images, shares, 400)
    shown = np.mean([mcnemar(one, other) < 0.05 for one, other, _ in drawn])
    assert 0.65 < shown < 0.95  # the exact test is a little careful


@pytest.fixture
def judged(workplace, written_run, monkeypatch):
    """Two runs that see images at different sizes, compared on a folder of six images."""
    for letter, size in (("a", 16), ("b", 24)):
        written_run(letter * 32, right(), training={"image_size": size})
    for name in ("circle", "square"):
        (workplace / "new" / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((20, 20, 3), 40 * number, np.uint8)
            Image.fromarray(pixels).save(workplace / "new" / name / f"{number}.png")
    said = {"a" * 32: [0, 0, 1, 1, 1, 1], "b" * 32: [0, 1, 0, 1, 1, 1]}
    monkeypatch.setattr(
        "kerascnn.results.inference.evaluate.outputs_of",
        lambda result, *_: (np.eye(2)[said[result.run_id]], None, ""),
    )
    return compare_runs(data="new")


def test_runs_are_judged_on_the_images_of_a_folder_pair_by_pair(judged):
    assert [run.test_images for run in judged.runs] == [6, 6]
    assert [run.test_accuracy for run in judged.runs] == [5 / 6, 5 / 6]
    (pair,) = judged.pairs
    assert (pair.first_alone, pair.second_alone) == (1, 1)
    assert judged.to_json()["data"] == "new"
    sides = {run_id[0]: images[:].shape[1] for run_id, images in judged.elsewhere.images.items()}
    assert sides == {"a": 16, "b": 24}


def test_its_page_shows_the_images_of_the_folder(judged, workplace):
    write_comparison(judged, workplace / "page.html")
    page = (workplace / "page.html").read_text()
    assert "6 images of new" in page
    assert page.count("data:image/webp") == len(judged.flips) == 2
