"""The page of a study of folds."""

import numpy as np

from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.folds.material import gather_folds
from kerascnn.results.folds.page import write_page

A = "a" * 32


def page_of(result):
    write_page(gather_folds(result, bind_experiment(result.experiment)))
    return result.page.read_text()


def test_the_page_has_folds_classes_and_mistakes(written_study):
    page = page_of(written_study(A, np.arange(40) > 5))
    assert "34 of 40 images correct" in page
    assert "circle mistaken for square" in page
    assert "This page has no images: the images differ" in page


def test_an_image_with_several_predictions_is_one_mistake(written_study):
    right = np.ones((3, 40), bool)
    right[:2, 7] = False  # by the mean of its probabilities it is wrong
    right[0, 8] = False
    page = page_of(written_study(A, right))
    assert "117 of 120 predictions for 40 images correct" in page
    assert "1 of 40 images." in page


def test_a_notebook_shows_a_study(written_study):
    result = written_study(A, np.arange(40) > 5)
    assert "34 of 40 images correct" in result._repr_html_()
    assert "0.850" in repr(result)
