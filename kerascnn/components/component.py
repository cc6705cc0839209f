"""A component as a plugin registers it, and bound to parameters, ready to build."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kerascnn.components.entry_points import Origin
from kerascnn.components.kinds import KINDS
from kerascnn.errors import InputError, PluginError
from kerascnn.hookspecs import Component
from kerascnn.runtime.source_code import UnknownCodeError, code_key

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], table: dict[str, Any]) -> Model:
    """Validates a TOML table strictly: "5" is not a number, true is not 1.

    Validates JSON, because pydantic's strict mode then still accepts an array for a tuple and a
    string for a path.
    """
    return model.model_validate_json(json.dumps(table, default=str), strict=True)


@dataclass(frozen=True)
class RegisteredComponent:
    """A component, its kind and where it comes from."""

    component: Component
    kind: str
    origin: Origin

    def bind(self, params: dict[str, Any]) -> "BoundComponent":
        """Validates the component's parameters; raises pydantic's ValidationError."""
        try:
            return BoundComponent(self, validated(self.component.params, params))
        except (ValidationError, InputError):
            raise
        except Exception as error:
            raise self.fault("while its parameters were validated", error) from error

    def fault(self, when: str, error: Exception) -> PluginError:
        """The error that names the package whose code failed."""
        return PluginError(
            f'{self.kind} "{self.component.name}" of {self.origin} failed {when}: '
            f"{type(error).__name__}: {error}"
        )


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

    @property
    def key(self) -> str:
        """SHA-256 of all that decides what is built; "" where the code cannot be read."""
        registered = self.registered
        try:
            code = code_key([registered.component.build])
        except UnknownCodeError:
            return ""
        decides = f"{registered.kind} {self.name} {registered.origin} {self.params!r} {code}"
        return hashlib.sha256(decides.encode()).hexdigest()

    def faults(self, **context: Any) -> dict[str, str]:
        """The faults that the component's `check` reports, by key."""
        component = self.registered.component
        try:
            return dict(component.check(self.params, **context)) if component.check else {}
        except Exception as error:
            raise self.registered.fault("in its check", error) from error

    def build(self, **context: Any) -> Any:
        """Builds the component; raises PluginError where its code fails or returns another type."""
        try:
            made = self.registered.component.build(self.params, **context)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            arguments = ", ".join(f"{name}={value!r}" for name, value in context.items())
            raise self.registered.fault(f"in build(params, {arguments})", error) from error
        kind = KINDS[self.registered.kind]
        if not isinstance(made, kind.types()):
            raise PluginError(
                f'{kind.name} "{self.name}" of {self.registered.origin}: build must return '
                f"{' or '.join(kind.returns)}, not {type(made).__name__}."
            )
        return made
