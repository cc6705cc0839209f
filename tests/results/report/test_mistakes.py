"""Which images a report shows."""

import numpy as np

from kerascnn.results.predictions import Predictions, read_predictions
from kerascnn.results.report import mistakes

TEST = Predictions(
    names=[f"{i}.jpg" for i in range(6)],
    labels=np.array([0, 0, 0, 1, 1, 2]),
    probabilities=np.array(
        [
            [0.9, 0.1, 0.0],  # right
            [0.2, 0.7, 0.1],  # 0 taken for 1
            [0.1, 0.8, 0.1],  # 0 taken for 1, surer
            [0.6, 0.4, 0.0],  # 1 taken for 0
            [0.3, 0.5, 0.2],  # right
            [0.1, 0.4, 0.5],  # right
        ]
    ),
)


def test_the_most_frequent_confusion_comes_first_with_its_surest_image():
    first, second = mistakes.confusions(TEST)
    assert (first.true, first.predicted, first.of, first.rows.tolist()) == (0, 1, 3, [2, 1])
    assert (second.true, second.predicted, second.of, second.rows.tolist()) == (1, 0, 2, [3])


def test_the_most_wrong_gave_the_true_class_least():
    assert mistakes.most_wrong(TEST, 2).tolist() == [2, 1]
    assert mistakes.most_wrong(TEST, 9).tolist() == [2, 1, 3]


def test_the_least_sure_are_torn_between_two_classes():
    assert mistakes.least_sure(TEST, 3).tolist() == [5, 3, 4]


def test_the_surest_of_a_class():
    assert mistakes.surest(TEST) == 0
    assert [mistakes.surest_right(TEST, label) for label in range(3)] == [0, 4, 5]
    assert [mistakes.surest_wrong(TEST, label) for label in range(3)] == [2, 3, None]


def test_predictions_are_read_though_a_class_is_called_as_a_column(tmp_path):
    file = tmp_path / "predictions.csv"
    file.write_text(
        "image,sha256,label,predicted,probability,label,a\nx.jpg,00,a,label,0.75,0.75,0.25\n"
    )
    read = read_predictions(file, ["label", "a"])
    assert (read.names, read.labels.tolist(), read.predicted.tolist()) == (["x.jpg"], [1], [0])
    assert read.probabilities.tolist() == [[0.75, 0.25]]
