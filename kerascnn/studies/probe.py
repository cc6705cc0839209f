"""A quick look at many networks: a linear probe on what each makes of the images, and its cost.

How well a network did on ImageNet does not tell how well it suits other images; how well a
linear classifier does on its features tells more (Kornblith et al., Do Better ImageNet Models
Transfer Better?, arXiv 1805.08974, use both).
"""

import json
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.data.download import NotAtHandError, reporting, without_downloads
from kerascnn.engine.load import load_data
from kerascnn.engine.metrics.significance import wilson_interval
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.observer import Observer, default_observer, optional
from kerascnn.engine.prepare import check_stages, prepare
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result import Result
from kerascnn.engine.training.inputs import FLOAT_BYTES, make_inputs
from kerascnn.engine.training.plan import Listener
from kerascnn.errors import InputError
from kerascnn.experiment.load import check_experiment, parse_experiment
from kerascnn.experiment.model import Experiment
from kerascnn.results.find import runs_folder
from kerascnn.run.runner import run_experiment
from kerascnn.runtime.arguments import as_list, expect_count
from kerascnn.runtime.backend import select_backend, start_backend
from kerascnn.runtime.commands import command
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.process import contained
from kerascnn.studies.figures import probe_figure
from kerascnn.studies.probed import Probe, Probed
from kerascnn.tracking.tracker import Tracker

ALL_LOCAL = "all-local"
FOLDS = 5
"""Parts of the images, each judged by a probe that was fitted on the others."""
STRENGTH = 0.1
"""Of the probe's fit against its L2 penalty (scikit-learn's C), on features of unit variance."""
BATCH = 32
NAMED = 8  # architectures that could be downloaded are named
TIMED_SECONDS = 1.0
"""A network's calls are timed for so long, and at least three of them."""


@contained()
def probe_architectures(
    experiment: Experiment,
    architectures: str | Iterable[str],
    observer: Observer | None = None,
    registry: Registry | None = None,
) -> Probe:
    """Probes architectures on an experiment's images; those to test by are not touched.

    Args:
        experiment: From `load_experiment`; its own architecture counts only if it is named.
        architectures: A name or several; `NAME:WEIGHTS` says which weights, such as
            "resnet50:none" for random ones; "all-local" stands for all whose weights are at hand.
        observer: Receives progress events; default what the terminal shows, on standard error;
            `Observer()` shows nothing.
        registry: The components; default all that are installed.

    Raises:
        InputError: None of the architectures is to be had, or the experiment is at fault.
    """
    check_experiment(experiment)
    architectures = as_list(architectures, str, "architectures")
    if not architectures:
        raise _none_to_probe()
    once, registry = _Once(observer or default_observer()), registry or load_registry()
    select_backend(experiment.training.backend)
    named = dict.fromkeys(name for name in architectures if name != ALL_LOCAL)
    listed = registry.of_kind("architecture") if ALL_LOCAL in architectures else ()
    others = [known.component.name for known in listed if known.component.name not in named]
    experiments = {name: with_architecture(experiment, name, registry) for name in named}
    once.started(experiment.name, start_backend(experiment.training.backend), device_name())
    with reporting(once.download):
        load_data(experiment, registry, once)  # whose faults are no network's
    networks, refusals = list[Probed](), list[InputError]()
    for name, chosen in experiments.items():
        try:
            networks.append(_probe(name, chosen, once, registry))
        except InputError as error:
            refusals.append(error)
            once.warned(f"{name} is left out: {error}")
    absent: dict[str, NotAtHandError] = {}
    for name in others:
        networks += _probe_if_at_hand(name, experiment, once, registry, absent)
    if absent:
        once.warned(_downloadable(absent))
    if not networks:
        raise refusals[0] if refusals else _none_to_probe()
    return _record(experiment, networks, once)


def _none_to_probe() -> InputError:
    listing = command("plugins", "list", "--kind", "architecture")
    return InputError(f"there are no architectures to probe; `{listing}` lists them.")


def with_architecture(experiment: Experiment, architecture: str, registry: Registry) -> Experiment:
    """The experiment with another architecture.

    Args:
        architecture: A name, or NAME:WEIGHTS; one of the experiment's own name keeps what the
            experiment says of it.

    Raises:
        InputError: There is none such, or it takes no such weights.
    """
    name, colon, weights = architecture.partition(":")
    data = experiment.model_dump(mode="json", exclude_none=True)
    table = data["architecture"] if data["architecture"]["name"] == name else {"name": name}
    data["architecture"] = table | ({"weights": weights} if colon else {})
    try:
        return parse_experiment(data, registry)
    except InputError as error:
        raise InputError(f"{architecture}: {error}") from error


def _downloadable(absent: Mapping[str, NotAtHandError]) -> str:
    """The architectures whose weights would have to be downloaded, the smallest first."""
    ordered = sorted(absent, key=lambda name: absent[name].about_bytes or sys.maxsize)
    named = [_with_size(name, absent[name].about_bytes) for name in ordered[:NAMED]]
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return (
        f"not probed, as their weights are not downloaded yet: {', '.join(named)}{more}. "
        f"--architectures {','.join(ordered[:2])} downloads those that it names."
    )


def _with_size(name: str, about_bytes: int | None) -> str:
    return f"{name} ({gigabytes(about_bytes)})" if about_bytes else name


def _probe_if_at_hand(
    name: str,
    experiment: Experiment,
    observer: Observer,
    registry: Registry,
    absent: dict[str, NotAtHandError],
) -> Iterator[Probed]:
    """Probes an architecture with its default weights, or notes in `absent` that it has none."""
    params = registry.get("architecture", name).component.params
    fields = params.model_fields
    if "weights" not in fields or any(field.is_required() for field in fields.values()):
        return
    try:
        with without_downloads():
            yield _probe(name, with_architecture(experiment, name, registry), observer, registry)
    except NotAtHandError as error:
        absent[name] = error
    except InputError as error:
        observer.warned(f"{name} is left out: {error}")


def _probe(name: str, experiment: Experiment, observer: Observer, registry: Registry) -> Probed:
    start = time.perf_counter()
    prepared = prepare(_probing(experiment, registry), registry, observer)
    model = prepared.network.model
    *_, whole = check_stages(prepared)
    features, labels = _features(prepared, name, observer)
    right = _right(features, labels, experiment.seed)
    images = prepared.examples()[1].inputs
    forward = Forward(model)
    return Probed(
        architecture=name,
        accuracy=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(right)),
        images=len(right),
        features=features.shape[1],
        parameters=model.count_params(),
        model_bytes=FLOAT_BYTES * model.count_params(),
        training_bytes=whole.memory_bytes,
        single_ms=_milliseconds(forward, images, 1),
        batched_ms=_milliseconds(forward, images, BATCH),
        seconds=time.perf_counter() - start,
    )


def _probing(experiment: Experiment, registry: Registry) -> Experiment:
    """The experiment with a stage for the head, not augmented, and one for all of the network."""
    data = experiment.model_dump(mode="json", exclude_none=True)
    stage = {"epochs": 1, "learning_rate": 1e-3, "augmentation": False}
    stages = [{"name": name, "unfreeze": name, **stage} for name in ("head", "all")]
    return parse_experiment({**data, "stages": stages}, registry)


def _features(prepared: Prepared, name: str, observer: Observer) -> tuple[np.ndarray, np.ndarray]:
    """What comes before the head, once for each image, as the run's own first stage has it.

    Returns:
        float [N, D] and labels int64 [N], of the images to train and to validate by.
    """
    plan, model = prepared.plans[0], prepared.network.model
    set_trainable(model, plan.layers, plan.batchnorm)
    train, validation = prepared.examples()

    def progress(done: int, total: int) -> None:
        observer.progress(f"probing {name}", done, total)

    parts = cut(model)
    listener = Listener(prefix=progress, warned=observer.warned)
    inputs = make_inputs(parts, plan, train, validation, listener)
    if inputs.cached.boundary != parts.boundary:
        raise InputError(
            f"the features of {name} are more than may be kept: {inputs.cached.frozen_part}."
        )
    features = np.concatenate([inputs.feed.inputs[0][:], inputs.validation.inputs[:]])
    labels = np.concatenate([train.labels, validation.labels])
    return features.reshape(len(features), -1).astype(np.float32), labels


def _right(features: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Which images a linear classifier gets right that has been fitted on the other folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    least = int(np.bincount(labels)[np.unique(labels)].min())
    if least < FOLDS:
        raise InputError(
            f"one of the classes has {least} images to train and validate by; to probe takes "
            f"{FOLDS} of each."
        )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=500))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings(action="ignore"):  # after 500 iterations it is good enough
        return cross_val_predict(classifier, features, labels, cv=folds) == labels


def _milliseconds(forward: Forward, images: Any, batch_size: int) -> float:
    """Milliseconds an image, the median of some calls after one that compiles."""
    batch = np.resize(images[:batch_size], (batch_size, *images.shape[1:]))
    forward(batch, batch_size)
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) < TIMED_SECONDS:
        start = time.perf_counter()
        forward(batch, batch_size)
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds)) / batch_size


def _record(experiment: Experiment, networks: list[Probed], observer: Observer) -> Probe:
    """Writes the probe into a run of its own, under which others can stand."""
    title = f"probe of {len(networks)} networks"
    with Tracker(experiment.name, title, runs_folder()) as tracker:
        run_id, folder = tracker.open()
        done = Probe(
            run_id=run_id,
            name=experiment.name,
            device=device_name(),
            networks=sorted(networks, key=lambda network: -network.accuracy),
            artifacts=str(folder),
        )
        (folder / "probe.json").write_text(json.dumps(done.to_json(), indent=2))
        tracker.artifact(folder / "probe.json")
        with optional("the plot of the probe", observer):
            from kerascnn.results.canvas import save

            save(probe_figure(done.networks), folder / "probe.png", observer.warned)
            tracker.artifact(folder / "probe.png")
        tracker.metrics({"probed_networks": len(networks)}, step=0)
    return done


@contained()
def promote(
    experiment: Experiment,
    probed: Probe,
    count: int,
    observer: Observer | None = None,
    registry: Registry | None = None,
) -> list[Result]:
    """Runs the most promising networks in full, under the run of the probe, the best one last.

    Args:
        experiment: The one that was probed for.
        probed: What `probe_architectures` returned.
        count: How many, at least 1.
        observer: Receives progress events; default what the terminal shows, on standard error;
            `Observer()` shows nothing.
        registry: The components; default all that are installed.

    Returns:
        The results, in the order of the probe.

    Raises:
        InputError: The stages name layers that a network has not.
        RunError: A run failed.
    """
    check_experiment(experiment)
    expect_count(count, "count")
    registry = registry or load_registry()
    chosen = [network.architecture for network in probed.networks[:count]]
    experiments = [with_architecture(experiment, name, registry) for name in chosen]
    results = [
        run_experiment(chosen, observer, registry, parent=probed.run_id)
        for chosen in reversed(experiments)  # so that "last" is the most promising
    ]
    return results[::-1]


class _Once(Observer):
    """Hears the same of each network, and passes it on once."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._said: set[str] = set()

    def _first(self, said: str) -> bool:
        first = said not in self._said
        self._said.add(said)
        return first

    def started(self, name: str, backend: str, device: str) -> None:
        if self._first("started"):
            self._observer.started(name, backend, device)

    def download(self, name: str, done: int, total: int | None) -> None:
        self._observer.download(name, done, total)

    def progress(self, what: str, done: int, total: int) -> None:
        self._observer.progress(what, done, total)

    def data_noted(self, notes: Sequence[str], state: str) -> None:
        if self._first(state):
            self._observer.data_noted(notes, state)

    def warned(self, message: str) -> None:
        if self._first(message):
            self._observer.warned(message)
