"""What a network says of images, written and read."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kerascnn.engine.metrics.score import ranked
from kerascnn.results.inference.predict import best_guesses
from kerascnn.results.predictions import Predictions, read_predictions, write_predictions

SHARES = st.floats(0, 1, width=32)


@given(probabilities=arrays(np.float32, (3, 2), elements=SHARES))
def test_what_is_read_is_what_was_written(tmp_path_factory, probabilities):
    file = tmp_path_factory.getbasetemp() / "predictions.csv"
    said = Predictions(["a\udcff", "b,\n", "c"], np.array([0, 1, 1]), probabilities, ["0"] * 3)
    write_predictions(file, said, ["x", "y"])
    read = read_predictions(file, ["x", "y"])
    assert read.probabilities.dtype == np.float32
    assert np.array_equal(read.probabilities, probabilities)
    assert (read.names, read.labels.tolist()) == (said.names, [0, 1, 1])


def test_flat_probabilities_are_judged_as_the_run_judged_them(tmp_path):
    rng = np.random.default_rng(0)
    flat = (0.01 + 1e-8 * rng.random((100, 100))).astype(np.float32)
    said = Predictions([str(i) for i in range(100)], flat.argmax(1), flat, ["0"] * 100)
    names = [f"class {i}" for i in range(100)]
    write_predictions(tmp_path / "p.csv", said, names)
    assert not len(read_predictions(tmp_path / "p.csv", names).wrong)


def test_where_an_older_version_rounded_to_a_tie_what_it_predicted_counts(tmp_path):
    file = tmp_path / "predictions.csv"
    file.write_text(
        "image,sha256,label,predicted,probability,a,b\nx,0,b,b,0.500000,0.500000,0.500000\n"
    )
    assert not len(read_predictions(file, ["a", "b"]).wrong)


def test_of_equal_classes_the_first_is_predicted_everywhere():
    tie = np.array([0.1, 0.3, 0.3, 0.3], np.float32)
    assert ranked(tie).tolist() == [1, 2, 3, 0]
    assert best_guesses(tie, "abcd", 1)[0]["label"] == "b"
    assert ranked(tie)[0] == tie.argmax()
