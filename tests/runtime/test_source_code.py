"""`code_key`: whatever a package's code may use counts; what cannot be read is told."""

import functools
import importlib
import sys

import pytest

from kerascnn.runtime.source_code import UnknownCodeError, code_key

FILES = {
    "trial/__init__.py": "",
    "trial/layers/__init__.py": "from trial.shared import SCALE\nclass Layer:\n    scale = SCALE\n",
    "trial/shared/__init__.py": "SCALE = 2\n",
    "base/__init__.py": "class Base: pass\n",
    "single.py": "from base import Base\nfrom helper import help\nclass Layer(Base): pass\n",
    "helper.py": "from further.code import help\n",
    "further/code.py": "def help(): return 1\n",
    "other.py": "",
}


@pytest.fixture
def packages(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def key_of(module):
    return code_key([importlib.import_module(module).Layer])


@pytest.mark.parametrize(
    ("module", "counting"),
    [
        (
            "trial.layers",
            {"trial/__init__.py", "trial/layers/__init__.py", "trial/shared/__init__.py"},
        ),
        ("single", {"single.py", "helper.py", "further/code.py", "base/__init__.py"}),
    ],
)
def test_the_package_the_base_classes_and_what_lies_beside_a_module_count(
    packages, module, counting
):
    first = key_of(module)
    assert key_of(module) == first
    changed = set()
    for name, text in FILES.items():
        (packages / name).write_text(text + "# changed\n")
        if key_of(module) != first:
            changed.add(name)
        (packages / name).write_text(text)
    assert changed == counting


def test_functions_count_with_their_package(packages):
    single = importlib.import_module("single")
    assert code_key([functools.partial(single.help)]) != code_key([single.Layer])


def test_the_versions_of_what_a_package_requires_count(packages, monkeypatch):
    requires = {
        "trial": "Version: 1.0\nRequires-Dist: needed>=2; extra == 'x'",
        "needed": "Version: 1",
    }
    for name, text in requires.items():
        folder = packages / f"{name}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n{text}\n")
        (folder / "top_level.txt").write_text(name)
    monkeypatch.setattr("kerascnn.runtime.source_code._owners", lambda: {"trial": ["trial"]})
    first = key_of("trial.layers")
    (packages / "needed-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: needed\nVersion: 2\n"
    )
    assert key_of("trial.layers") != first


@pytest.mark.parametrize("module", ["nowhere_to_be_found", "__main__"])
def test_code_that_is_in_no_file_is_told(module, monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(UnknownCodeError, match=f"module {module} is in no file"):
        code_key([type("Layer", (), {"__module__": module})])


def test_a_class_that_a_function_makes_is_told(packages):
    (packages / "makes.py").write_text(
        "class Outer:\n    class Inner: pass\n"
        "def make(scale):\n    class Layer: pass\n    return Layer\n"
        "def derive(): return type('Typed', (), {'__module__': __name__})\n"
        "once = make(2)\n"
    )
    makes = importlib.import_module("makes")
    assert code_key([makes.Outer.Inner, makes.once])  # made by importing the module
    for cls in (makes.make(3), makes.derive(), type("Derived", (makes.make(3),), {})):
        with pytest.raises(UnknownCodeError, match=r"class .* is not at the top of its module"):
            code_key([cls])
