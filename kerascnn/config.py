"""One TOML file to an `Experiment`: strict, complete and without a heavy import."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from kerascnn.config_errors import Problem, as_toml, explain, report
from kerascnn.errors import InputError, did_you_mean
from kerascnn.plugins import Bound, Registry, load_registry, validated

_ADAM = ("beta_1", "beta_2", "epsilon")
OPTIMIZERS: dict[str, tuple[str, ...]] = {  # of Keras, with their own arguments
    "adadelta": ("rho", "epsilon"),
    "adafactor": ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step"),
    "adagrad": ("initial_accumulator_value", "epsilon"),
    "adam": (*_ADAM, "amsgrad"),
    "adamax": _ADAM,
    "adamw": (*_ADAM, "amsgrad"),
    "ftrl": (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    ),
    "lamb": _ADAM,
    "lion": ("beta_1", "beta_2"),
    "muon": (
        "adam_beta_1",
        "adam_beta_2",
        "adam_weight_decay",
        "epsilon",
        "exclude_layers",
        "exclude_embeddings",
        "muon_a",
        "muon_b",
        "muon_c",
        "adam_lr_ratio",
        "momentum",
        "ns_steps",
        "nesterov",
        "rms_rate",
    ),
    "nadam": _ADAM,
    "rmsprop": ("rho", "momentum", "epsilon", "centered"),
    "schedule_free_adamw": (*_ADAM, "warmup_steps"),
    "sgd": ("momentum", "nesterov"),
}
OF_ALL_OPTIMIZERS = ("clipnorm", "clipvalue", "loss_scale_factor", "gradient_accumulation_steps")


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Choice(BaseModel):
    """A component by name; the other keys are its own parameters."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if not isinstance(value, str | dict):
            raise ValueError('expected a name in quotes, or a table with a "name"')
        return {"name": value} if isinstance(value, str) else value

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Dataset(Choice):
    """A dataset."""


class Augmentation(Choice):
    """An augmentation."""


class Architecture(Choice):
    """An architecture."""


class Schedule(Choice):
    """A schedule of the learning rate."""


class Optimizer(Choice):
    """A Keras optimizer by its snake_case name; the other keys are its own arguments."""

    name: Literal[tuple(OPTIMIZERS)] = "adam"  # type: ignore[valid-type]


class EarlyStopping(Strict):
    """Ends a stage when the validation images have not improved for a while."""

    monitor: Literal["val_accuracy", "val_loss"] = "val_loss"
    patience: int = Field(3, ge=1, description="epochs without improvement")


def _on_or_off(value: Any) -> Any:
    if isinstance(value, bool):
        return None if value else {"name": "none"}
    return value


def _unfreeze(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
        return tuple(value)
    if value in ("head", "all", "auto"):
        return value
    if isinstance(value, str) and re.fullmatch("last:[1-9][0-9]*", value):
        return value
    raise ValueError(
        'expected "head", "last:N" with N at least 1, "all", "auto" or a list of patterns of '
        'block or layer names such as ["conv5*"]'
    )


def _class_weights(value: Any) -> Any:
    if value == "balanced" or value is None:
        return value
    if isinstance(value, dict) and all(_positive(weight) for weight in value.values()):
        return value
    raise ValueError('expected "balanced" or a table of class names and positive weights')


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


class Training(Strict):
    """What all stages share."""

    image_size: int = Field(default=160, ge=8, le=2048, description="pixels, height and width")
    resize: Literal["crop", "pad", "stretch"] = Field(
        default="crop", description="how a picture becomes square"
    )
    crop_margin: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of image_size by which pictures are packed larger; augmented training "
        "takes a random window of image_size, everything else the middle one",
    )
    batch_size: int = Field(
        default=32, ge=1, description="pictures a step, where a stage says nothing"
    )
    backend: Literal["auto", "tensorflow", "jax", "torch"] = "auto"
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    prefix_precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = Field(
        default=None,
        description="of the frozen part where it runs before the first step; default `precision`",
    )
    activations_gb: float | None = Field(
        default=None,
        ge=0,
        description="what a stage's activations may take; beyond it they are kept of an earlier "
        "layer, or of none (0: never); default a quarter of what the cache may hold",
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="the weights that a stage hands on and that the run evaluates"
    )
    checkpoint_seconds: float = Field(
        default=300.0,
        ge=0,
        description="from one checkpoint to the next while a stage trains; at the end of an epoch "
        "there is one earlier if it costs less than 2% of the time since; 0: after every step",
    )
    on_bad_image: Literal["error", "skip"] = Field(
        default="error", description="what becomes of pictures that cannot be read; all are named"
    )
    on_duplicate: Literal["error", "skip", "allow"] = Field(
        default="error",
        description="what becomes of a picture that stands in two splits, and so flatters the "
        'accuracy: "skip" keeps only the one that judges',
    )
    stream_above_gb: float | None = Field(
        default=None,
        gt=0,
        description="a split that takes more than this when packed is not stored but decoded for "
        "each batch anew; default: what the cache may hold, half of the disk that is free for it",
    )


class Stage(Strict):
    """A span of training with a fixed set of trainable layers."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    unfreeze: Annotated[
        str | tuple[str, ...],
        BeforeValidator(_unfreeze),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "pattern": "^(head|all|auto|last:[1-9][0-9]*)$"},
                    {"type": "array", "items": {"type": "string"}, "minItems": 1},
                ]
            }
        ),
    ] = Field("head", description="the trainable layers; the head always is")
    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0, description="peak learning rate of the head")
    schedule: Schedule = Schedule(name="constant")
    optimizer: Optimizer = Optimizer()
    batch_size: int | None = Field(None, ge=1)
    augmentation: Annotated[
        Augmentation | None,
        BeforeValidator(_on_or_off, json_schema_input_type=bool | Augmentation),
    ] = Field(None, description="true: the experiment's own; false: none; or another one")
    views: int | None = Field(
        None,
        ge=1,
        description="augmented copies of each picture, drawn once and used in turn, so that what "
        "is frozen is computed once for each; default: augmented anew with every step",
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="factor of the learning rate, block by block from the head"
    )
    weight_decay: float | None = Field(
        None, ge=0, description="not on biases and BatchNorm; default the optimizer's own"
    )
    ema_fraction: float | None = Field(
        None,
        gt=0,
        le=1,
        description="the stage is judged by, and hands on, an exponential moving average of its "
        "weights, which forgets within this fraction of the stage's steps",
    )
    clip_norm: float | None = Field(None, gt=0, description="greatest norm of all gradients")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Annotated[
        Literal["balanced"] | dict[str, float] | None,
        BeforeValidator(_class_weights),
    ] = None
    batchnorm: Literal["frozen", "train"] | None = Field(
        None, description='default "frozen" on pretrained weights, "train" from scratch'
    )
    early_stopping: EarlyStopping | None = None


class Experiment(Strict):
    """Everything that decides the result."""

    name: str = Field(pattern=r"^[A-Za-z0-9_. -]+$")
    seed: int = Field(0, ge=0, lt=2**32)
    dataset: Dataset
    augmentation: Augmentation = Augmentation(name="none")
    architecture: Architecture
    training: Training = Training()
    stages: tuple[Stage, ...] = Field(min_length=1)

    def augmentation_of(self, stage: Stage) -> Augmentation:
        """The augmentation that the stage trains with: its own, or the experiment's."""
        return stage.augmentation or self.augmentation

    def batch_size_of(self, stage: Stage) -> int:
        return stage.batch_size or self.training.batch_size


def bind(choice: Choice, kind: str, registry: Registry) -> Bound:
    """The component that a choice names, with its parameters."""
    return registry.get(kind, choice.name).bind(choice.params)


def load_experiment(
    path: str | Path,
    overrides: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Experiment:
    """Reads and checks an experiment.

    Args:
        path: A TOML file.
        overrides: Dotted keys and their values, such as `{"stages.0.epochs": 1}`.
        registry: The components; default all that are installed.

    Raises:
        InputError: One message with every fault: line, key, what was expected, what came.
    """
    try:
        text, data = _read(Path(path))
        for key, value in (overrides or {}).items():
            _override(data, key, value)
        return parse_experiment(data, registry or load_registry(), text, str(path), overrides or {})
    except RecursionError as error:
        raise InputError(f"{path}: it nests too deeply for an experiment.") from error


def parse_experiment(
    data: dict[str, Any],
    registry: Registry,
    text: str | None = None,
    origin: str = "",
    overrides: Mapping[str, Any] | None = None,
) -> Experiment:
    """Checks the contents of an experiment; `text` and `origin` serve the messages."""
    data = json.loads(json.dumps(data, default=str))  # a date is as good as its text
    problems: list[Problem] = []
    try:
        experiment = validated(Experiment, data)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":  # beyond 200 levels
            raise RecursionError from error
        problems += explain(error, Experiment, data)
    for kind, location, table in _choices(data):
        problems += _component_problems(kind, location, table, registry)
    problems += [*_stage_name_problems(data), *_optimizer_problems(data)]
    if problems:
        raise InputError(report(problems, text, origin, overrides or {}))
    return experiment


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text("utf-8-sig")
        return text, tomllib.loads(text)
    except OSError as error:
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*.toml")])
        raise InputError(f"{path}: cannot be read: {error.strerror}.{near}") from error
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise InputError(f"{path}, line {line}: not UTF-8 text; save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).rstrip(")").partition(" (at ")
        raise InputError(f"{path}, {place}: not valid TOML: {message}.") from error


def _override(data: dict[str, Any], dotted: str, value: Any) -> None:
    parts = dotted.split(".")
    here: Any = data
    for depth, part in enumerate(parts[:-1]):
        if isinstance(here, dict):
            here.setdefault(part, {})
        here = here[_key(here, dotted, depth)]
    here[_key(here, dotted, len(parts) - 1)] = value


def _key(here: Any, dotted: str, depth: int) -> str | int:
    """The part of the dotted key at that depth, as the key or the index that fits the place."""
    parts = dotted.split(".")
    part, place = parts[depth], ".".join(parts[:depth])
    if isinstance(here, dict):
        return part
    if not isinstance(here, list):
        raise InputError(f"--set {dotted}: {place} = {as_toml(here)} is no table.")
    if not (part.isdecimal() and int(part) < len(here)):
        raise InputError(f"--set {dotted}: {place} has {len(here)} entries, counted from 0.")
    return int(part)


def _choices(data: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Every table that names a component: its kind, its place, itself."""
    for kind in ("dataset", "augmentation", "architecture"):
        if kind in data:
            yield kind, (kind,), data[kind]
    stages = data.get("stages")
    for index, stage in enumerate(stages if isinstance(stages, list) else []):
        for kind in ("schedule", "augmentation"):
            if isinstance(stage, dict) and not isinstance(stage.get(kind, False), bool):
                yield kind, ("stages", index, kind), stage[kind]


def _component_problems(
    kind: str, location: tuple[Any, ...], table: Any, registry: Registry
) -> list[Problem]:
    if isinstance(table, str):
        table, named_at = {"name": table}, location
    else:
        named_at = (*location, "name")
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        return []  # the model has said so
    params = {key: value for key, value in table.items() if key != "name"}
    try:
        registered = registry.get(kind, table["name"])
    except InputError as error:
        return [Problem(named_at, str(error).rstrip("."), table["name"])]
    try:
        registered.bind(params)
    except ValidationError as error:
        return explain(error, registered.component.params, params, location)
    except InputError as error:
        return [Problem(location, str(error).rstrip("."))]
    return []


def _stage_name_problems(data: dict[str, Any]) -> list[Problem]:
    stages = data.get("stages")
    names = [
        stage.get("name") if isinstance(stage, dict) else None
        for stage in (stages if isinstance(stages, list) else [])
    ]
    return [
        Problem(("stages", index, "name"), "another stage has this name already", name)
        for index, name in enumerate(names)
        if name is not None and name in names[:index]
    ]


def _optimizer_problems(data: dict[str, Any]) -> Iterator[Problem]:
    """Arguments that an optimizer does not take: Keras, which knows them, is not yet imported."""
    stages = data.get("stages")
    for index, stage in enumerate(stages if isinstance(stages, list) else []):
        table = stage.get("optimizer") if isinstance(stage, dict) else None
        name = table.get("name", "adam") if isinstance(table, dict) else None
        if not isinstance(table, dict) or not isinstance(name, str) or name not in OPTIMIZERS:
            continue
        known = (*OPTIMIZERS[name], *OF_ALL_OPTIMIZERS)
        for key, value in table.items():
            place = ("stages", index, "optimizer", key)
            if key not in ("name", *known):
                hint = f"{did_you_mean(key, known)} Known keys: name, {', '.join(known)}."
                yield Problem(place, "there is no such key", value, hint)
            elif key not in ("name", "exclude_layers") and not isinstance(value, int | float):
                yield Problem(place, "expected a number, or true or false", value)


def resolve(experiment: Experiment, registry: Registry) -> dict[str, Any]:
    """The experiment with every default written out, components' own included; no None."""
    data = experiment.model_dump(mode="json", exclude_none=True)
    for kind, location, table in list(_choices(data)):
        place: Any = data
        for part in location:
            place = place[part]
        bound = bind(Choice(**table), kind, registry)
        place.update(bound.params.model_dump(mode="json", by_alias=True, exclude_none=True))
    return data


def flatten(data: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables and lists of tables to dotted keys."""
    if isinstance(data, list | tuple) and any(isinstance(entry, dict) for entry in data):
        data = {str(index): entry for index, entry in enumerate(data)}
    if not isinstance(data, dict):
        return {prefix: data}
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= flatten(value, f"{prefix}.{key}" if prefix else key)
    return flat
