"""An experiment with its components found and their parameters validated, once."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from pydantic import ValidationError

from kerascnn.components.component import BoundComponent, validated
from kerascnn.components.kinds import KINDS
from kerascnn.components.registry import Registry, load_registry
from kerascnn.errors import InputError
from kerascnn.experiment.choices import CHOICES
from kerascnn.experiment.metrics import metric_problems, named
from kerascnn.experiment.model import Experiment, Stage
from kerascnn.experiment.optimizers import optimizer_problems
from kerascnn.experiment.problems import Problem, explain, report
from kerascnn.experiment.syntax import escaped_paths
from kerascnn.experiment.tables import Location, component_tables, override, stage_tables, table_at
from kerascnn.experiment.training import Training, TrainOn
from kerascnn.experiment.update import HEAD_ONLY
from kerascnn.runtime.arguments import expect


@dataclass(frozen=True)
class BoundStage:
    settings: Stage  # its table of the TOML
    schedule: BoundComponent
    augmentation: BoundComponent  # its own, or the experiment's
    loss: BoundComponent
    batch_size: int  # its own, or that of `training`
    train_on: TrainOn  # likewise

    @property
    def name(self) -> str:
        return self.settings.name


@dataclass(frozen=True)
class BoundExperiment:
    """An experiment with its components, ready to prepare and run."""

    settings: Experiment  # what the TOML says
    registry: Registry = field(repr=False, compare=False)
    at: Mapping[Location, BoundComponent] = field(repr=False)  # by a table's location

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def seed(self) -> int:
        return self.settings.seed

    @property
    def training(self) -> Training:
        return self.settings.training

    @property
    def dataset(self) -> BoundComponent:
        return self.at["dataset",]

    @property
    def architecture(self) -> BoundComponent:
        return self.at["architecture",]

    @property
    def metrics(self) -> dict[str, BoundComponent]:
        """The metrics besides accuracy and loss, by the names under which they are reported."""
        return named(one for one in self.at.values() if one.kind == "metric")

    @property
    def stages(self) -> tuple[BoundStage, ...]:
        shared = self.at["augmentation",]
        return tuple(
            BoundStage(
                self._shortened(stage),
                schedule=self.at["stages", index, "schedule"],
                augmentation=self.at.get(("stages", index, "augmentation"), shared),
                loss=self.at["stages", index, "loss"],
                batch_size=stage.batch_size or self.training.batch_size,
                train_on=stage.train_on or self.training.train_on,
            )
            for index, stage in enumerate(self.settings.stages)
        )

    def _shortened(self, stage: Stage) -> Stage:
        """A stage with the epochs that it has after a warm start."""
        update = self.settings.update
        if update is None or update.start == "anew" or stage.unfreeze == HEAD_ONLY:
            return stage
        return stage.model_copy(update={"epochs": update.epochs(stage.epochs)})

    @property
    def observers(self) -> tuple[BoundComponent, ...]:
        return tuple(self.at["observers", index] for index in range(len(self.settings.observers)))

    def components(self) -> list[BoundComponent]:
        """Every component that decides the result: dataset, architecture, of stages, metrics."""
        of_stages = [(stage.augmentation, stage.schedule, stage.loss) for stage in self.stages]
        of_all = [self.dataset, self.architecture]
        return [*of_all, *chain.from_iterable(of_stages), *self.metrics.values()]

    @property
    def resolved(self) -> dict[str, Any]:
        """The experiment with every default written out, components' own included; no None."""
        data = _plain(self.settings)
        for location, bound in self.at.items():
            params = bound.params.model_dump(mode="json", by_alias=True, exclude_none=True)
            table_at(data, location).update(params)
        return data

    @property
    def origins(self) -> dict[str, str]:
        """The package and version that each component comes from, by its kind and name."""
        every = [*self.components(), *self.observers]
        return {f"{one.kind} {one.name}": str(one.registered.origin) for one in every}

    @property
    def code_keys(self) -> dict[str, str]:
        """The key of each component's code and parameters, by what it is."""
        single = {kind for kind, one in KINDS.items() if not (one.of_stage or one.listed)}
        return {
            f"code of the {one.kind}{'' if one.kind in single else f' {one.name}'}": one.key
            for one in self.components()
        }

    def faults(self) -> Iterator[Problem]:
        """What the components' own checks find: a missing file, images that are too small."""
        data = _plain(self.settings)
        corrections = self.settings.dataset.corrections
        if corrections and not corrections.expanduser().is_file():
            yield Problem(("dataset", "corrections"), "no such file", str(corrections))
        for location, bound in self.at.items():
            for key, fault in bound.faults(image_size=self.training.image_size).items():
                default = getattr(bound.params, key, None)
                yield Problem((*location, key), fault, table_at(data, location).get(key, default))

    def with_overrides(self, overrides: Mapping[str, Any]) -> "BoundExperiment":
        """The experiment with other values.

        Args:
            overrides: Dotted keys and their values, as for `load_experiment`.

        Raises:
            InputError: A value is at fault.
        """
        data = _plain(self.settings)
        for key, value in overrides.items():
            override(data, key, value)
        return bind_experiment(data, self.registry)


def check_experiment(given: Any) -> None:
    """Raises InputError unless a public function was given an experiment."""
    expect(given, BoundExperiment, "experiment", ' `load_experiment("FILE.toml")` reads one.')


def bind_experiment(
    data: dict[str, Any],
    registry: Registry | None = None,
    text: str | None = None,
    origin: str = "",
    overrides: Mapping[str, Any] | None = None,
) -> BoundExperiment:
    """Checks the contents of an experiment and finds its components.

    Args:
        data: What the TOML holds, its paths relative to the working directory.
        registry: The components; default all that are installed.
        text: The file's text, in which messages give lines; default they give none.
        origin: The file's name, for messages.
        overrides: The keys of `data` that do not come from the file.

    Raises:
        InputError: One message with every fault.
    """
    registry = registry or load_registry()
    data = json.loads(json.dumps(data, default=str))  # dates become strings
    problems: list[Problem] = [*_no_stages(data, registry)]
    try:
        settings = validated(Experiment, data)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":  # beyond 200 levels
            raise RecursionError from error
        problems += explain(error, Experiment, data)
    for kind, location, table in component_tables(data):
        problems += _component_problems(kind, location, table, registry)
        problems += escaped_paths(table, text or "", location)
    problems += [*_stage_name_problems(data), *optimizer_problems(data)]
    if problems:
        raise InputError(report(problems, data, text, origin, overrides or {}))
    bound = {
        location: registry.get(kind, table["name"]).bind(CHOICES[kind](**table).params)
        for kind, location, table in component_tables(_plain(settings))
    }
    metrics = {location: one for location, one in bound.items() if one.kind == "metric"}
    if problems := list(metric_problems(data, metrics, registry)):
        raise InputError(report(problems, data, text, origin, overrides or {}))
    return BoundExperiment(settings, registry, bound)


def _no_stages(data: Any, registry: Registry) -> Iterator[Problem]:
    """The fault of an experiment that trains nothing, unless its network is trained already."""
    named = data.get("architecture")
    name = named.get("name") if isinstance(named, dict) else named
    claims = registry.claims.get(("architecture", name), []) if isinstance(name, str) else []
    if any(claim.component.trained for claim in claims):
        data.setdefault("stages", [])
    elif data.get("stages") == []:
        yield Problem(("stages",), "expected 1 or more entries", [])


def _plain(settings: Experiment) -> dict[str, Any]:
    """The experiment as its file would have it: without keys that are not set, and empty lists."""
    plain = settings.model_dump(mode="json", exclude_none=True)
    return {key: value for key, value in plain.items() if value != []}


def _component_problems(
    kind: str, location: tuple[Any, ...], table: Any, registry: Registry
) -> list[Problem]:
    if isinstance(table, str):
        table, named_at = {"name": table}, location
    else:
        named_at = (*location, "name")
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        return []  # the model reports it
    own = CHOICES[kind].own_keys()
    params = {key: value for key, value in table.items() if key not in ("name", *own)}
    try:
        registered = registry.get(kind, table["name"])
    except InputError as error:
        return [Problem(named_at, str(error).rstrip("."), table["name"])]
    try:
        registered.bind(params)
    except ValidationError as error:
        return explain(error, registered.component.params, params, location, own)
    except InputError as error:
        return [Problem(location, str(error).rstrip("."))]
    return []


def _stage_name_problems(data: dict[str, Any]) -> list[Problem]:
    names = [stage.get("name") for stage in stage_tables(data)]
    return [
        Problem(("stages", index, "name"), "another stage already has this name", name)
        for index, name in enumerate(names)
        if name is not None and name in names[:index]
    ]
