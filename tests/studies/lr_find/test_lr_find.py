"""The learning-rate range test: its measurements and suggestion, without side effects."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tomli_w
from rich.console import Console

from kerascnn import InputError, RunError, load_experiment
from kerascnn.cli.tables.experiments import show_range_test
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepare import prepare_experiment
from kerascnn.engine.training.compile import compile_stage
from kerascnn.engine.training.inputs import make_inputs
from kerascnn.engine.training.stage import fit_stage
from kerascnn.experiment.bound import bind_experiment
from kerascnn.studies.lr_find.find import STEPS, _steps, find_learning_rate
from kerascnn.studies.lr_find.range_test import RangeTest, smooth


@pytest.fixture
def two_stages(shapes_experiment):
    """With dropout and augmentation, whose random numbers a test could use up."""
    head = {"name": "head", "epochs": 2, "learning_rate": 0.01, "augmentation": False}
    rest = {"name": "rest", "unfreeze": "all", "epochs": 1, "learning_rate": 1e-3}
    return shapes_experiment | {
        "augmentation": {"name": "light"},
        "stages": [head, rest],
    }


def fit(prepared):
    """Trains all stages; the SHA-256 of every variable, random generators included."""
    standing = None
    for plan in prepared.plans:
        standing = fit_stage(prepared.network, plan, *prepared.examples(plan), standing).standing
    values = [np.asarray(variable.numpy()) for variable in prepared.network.model.variables]
    return hashlib.sha256(b"".join(value.tobytes() for value in values)).hexdigest()


@pytest.mark.backend
def test_training_afterwards_is_the_same_to_the_bit(workplace, two_stages, registry):
    experiment = bind_experiment(two_stages, registry)
    undisturbed = fit(prepare_experiment(experiment, Observer()))
    prepared = prepare_experiment(experiment, Observer())
    tested = find_learning_rate(experiment, "rest")
    assert len(tested.losses) > 10
    assert fit(prepared) == undisturbed


def test_a_test_that_ends_early_leaves_no_bar_behind():
    class Heard(Observer):
        def progress(self, what, done, total):
            self.last = done, total

    losses = iter([1.0, 2.0, float("nan")])
    trainer = SimpleNamespace(train_on_batch=lambda *_, **__: {"loss": next(losses)})
    heard = Heard()
    _steps(trainer, SimpleNamespace(epoch=lambda number: [((), ())] * STEPS), heard)
    assert heard.last == (2, 2)


@pytest.mark.long
def test_a_later_stage_begins_where_those_before_end(workplace, two_stages, registry):
    experiment = bind_experiment(two_stages, registry)
    prepared = prepare_experiment(experiment, Observer())
    before, plan = prepared.plans
    network, examples = prepared.network, prepared.examples(plan)
    fit_stage(network, before, *examples)
    set_trainable(network.model, plan.layers, plan.batchnorm)
    inputs = make_inputs(cut(network.model), plan, *examples)
    compile_stage(network, plan, inputs.trainer, inputs.feed.steps)
    first = inputs.trainer.train_on_batch(*next(inputs.feed.epoch(1)), return_dict=True)
    tested = find_learning_rate(experiment, "rest")
    assert tested.losses[0] == pytest.approx(first["loss"], abs=1e-6)


@pytest.mark.backend
@pytest.mark.parametrize("spoilt", ["from the first step on", "later"])
def test_a_loss_that_is_not_finite_ends_the_test_in_its_own_words(
    workplace, two_stages, registry, monkeypatch, spoilt
):
    """The head's steps too, several of which TensorFlow would take in one call."""
    head_alone = {**two_stages, "stages": two_stages["stages"][:1]}
    prepared = prepare_experiment(bind_experiment(head_alone, registry), Observer())
    monkeypatch.setattr("kerascnn.studies.lr_find.find.prepare_experiment", lambda *_: prepared)
    if spoilt == "later":
        monkeypatch.setattr("kerascnn.studies.lr_find.find.HIGHEST", 1e38)
        monkeypatch.setattr("kerascnn.studies.lr_find.find.has_diverged", lambda losses: False)
        test = find_learning_rate(prepared.experiment)
        assert 0 < len(test.losses) < STEPS
        return
    bias = prepared.network.model.get_layer("head_dense").bias
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(RunError, match="first step, at learning rate 1e-07, is not finite"):
        find_learning_rate(prepared.experiment)


def test_the_rate_rises_until_the_loss_has_grown_too_far(workplace, two_stages, registry):
    test = find_learning_rate(bind_experiment(two_stages, registry))
    assert test.stage == "head"
    assert test.configured == 0.01
    steps = np.diff(np.log(test.rates))
    assert steps == pytest.approx(steps[0])
    assert test.rates[0] == pytest.approx(1e-7)
    assert test.diverged == (len(test.rates) < STEPS)
    assert np.isfinite(test.losses).all()


def made(losses, passes=1.0):
    rates = np.geomspace(1e-7, 10, STEPS)[: len(losses)].tolist()
    return RangeTest("head", 1e-3, rates, list(losses), smooth(losses).tolist(), False, passes)


def test_a_tenth_of_the_rate_of_the_least_loss_is_suggested():
    exponents = np.linspace(-7, 1, STEPS)
    noise = np.random.default_rng(0).normal(0, 0.05, STEPS)
    test = made(np.clip((exponents + 1) ** 2 / 4, 0, 2) + 0.3 + noise)  # least at 0.1
    assert 0.003 < test.suggestion < 0.03
    assert test.lowest == pytest.approx(10 * test.suggestion)


def test_nothing_is_suggested_where_the_loss_only_rises():
    exponents = np.linspace(-7, 1, STEPS)
    test = made(1 + np.clip(exponents + 2, 0, None) ** 2)
    assert test.suggestion is test.setting is None
    assert "hardly falls" in test.why_none


def test_nothing_is_suggested_where_noise_alone_makes_the_first_loss_the_least():
    """Small batches differ so much that one of the first, at a rate without effect, wins."""
    losses = np.full(STEPS, 2.0)
    losses[:4] = 1.0
    assert made(losses).suggestion is None


def test_nothing_is_suggested_where_few_images_were_seen_again_and_again():
    losses = np.geomspace(1, 0.01, STEPS)
    assert made(losses).suggestion
    assert made(losses, passes=17.0).suggestion is None
    assert "made 17 passes over them" in made(losses, passes=17.0).why_none


def test_the_suggestion_is_told_as_a_command_to_paste(run_cli, shapes_file, monkeypatch):
    test = made(np.geomspace(1, 0.01, STEPS))
    monkeypatch.setattr("kerascnn.studies.lr_find.find.find_learning_rate", lambda *_: test)
    said = run_cli("lr-find", "shapes.toml", "--set", "seed=3").stdout
    command = f"kerascnn run shapes.toml --set seed=3 --set {test.setting}"
    assert said.rstrip().endswith(command)
    (stage,) = load_experiment(shapes_file).stages
    setting = replace(test, stage=stage.name).setting
    answer = run_cli("check", "shapes.toml", "--set", setting, "--json")
    assert answer.exit_code == 0, answer.stderr


def test_a_command_is_not_broken_on_a_narrow_terminal():
    console, command = Console(width=80), " ".join(["kerascnn"] * 20)
    with console.capture() as shown:
        show_range_test(console, made(np.geomspace(1, 0.01, STEPS)), Path("a.png"), command)
    assert shown.get().splitlines()[-1].endswith(command)


def test_without_a_suggestion_no_command_is_told(run_cli, shapes_file, monkeypatch):
    test = made(np.geomspace(1, 0.01, STEPS), passes=17.0)
    monkeypatch.setattr("kerascnn.studies.lr_find.find.find_learning_rate", lambda *_: test)
    said = run_cli("lr-find", "shapes.toml").stdout
    assert "none: there are too few images" in said
    assert "--set" not in said


def test_an_unknown_stage_is_named_with_those_that_there_are(two_stages, registry):
    with pytest.raises(InputError, match=r'mean "rest".*head, rest'):
        find_learning_rate(bind_experiment(two_stages, registry), "rst")


def test_command_writes_the_plot_and_one_document(workplace, two_stages, run_cli):
    (workplace / "shapes.toml").write_text(tomli_w.dumps(two_stages))
    ended = run_cli("lr-find", "shapes.toml", "--plot", "rates.png", "--json")
    assert ended.exit_code == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert shown["stage"] == "head"
    assert shown["plot"] == "rates.png"
    assert (workplace / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert not (workplace / "kerascnn-runs").exists()
