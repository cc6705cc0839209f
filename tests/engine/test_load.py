"""Loading packs and checks; examining is a step of its own, and compares images once."""

from kerascnn.engine.data import copies
from kerascnn.engine.load import examine, load_data
from kerascnn.engine.observer import Observer
from kerascnn.experiment.bound import bind_experiment


class Noted(Observer):
    def __init__(self):
        self.notes = []

    def data_noted(self, notes, state):
        self.notes.append((notes, state))


def test_images_are_compared_when_they_are_examined_and_once(
    registry, shapes_experiment, monkeypatch
):
    compared, real = [], copies.close
    monkeypatch.setattr(copies, "_near", type(copies._near)())
    monkeypatch.setattr(copies, "close", lambda *pair: compared.append(1) or real(*pair))
    shapes_experiment["dataset"]["image_seed"] = 7
    observer = Noted()
    for seed in (0, 1):  # of a study's runs
        experiment = bind_experiment({**shapes_experiment, "seed": seed}, registry)
        before = len(compared)
        data = load_data(experiment, observer)
        assert len(compared) == before
        assert len(observer.notes) == seed
        examination = examine(data, experiment, observer)
        assert observer.notes[seed][0] == examination.notes
    assert before == len(compared) > 0
    assert observer.notes[0] == observer.notes[1]
