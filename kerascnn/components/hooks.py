"""Collects a plugin's components from its hooks, and checks them against `hookspecs`."""

import inspect
import re
from collections import Counter
from typing import Any

import pluggy

from kerascnn import hookspecs
from kerascnn.components.kinds import HOOKS, KINDS, Kind
from kerascnn.errors import PluginError, did_you_mean
from kerascnn.hookspecs import Component, Params
from kerascnn.runtime.tracebacks import described


def components_of(plugin: object, name: str) -> list[tuple[str, Component]]:
    """The components that a plugin registers, each with its kind.

    Raises:
        PluginError: It implements no hook, or breaks the contract of one.
    """
    manager = pluggy.PluginManager("kerascnn")
    manager.add_hookspecs(hookspecs)
    _refuse_unmarked(plugin)
    try:
        manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(_validation_message(error)) from error
    if not manager.get_hookcallers(plugin):
        raise PluginError(f"{name} implements no hook. {_hooks()}")
    found = []
    for kind in KINDS.values():
        for implementation in getattr(manager.hook, kind.hook).get_hookimpls():
            found += [(kind.name, _checked(one, kind)) for one in _listed(implementation)]
    counts = Counter((kind, component.name) for kind, component in found)
    for (kind_name, component), count in counts.items():
        if count > 1:
            raise PluginError(f'registers the {kind_name} "{component}" {count} times')
    return found


def _refuse_unmarked(plugin: object) -> None:
    """Pluggy would silently ignore a function without `@hookimpl`."""
    for name, function in inspect.getmembers(plugin, inspect.isroutine):
        if name.startswith("kerascnn_") and not hasattr(function, "kerascnn_impl"):
            known = name in HOOKS
            raise PluginError(f"{name} lacks @kerascnn.hookimpl" if known else _no_hook(name))


def _no_hook(name: str) -> str:
    return f"unknown hook {name}.{did_you_mean(name, HOOKS)} {_hooks()}"


def _hooks() -> str:
    return f"Hooks: {', '.join(HOOKS)}."


def _validation_message(error: pluggy.PluginValidationError) -> str:
    text = " ".join(str(error).split())
    if unknown := re.search(r"unknown hook '(\w+)'", text):
        return _no_hook(unknown[1])
    if definition := re.search(r"definition: (.*?\)) Argument", text):
        return f"{definition[1]} must take no arguments"
    return text


def _listed(implementation: pluggy.HookImpl) -> list[Any]:
    """What the hook returns; called directly, because pluggy drops a None that it returns."""
    name = implementation.function.__name__
    try:
        listed = implementation.function()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{name}() raised {described(error)}") from error
    if not isinstance(listed, list | tuple):
        made = type(listed).__name__
        raise PluginError(f"{name}() must return a list of Component, not {made}")
    return list(listed)


def _checked(component: Any, kind: Kind) -> Component:
    hook = kind.hook
    if not isinstance(component, Component):
        raise PluginError(f"{hook}() must return Component objects, not {type(component).__name__}")
    name, params = component.name, component.params
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise PluginError(
            f"{hook}(): invalid component name {name!r}; use lowercase letters, digits and _, "
            "beginning with a letter"
        )
    if not callable(component.build):
        raise PluginError(f'{hook}(): build of "{name}" is not callable')
    if component.check is not None and not callable(component.check):
        raise PluginError(f'{hook}(): check of "{name}" is not callable')
    if not (isinstance(params, type) and issubclass(params, Params)):
        raise PluginError(f'{hook}(): params of "{name}" must be a subclass of kerascnn.Params')
    if taken := set(kind.keys).intersection(params.model_fields):
        raise PluginError(f'{hook}(): params of "{name}" must not have a field "{min(taken)}"')
    return component
