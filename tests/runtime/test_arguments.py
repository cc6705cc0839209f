"""What public functions take from Python: one or many of a thing; wrong types in one message."""

from pathlib import Path

import numpy as np
import pytest

import kerascnn
from kerascnn import InputError
from kerascnn.results.describe.network import describe_network
from kerascnn.results.visualize.explain import explain_images
from kerascnn.studies.probe.probe import promote

ARRAY = np.arange(1000)


@pytest.fixture
def run(written_run):
    return written_run("a" * 32, [True, False])


def test_one_run_is_compared_like_a_list_of_one(run):
    for runs in ("last", run, [run.run_id[:8], run]):
        (compared,) = kerascnn.compare_runs(runs).results
        assert compared.run_id == run.run_id


RUN_TAKERS = {
    "predict_images": lambda run: kerascnn.predict_images(run, "a.png"),
    "evaluate_run": lambda run: kerascnn.evaluate_run(run, "photos"),
    "report_run": kerascnn.report_run,
    "compare_runs": lambda run: kerascnn.compare_runs([run]),
    "export_run": lambda run: kerascnn.export_run(run, "keras"),
    "explain_images": lambda run: explain_images(run, "a.png"),
    "describe": describe_network,
}


@pytest.mark.parametrize("call", RUN_TAKERS.values(), ids=RUN_TAKERS)
@pytest.mark.parametrize("run", [None, 7, ARRAY], ids=["none", "number", "array"])
def test_what_is_no_run_is_one_short_message(call, run, workplace):
    with pytest.raises(InputError, match=r"expected a string or") as refused:
        call(run)
    assert len(str(refused.value)) < 200


def test_an_empty_name_is_not_the_beginning_of_every_run(run):
    with pytest.raises(InputError, match='no run ""'):
        kerascnn.report_run("")


EXPERIMENT_TAKERS = {
    "run_experiment": kerascnn.run_experiment,
    "find_learning_rate": kerascnn.find_learning_rate,
    "probe_architectures": lambda given: kerascnn.probe_architectures(given, "sequential_cnn"),
    "probe_blocks": kerascnn.probe_blocks,
    "promote": lambda given: promote(given, None, 1),
}


@pytest.mark.parametrize("call", EXPERIMENT_TAKERS.values(), ids=EXPERIMENT_TAKERS)
@pytest.mark.parametrize("given", ["photos.toml", Path("photos.toml"), {"name": "x"}, None])
def test_what_is_no_experiment_says_how_to_get_one(call, given):
    with pytest.raises(InputError, match=r'an experiment.*`load_experiment\("FILE\.toml"\)`'):
        call(given)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: kerascnn.load_experiment(ARRAY), "path: expected a string or a path"),
        (lambda: kerascnn.load_experiment("a.toml", ["seed=1"]), "overrides: expected a table"),
        (lambda: kerascnn.evaluate_run("last", ARRAY), "data: expected a string or a path"),
        (lambda: kerascnn.export_run("last", ["keras"]), "format: expected a string"),
        (
            lambda: kerascnn.export_run("last", "keras", params=["opset"]),
            "params: expected a table",
        ),
        (lambda: kerascnn.export_run("last", "keras", ARRAY), "output: expected a string or a pa"),
        (lambda: kerascnn.read_image([1, 2]), "image: expected a string or a path or bytes or"),
        (lambda: explain_images("last", "a.png", ARRAY), "layers: expected a string"),
    ],
)
def test_other_arguments_too(call, said, workplace):
    with pytest.raises(InputError, match=said) as refused:
        call()
    assert len(str(refused.value)) < 200


def test_architectures_are_one_or_several_but_not_none(shapes_experiment, registry):
    from kerascnn.experiment.bound import bind_experiment

    experiment = bind_experiment(shapes_experiment, registry)
    with pytest.raises(InputError, match="no architectures to probe"):
        kerascnn.probe_architectures(experiment, [])
    with pytest.raises(InputError, match="no_such_network"):
        kerascnn.probe_architectures(experiment, "no_such_network")
