"""A dataset's images as another run prepares them."""

import pytest

from kerascnn import Observer
from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.experiment.bound import bind_experiment
from kerascnn.results.leaks import as_prepared


@pytest.mark.parametrize("other", [{"resize": "pad"}, {"crop_margin": 0.5}, {"image_size": 32}])
def test_images_are_loaded_once_as_each_run_prepares_them(
    written_run, shapes_experiment, monkeypatch, other
):
    calls = []

    def load(experiment, observer):
        calls.append(Preparation.of(experiment.training))
        return len(calls)

    monkeypatch.setattr("kerascnn.results.leaks.load_data", load)
    training = shapes_experiment["training"]
    alike = written_run("a" * 32, [True] * 8)
    differs = written_run("b" * 32, [True] * 8, training={**training, **other})
    loaded = as_prepared(bind_experiment(shapes_experiment), "own", Observer())
    assert [loaded(alike), loaded(differs), loaded(differs)] == ["own", 1, 1]
    assert calls == [Preparation.of(differs.training)]
