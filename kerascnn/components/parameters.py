"""A component's parameters, described: types, ranges, defaults, and TOML or a command to paste."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema

from kerascnn.components.component import RegisteredComponent
from kerascnn.components.kinds import KINDS
from kerascnn.runtime.commands import command
from kerascnn.runtime.toml import as_toml

Schema = dict[str, Any]

_TYPES = {"": "any value", "boolean": "true or false", "object": "table"}
_RANGES = {  # JSON Schema's keywords
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "{} or more characters",
    "maxLength": "{} or fewer characters",
    "pattern": "matches {}",
    "minItems": "{} or more entries",
    "maxItems": "{} or fewer entries",
}


@dataclass(frozen=True)
class Parameter:
    """A key of a component's table.

    Args:
        default: None if there is none.
        example: The value in the snippet: the default, or a placeholder if it is required; None
            if the default is None, which TOML cannot express.
    """

    name: str
    type: str
    range: str
    default: Any
    required: bool
    description: str
    example: Any


def parameters(registered: RegisteredComponent) -> list[Parameter]:
    """The component's parameters, in the order of its model."""
    try:
        return parameters_of(registered.component.params)
    except PydanticInvalidForJsonSchema as error:
        raise registered.fault("while its parameters were described", error) from error


def parameters_of(model: type[BaseModel]) -> list[Parameter]:
    schema = model.model_json_schema(schema_generator=_Quiet)
    definitions = schema.get("$defs", {})
    required = schema.get("required", [])
    return [
        _parameter(name, _resolved(of_one, definitions), name in required)
        for name, of_one in schema.get("properties", {}).items()
    ]


def snippet(registered: RegisteredComponent) -> str:
    """What to paste: the TOML that chooses the component, with every parameter written out.

    For a component that no experiment names it is a command, with its required parameters.
    """
    kind, name = KINDS[registered.kind], registered.component.name
    given = {one.name: one for one in parameters(registered) if one.example is not None}
    required = [key for key, one in given.items() if one.required]
    note = f"# fill in: {', '.join(required)}\n" if required else ""
    values = {key: as_toml(one.example) for key, one in given.items()}
    if not kind.in_toml:
        settings = [part for key in required for part in (kind.option, f"{key}={values[key]}")]
        return note + command(*kind.command, name, *settings)
    pairs = [f"{key} = {value}" for key, value in {"name": as_toml(name), **values}.items()]
    if kind.listed:
        return note + "\n".join([f"[[{kind.plural}]]", *pairs])
    if kind.of_experiment:
        return note + "\n".join([f"[{kind.name}]", *pairs])
    return f"{note}[[stages]]\n{kind.name} = {{ {', '.join(pairs)} }}"


class _Quiet(GenerateJsonSchema):
    """Silently leaves out defaults that JSON cannot express."""

    ignored_warning_kinds = {"non-serializable-default", "skipped-choice"}  # noqa: RUF012


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """The schema with its references replaced by what they refer to."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].removeprefix("#/$defs/")]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    schema = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = _resolved(schema[key], definitions)
    for key in ("anyOf", "prefixItems"):
        if key in schema:
            schema[key] = [_resolved(branch, definitions) for branch in schema[key]]
    return schema


def _parameter(name: str, schema: Schema, required: bool) -> Parameter:
    default, description = schema.get("default"), schema.get("description", "")
    example = _placeholder(name, schema) if required else default
    return Parameter(name, _type(schema), _range(schema), default, required, description, example)


def _branches(schema: Schema) -> list[Schema]:
    """The alternatives of a type, without null, which TOML does not have."""
    branches = schema.get("anyOf", [schema])
    return [branch for branch in branches if branch.get("type") != "null"]


def _type(schema: Schema) -> str:
    return " or ".join(dict.fromkeys(map(_type_of_one, _branches(schema))))


def _type_of_one(schema: Schema) -> str:
    if "enum" in schema or "const" in schema:
        return " or ".join(map(as_toml, schema.get("enum", [schema.get("const")])))
    if schema.get("format") == "path":
        return "path"
    kind = str(schema.get("type", ""))
    name = _TYPES.get(kind, kind)
    of_items = _type(schema["items"]) if "items" in schema else ""
    plural = "s" if of_items.isalpha() else ""  # not of "a" or "b"
    return f"{name} of {of_items}{plural}" if of_items else name


def _range(schema: Schema) -> str:
    said = []
    for branch in _branches(schema):
        exact = branch.get("minItems", 0) if "maxItems" in branch else 0
        if exact and exact == branch["maxItems"]:
            said.append(f"{exact} entries")
        else:
            said += [text.format(branch[key]) for key, text in _RANGES.items() if key in branch]
        if each := _range(branch["items"]) if "items" in branch else "":
            said.append(f"each {each}")
    return ", ".join(dict.fromkeys(said))


def _placeholder(name: str, schema: Schema) -> Any:
    """A value of the right type, recognisable as a placeholder where possible."""
    if "examples" in schema:
        return schema["examples"][0]
    schema = _branches(schema)[0]
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    if schema.get("type") in ("integer", "number"):
        return _number(schema)
    if schema.get("type") == "array":
        return [_placeholder(name, schema.get("items", {}))] * schema.get("minItems", 1)
    if schema.get("type") == "object":
        required = schema.get("required", [])
        return {key: _placeholder(key, schema["properties"][key]) for key in required}
    return False if schema.get("type") == "boolean" else f"<{name}>"


def _number(schema: Schema) -> float:
    """The minimum of the range, else its maximum, else a number within its open bounds."""
    for bound in ("minimum", "maximum"):
        if bound in schema:
            return schema[bound]
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is None or high is None:
        return low + 1 if low is not None else high - 1 if high is not None else 0
    return low + 1 if schema["type"] == "integer" else (low + high) / 2
