"""A component as a plugin registers it, and bound to parameters, ready to build."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kerascnn.components.entry_points import Origin, no_backend_imported
from kerascnn.components.kinds import KINDS
from kerascnn.errors import InputError, KerascnnError, PluginError, SourceError
from kerascnn.hookspecs import Component, Weights
from kerascnn.runtime.commands import command
from kerascnn.runtime.source_code import UnknownCodeError, code_key
from kerascnn.runtime.tracebacks import described

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], table: dict[str, Any]) -> Model:
    """Validates a TOML table strictly: "5" is not a number, true is not 1.

    Validates JSON, because pydantic's strict mode then still accepts an array for a tuple and a
    string for a path.
    """
    return model.model_validate_json(json.dumps(table, default=str), strict=True)


_LARGE_BYTES = 2**28

_INSTALL = (
    "Install the package that has the module {}; a plugin lists what it imports under "
    '"dependencies" in its pyproject.toml.'
)


@dataclass(frozen=True)
class RegisteredComponent:
    """A component, its kind and where it comes from."""

    component: Component
    kind: str
    origin: Origin
    module: str = ""  # that the entry point names

    def __str__(self) -> str:
        return f'{self.kind} "{self.component.name}" of {self.origin}'

    def bind(self, params: dict[str, Any]) -> "BoundComponent":
        """Validates the component's parameters; raises pydantic's ValidationError."""
        try:
            return BoundComponent(self, validated(self.component.params, params))
        except (ValidationError, InputError):
            raise
        except Exception as error:
            raise self.fault("while its parameters were validated", error) from error

    def weights(self, image_size: int) -> Weights | None:
        """The pretrained weights that it loads by default, if it is an architecture with such."""
        try:
            return self.bind({}).weights(image_size)
        except ValidationError:  # a parameter is required
            return None

    def fault(self, when: str, error: BaseException) -> PluginError:
        """The error that names the package whose code failed, and where in it."""
        lacking = error.name if isinstance(error, ModuleNotFoundError) else None
        top = (lacking or "").partition(".")[0]
        advice = f". {_INSTALL.format(top)}" if top not in ("", self.package) else ""
        return PluginError(f"{self} failed {when}: {described(error, self.package)}{advice}")

    @contextmanager
    def blamed(self, when: str) -> Iterator[None]:
        """Names the package, file and line of an error that its code raises in the context."""
        try:
            yield
        except SourceError as error:
            raise self.named(error) from error
        except (KerascnnError, MemoryError):
            raise
        except Exception as error:
            raise self.fault(when, error) from error

    def guarded(self, function: Callable[..., Any], when: str) -> Callable[..., Any]:
        """A function that the component made, with its errors named."""

        @wraps(function)
        def guard(*arguments: Any) -> Any:
            with self.blamed(when):
                return function(*arguments)

        return guard

    def named(self, error: SourceError) -> PluginError:
        """The error of a dataset's source, with the dataset."""
        return PluginError(f"{self}: {error} {self.examines}")

    @property
    def examines(self) -> str:
        """The command that finds the fault of a component that failed."""
        examine = command("plugins", "check", self.component.name, "--kind", self.kind)
        return f"`{examine}` examines it."

    @property
    def package(self) -> str:
        """The top-level package of the component's module."""
        return self.module.partition(".")[0]


def _plain(value: Any) -> str:
    """A parameter as text: that of a file with its content, that of a set in order."""
    if isinstance(value, BaseModel | dict):
        return str([(str(name), _plain(part)) for name, part in dict(value).items()])
    if isinstance(value, set | frozenset):
        return str(sorted(map(_plain, value)))
    if isinstance(value, list | tuple):
        return str(list(map(_plain, value)))
    if isinstance(value, Path) and value.is_file():
        return f"{value} {_state(value)}"
    return repr(value)


def _state(file: Path) -> str:
    """The SHA-256 of a file's content; of a large one, such as an archive of images, its times."""
    status = file.stat()
    if status.st_size > _LARGE_BYTES:
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _named_weights(params: BaseModel) -> Weights | None:
    """The weights that the parameter `weights` names."""
    named = str(getattr(params, "weights", "none"))
    return Weights(named, at_hand=Path(named).is_file()) if named != "none" else None


@dataclass(frozen=True)
class BoundComponent:
    """A component with its validated parameters, ready to build."""

    registered: RegisteredComponent
    params: BaseModel

    @property
    def name(self) -> str:
        return self.registered.component.name

    @property
    def kind(self) -> str:
        return self.registered.kind

    @cached_property
    def key(self) -> str:
        """SHA-256 of all that decides what is built; "" where the code cannot be read."""
        registered = self.registered
        defined = registered.component.build, registered.component.params
        modules = [registered.module] if registered.module else []
        try:
            code = code_key(defined, modules, [registered.origin.distribution])
        except UnknownCodeError:
            return ""
        decides = f"{registered.kind} {self.name} {registered.origin} {_plain(self.params)} {code}"
        return hashlib.sha256(decides.encode()).hexdigest()

    def key_without(self, params: Sequence[str]) -> str:
        """The `key` if these parameters had their default values."""
        if not params:
            return self.key
        fields = type(self.params).model_fields
        if unknown := [name for name in params if name not in fields]:
            raise PluginError(
                f"{self.registered}: Mixing(params=...) names {unknown[0]!r}, which is none of its "
                f"parameters; they are {', '.join(fields)}."
            )
        defaults = {name: fields[name].get_default(call_default_factory=True) for name in params}
        return replace(self, params=self.params.model_copy(update=defaults)).key

    def faults(self, **context: Any) -> dict[str, str]:
        """The faults that the component's `check` reports, by key."""
        component = self.registered.component
        with self.registered.blamed("in its check"):
            found = component.check(self.params, **context) if component.check else {}
            return {key: fault.rstrip(".") for key, fault in dict(found).items()}

    def weights(self, image_size: int) -> Weights | None:
        """The pretrained weights that it would load, if it is an architecture with such.

        Raises:
            PluginError: Its `weights` fails, imports Keras, or returns another type.
        """
        describe = self.registered.component.weights
        if describe is None:
            return _named_weights(self.params) if self.kind == "architecture" else None
        with self.registered.blamed("in its weights"), no_backend_imported():
            found = describe(self.params, image_size=image_size)
        if not isinstance(found, Weights | None):
            raise PluginError(
                f"{self.registered}: weights must return kerascnn.Weights or None, "
                f"not {type(found).__name__}."
            )
        return found

    def build(self, **context: Any) -> Any:
        """Builds the component; raises PluginError where its code fails or returns another type."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in context.items())
        with self.registered.blamed(f"in build(params, {arguments})"):
            made = self.registered.component.build(self.params, **context)
        kind = KINDS[self.registered.kind]
        if not isinstance(made, kind.types()):
            raise PluginError(
                f"{self.registered}: build must return {' or '.join(kind.returns)}, "
                f"not {type(made).__name__}."
            )
        return made
