"""The example in each hook's docstring is a whole plugin, and builds what its kind returns."""

import inspect
import textwrap
from types import ModuleType

import pytest

from kerascnn import hookspecs
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.components.hooks import components_of
from kerascnn.components.kinds import KINDS

ARGUMENTS = {
    "seed": 0,
    "image_size": 32,
    "num_classes": 2,
    "peak_learning_rate": 0.1,
    "steps": 20,
    "steps_per_epoch": 5,
    "class_counts": (9, 1),
    "class_names": ("dark", "bright"),
    "processes": 2,
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_example_of_a_hook_is_a_plugin(kind):
    _, _, example = inspect.getdoc(getattr(hookspecs, kind.hook)).partition("Example:\n")
    plugin = ModuleType("example")
    exec(textwrap.dedent(example), vars(plugin))
    [(found, component)] = components_of(plugin, "example")
    assert found == kind.name
    registered = RegisteredComponent(component, found, Origin("example", "example", "1"))
    assert registered.bind({}).build(**{name: ARGUMENTS[name] for name in kind.arguments})
