"""The table of an update."""

import os

import tomli_w

from kerascnn import load_experiment


def test_a_warm_start_shortens_what_trains_more_than_the_head(workplace, shapes_experiment):
    head = {"name": "head", "unfreeze": "head", "epochs": 3, "learning_rate": 1e-3}
    deeper = {"name": "all", "unfreeze": "all", "epochs": 8, "learning_rate": 1e-3}
    file = workplace / "warm.toml"
    update = {"run": "abc", "data": ["more"], "start": "warm", "fine_tuning": 0.25}
    settings = {**shapes_experiment, "stages": [head, deeper], "update": update}
    file.write_text(tomli_w.dumps(settings))
    experiment = load_experiment(file)
    assert [stage.settings.epochs for stage in experiment.stages] == [3, 2]
    assert [stage["epochs"] for stage in experiment.resolved["stages"]] == [3, 8]
    anew = experiment.with_overrides({"update.start": "anew"})
    assert [stage.settings.epochs for stage in anew.stages] == [3, 8]


def test_its_folders_are_relative_to_the_file(workplace, shapes_experiment):
    folder = workplace / "elsewhere"
    folder.mkdir()
    update = {"run": "abc", "data": ["more", os.path.abspath("other")]}
    (folder / "new.toml").write_text(tomli_w.dumps({**shapes_experiment, "update": update}))
    data = load_experiment(folder / "new.toml").settings.update.data
    assert [str(of) for of in data] == ["elsewhere/more", os.path.abspath("other")]
