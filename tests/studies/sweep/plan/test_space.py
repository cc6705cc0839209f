"""What a sweep tries: ranges and choices of keys, bound to an experiment with their conditions."""

import pytest
import tomli_w

from kerascnn.errors import InputError
from kerascnn.experiment.bound import bind_experiment
from kerascnn.studies.sweep.plan.asked import of_file, of_options, of_table
from kerascnn.studies.sweep.plan.load import load_sweep, plan
from kerascnn.studies.sweep.plan.space import bind_space
from kerascnn.studies.sweep.plan.values import Choices, Range
from kerascnn.studies.sweep.trials.drawing import settings_of


@pytest.fixture
def experiment(shapes_experiment, registry):
    training = {**shapes_experiment["training"], "image_size": 32}  # the least of mobilenet_v2
    return bind_experiment({**shapes_experiment, "training": training}, registry)


def tried(experiment, *tries):
    return bind_space(experiment, of_options(tries))


def only(space):
    (dimension,) = space.dimensions
    return dimension.values


RATE = "stages.scratch.learning_rate"


def test_a_range_over_a_decade_is_logarithmic(experiment):
    assert only(tried(experiment, "stages.0.learning_rate=1e-4..1e-3")).log
    assert not only(tried(experiment, "stages.0.learning_rate=1e-4..9e-4")).log
    assert not only(tried(experiment, "stages.0.label_smoothing=0..0.5")).log
    table = {"from": 1e-4, "to": 1e-2, "log": False}
    assert not only(bind_space(experiment, of_table({RATE: table}))).log


def test_a_key_that_is_a_whole_number_is_tried_with_whole_numbers(experiment):
    assert only(tried(experiment, "training.batch_size=2..8")) == Range(2, 8, False, None, True)
    assert only(tried(experiment, "stages.0.learning_rate=1..2")) == Range(1, 2, False, None)
    drawn = {Range(2, 8, False, None, True).at(share / 100) for share in range(100)}
    assert drawn == {2, 3, 4, 5, 6, 7, 8}


def test_a_step_lists_the_values():
    assert Range(0.1, 0.45, False, 0.1).listed == [0.1, 0.2, 0.3, 0.4]
    assert Range(16, 64, False, 16, True).listed == [16, 32, 48, 64]
    assert Range(1e-4, 1e-2, True, None).listed is None


def test_a_logarithmic_range_is_drawn_evenly_by_decades():
    drawn = [Range(1e-4, 1e-2, True, None).at(share) for share in (0, 0.5, 1 - 1e-12)]
    assert drawn == pytest.approx([1e-4, 1e-3, 1e-2])
    assert all(1e-4 <= value <= 1e-2 for value in drawn)


def test_choices_are_read_as_toml_or_as_words(experiment):
    assert only(tried(experiment, "stages.0.optimizer.name=adam,sgd")).values == ("adam", "sgd")
    assert only(tried(experiment, 'stages.0.unfreeze="all","head"')).values == ("all", "head")
    assert only(tried(experiment, 'stages.0.unfreeze=["conv*"],["block1"]')).values == (
        ["conv*"],
        ["block1"],
    )


def test_a_key_of_a_component_applies_where_the_component_has_it(experiment):
    names = "architecture=sequential_cnn,mobilenet_v2"
    space = tried(experiment, "architecture.depth=1..3", names)
    name, depth = space.dimensions
    assert (name.key, depth.of) == ("architecture.name", "architecture.name")
    assert depth.names == ("sequential_cnn",)
    assert space.drawn([0.9, 0.9]) == {"architecture.name": "mobilenet_v2"}
    assert space.grid() == [
        {"architecture.name": "sequential_cnn", "architecture.depth": 1},
        {"architecture.name": "sequential_cnn", "architecture.depth": 2},
        {"architecture.name": "sequential_cnn", "architecture.depth": 3},
        {"architecture.name": "mobilenet_v2"},
    ]


def test_a_component_of_another_name_starts_from_its_own_defaults(experiment):
    space = tried(experiment, "architecture=sequential_cnn,mobilenet_v2")
    same, other = (space.bound({"architecture.name": name}) for name in only(space).values)
    assert same.architecture.params.depth == 2  # of the experiment
    assert other.architecture.name == "mobilenet_v2"


def test_tables_and_arrays_are_stored_as_toml():
    choices = Choices(("constant", {"name": "cosine"}, ["a", "b"], 1, True))
    stored = [choices.stored(value) for value in choices.values]
    assert stored == ["constant", '{ name = "cosine" }', '["a", "b"]', 1, True]
    assert [choices.given(value) for value in stored] == list(choices.values)


SPACES = {
    "quoted": '[space]\n"stages.scratch.learning_rate" = { from = 1e-4, to = 1e-2 }',
    "dotted": "[space]\nstages.scratch.learning_rate = { from = 1e-4, to = 1e-2 }",
    "tables": "[space.stages.scratch.learning_rate]\nfrom = 1e-4\nto = 1e-2",
    "index": '[space]\n"stages.0.learning_rate" = { from = 1e-4, to = 1e-2 }',
}


@pytest.mark.parametrize("written", SPACES.values(), ids=SPACES)
def test_a_file_may_quote_its_keys_or_not(shapes_file, written, registry):
    file = shapes_file.with_name("sweep.toml")
    file.write_text(f'experiment = "shapes.toml"\ntrials = 5\n{written}\n')
    planned = load_sweep(file, registry=registry)
    assert planned.tables == {RATE: {"from": 1e-4, "to": 1e-2}}
    assert planned.trials == 5


def test_options_replace_the_settings_of_a_file_and_add_keys(shapes_file, registry):
    file = shapes_file.with_name("sweep.toml")
    file.write_text(f'experiment = "shapes.toml"\ntrials = 5\n{SPACES["quoted"]}\n')
    tries = of_options(("training.batch_size=4,8",))
    planned = load_sweep(file, tries, {"trials": 7, "sampler": "random"}, registry=registry)
    assert (planned.trials, planned.settings.sampler) == (7, "random")
    assert list(planned.tables) == [RATE, "training.batch_size"]


def test_an_experiment_with_options_is_a_sweep(shapes_file, registry):
    planned = load_sweep(
        shapes_file, of_options(("training.batch_size=4,8",)), {}, {"seed": 3}, registry
    )
    assert (planned.experiment.seed, planned.trials) == (3, 20)


@pytest.mark.parametrize("sampler", ["random", "quasi_random"])
def test_more_trials_begin_with_the_same_settings(experiment, sampler):
    asked = of_table({RATE: {"from": 1e-4, "to": 1e-2}, "training.batch_size": [4, 8]})
    few, many = (
        settings_of(plan(experiment, asked, {"sampler": sampler, "trials": count}))
        for count in (5, 9)
    )
    assert many[:5] == few
    assert len({str(params) for params in many}) == 9
    other = plan(experiment, asked, {"sampler": sampler, "trials": 5, "seed": 1})
    assert settings_of(other) != few


def test_a_grid_has_every_setting_once(experiment):
    asked = of_table({"training.batch_size": [4, 8], "stages.0.epochs": {"from": 1, "to": 3}})
    planned = plan(experiment, asked, {"sampler": "grid"})
    assert planned.trials == len({str(params) for params in settings_of(planned)}) == 6
    assert len(settings_of(plan(experiment, asked, {"sampler": "grid", "trials": 4}))) == 4


def test_a_file_that_holds_no_space_is_told(shapes_file):
    with pytest.raises(InputError, match="expected a table of dotted keys"):
        of_file({}, 'experiment = "shapes.toml"\nspace = {}', "sweep.toml")


def test_the_plan_of_a_sweep_is_a_file_that_can_be_run_again(experiment, tmp_path, monkeypatch):
    from kerascnn.studies.sweep.part import write_plan

    monkeypatch.chdir(tmp_path)
    asked = of_table({RATE: {"from": 1e-4, "to": 1e-2}, "architecture": ["sequential_cnn"]})
    planned = plan(experiment, asked, {"sampler": "random", "minutes": 3})
    write_plan(planned, tmp_path)
    again = load_sweep(tmp_path / "sweep.toml")
    assert (again.tables, again.settings) == (planned.tables, planned.settings)
    assert again.experiment.resolved == planned.experiment.resolved
    assert tomli_w.dumps(again.experiment.resolved) == (tmp_path / "experiment.toml").read_text()
