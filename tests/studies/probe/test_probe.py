"""The probe of many networks: its images, its files, and promoted runs."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageOps
from scipy.stats import spearmanr

from kerascnn import InputError, fetch
from kerascnn.engine.data.sources.download import NotAtHandError, without_downloads
from kerascnn.engine.observer import Observer
from kerascnn.studies.features.images import load_images
from kerascnn.studies.probe.network import with_architecture
from kerascnn.studies.probe.probe import probe_architectures, promote
from kerascnn.studies.probe.result import (
    ProbedNetwork,
    ProbeResult,
    probe_figure,
    rank_correlation,
    ranked,
)
from kerascnn.tracking.store import find_tagged, open_store, tracking_uri


@pytest.fixture(scope="module")
def probed(experiment, registry):
    names = ["sequential_cnn", "mobilenet:none", "sequential_cnn"]
    return probe_architectures(experiment, names)


@pytest.mark.backend
def test_each_network_is_probed_once_on_the_images_that_are_not_for_the_test(probed):
    assert {network.architecture for network in probed.networks} == {
        "sequential_cnn",
        "mobilenet:none",
    }
    for network in probed.networks:
        low, high = network.interval
        assert 0 <= low <= network.accuracy <= high <= 1
        assert network.images == 24 + 16
        assert network.single_ms > 0
        assert network.training_bytes > network.model_bytes == 4 * network.parameters
    accuracies = [network.accuracy for network in probed.networks]
    assert accuracies == sorted(accuracies, reverse=True)


def test_the_experiments_own_parameters_hold_for_its_own_architecture(probed, experiment, registry):
    own = next(n for n in probed.networks if n.architecture == "sequential_cnn")
    chosen = with_architecture(experiment, "sequential_cnn").architecture
    assert chosen == experiment.architecture
    assert own.features == 32  # filters double with depth
    other = with_architecture(experiment, "mobilenet:none").architecture
    assert other.params.weights == "none"


def test_what_a_probe_writes(probed):
    folder = probed.artifacts
    with open(f"{folder}/probe.json") as file:
        written = json.load(file)
    assert written == json.loads(json.dumps(probed.to_json()))
    with open(f"{folder}/probe.png", "rb") as file:
        assert file.read(4) == b"\x89PNG"


def test_the_best_are_run_in_full_under_the_probe(probed, experiment, registry):
    (result,) = promote(experiment, probed, 1)
    assert (
        result.experiment["architecture"]["name"]
        == (probed.networks[0].architecture.partition(":")[0])
    )
    with open_store(tracking_uri()) as client:
        child, parent = (find_tagged(client, run) for run in (result.run_id, probed.run_id))
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id


class Heard(Observer):
    said = ()

    def warned(self, message):
        self.said += (message,)


@pytest.mark.long  # asks every architecture
def test_only_architectures_at_hand_are_local(experiment, registry):
    heard = Heard()
    with pytest.raises(InputError, match="no architectures to probe"):
        probe_architectures(experiment, ["all-local"], heard)
    said = heard.said[-1]
    assert said.startswith(
        "not probed, because their weights are not downloaded: mobilenet_v3_small ("
    )
    assert " MB), " in said
    assert "Name them to download them: --architectures mobilenet_v3_small," in said


def test_a_network_that_is_not_to_be_had_costs_no_other(experiment, registry, monkeypatch):
    monkeypatch.setattr("kerascnn.engine.prepare.load_data", None)  # images are loaded once for all
    with without_downloads():
        probed = probe_architectures(experiment, ["resnet50", "sequential_cnn"])
    assert [network.architecture for network in probed.networks] == ["sequential_cnn"]


def test_features_that_cannot_be_kept_are_not_replaced_by_the_images(experiment, registry):
    cramped = experiment.with_overrides({"training.activations_gb": 0.0})
    with pytest.raises(InputError, match=r"features of sequential_cnn.*training\.activations_gb"):
        probe_architectures(cramped, ["sequential_cnn"])


def test_a_fault_of_the_images_is_told_once_and_not_of_each_network(experiment, registry):
    lost = experiment.with_overrides({"dataset": {"name": "image_folder", "path": "no"}})
    heard = Heard()
    with pytest.raises(InputError, match='there is no folder "no"'):
        probe_architectures(lost, ["all-local"], heard)
    assert not heard.said


def test_nothing_is_downloaded_where_it_must_not_be(tmp_path):
    with (
        without_downloads(),
        pytest.raises(NotAtHandError, match=r"\"weights.h5\" would be downloaded from https:"),
    ):
        fetch("https://example.invalid/weights.h5", folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mobilnet", "sequential_cnn:none"])
def test_an_architecture_that_is_not_to_be_had_is_refused_at_once(name, experiment, registry):
    with pytest.raises(InputError, match=f"{name}: architecture"):
        probe_architectures(experiment, [name])


def test_rank_correlation():
    rng = np.random.default_rng(0)
    first = rng.normal(size=12)
    second = first + rng.normal(size=12)
    rho, low, high = rank_correlation(first, second)
    assert rho == pytest.approx(spearmanr(first, second).statistic)
    assert -1 < low < rho < high < 1
    assert rank_correlation(first, -(first**3))[0] == pytest.approx(-1)


def test_equal_numbers_have_no_rank_correlation():
    rising = [0.5, 0.6, 0.7, 0.8]
    assert rank_correlation(rising, [0.9] * 4) is None
    assert rank_correlation([0.9] * 4, rising) is None


def test_the_interval_of_the_rank_correlation_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    correlation = 0.8
    truth = 6 / np.pi * np.arcsin(correlation / 2)  # Spearman's of a normal distribution
    held = 0
    for _ in range(400):
        first = rng.normal(size=14)
        second = correlation * first + np.sqrt(1 - correlation**2) * rng.normal(size=14)
        _, low, high = rank_correlation(first, second)
        held += low <= truth <= high
    assert 0.9 < held / 400 <= 1


def network(name, accuracy, milliseconds):
    return ProbedNetwork(
        architecture=name,
        accuracy=accuracy,
        interval=(accuracy - 0.1, accuracy + 0.1),
        loss=1 - accuracy,
        images=40,
        stored=0,
        features=16,
        parameters=1000,
        model_bytes=4000,
        training_bytes=10_000,
        single_ms=milliseconds,
        batched_ms=milliseconds,
        seconds=1.0,
    )


def test_networks_are_ranked_and_tested_against_the_best():
    right = {"good": np.arange(40) < 36, "close": np.arange(40) < 35, "bad": np.arange(40) < 12}
    probed = [(network(name, of.mean(), 1.0), of) for name, of in sorted(right.items())]
    networks = ranked(probed)
    assert [one.architecture for one in networks] == ["good", "close", "bad"]
    assert networks[0].behind is None
    assert [one.behind.told_apart for one in networks[1:]] == [False, True]
    done = ProbeResult("a" * 32, "shapes", "CPU", networks, "folder")
    assert "good; cannot be distinguished from it: close" in repr(done)
    assert "<svg" in done._repr_html_()
    assert done.not_told_apart == done.to_json()["not_told_apart"] == ["close"]


def test_the_folds_follow_from_content_and_keep_copies_together(tmp_path, photo, experiment):
    for name, first in (("cat", 0), ("dog", 20)):
        (tmp_path / name).mkdir()
        for number in range(first, first + 12):
            photo(number).save(tmp_path / name / f"{number}.jpg")
        ImageOps.mirror(photo(first)).save(tmp_path / name / "copy.jpg")
    table = {"name": "image_folder", "path": str(tmp_path)}
    of_splits = []
    for seed in (0, 1):
        settings = {"dataset": table | {"split_seed": seed}}
        images = load_images(experiment.with_overrides(settings), Observer())
        splits = (images.data.train, images.data.validation)
        names = [Path(split.name(row)).name for split in splits for row in range(len(split))]
        assert len(names) == len(images.labels) == len(images.folds) < 26
        of_splits.append(dict(zip(names, images.folds.tolist(), strict=True)))
    first, second = of_splits
    shared = first.keys() & second.keys()
    assert first.keys() != second.keys()
    assert all(first[name] == second[name] for name in shared)
    assert len({first[name] for name in ("0.jpg", "copy.jpg") if name in first}) <= 1
    assert len(set(first.values())) == 5


def test_a_class_with_few_images_cannot_be_judged_out_of_fold(experiment, registry):
    few = experiment.with_overrides({"dataset.train": 6, "dataset.validation": 2})
    with pytest.raises(InputError, match=r"the smallest class has 4 .*needs 5 per class"):
        probe_architectures(few, ["sequential_cnn"], Observer())


def test_the_line_of_the_plot_joins_what_no_other_network_beats():
    networks = [network("slow", 0.9, 9), network("quick", 0.7, 1), network("beaten", 0.6, 2)]
    axes = probe_figure(networks).axes[0]
    assert list(axes.lines[0].get_xdata()) == [1, 9]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["1  slow", "2  quick", "3  beaten"]
