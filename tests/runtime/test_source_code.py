"""`code_key`: whatever a package's code may use counts; what cannot be read is told."""

import functools
import importlib
import os
import subprocess
import sys

import pytest

from kerascnn.runtime.source_code import UnknownCodeError, code_key, refuse_local

FILES = {
    "trial/__init__.py": "",
    "trial/layers/__init__.py": "from trial.shared import SCALE\nclass Layer:\n    scale = SCALE\n",
    "trial/shared/__init__.py": "SCALE = 2\n",
    "trial/settings/scale.json": "2",
    "trial/weights.h5": "7",
    "base/__init__.py": "class Base: pass\n",
    "base/rates.txt": "1",
    "single.py": "from base import Base\nfrom helper import help\nTABLE = 'table.csv'\n"
    "class Layer(Base): pass\ndef build(params): return Layer()\n",
    "helper.py": "def help():\n    from further.code import help\n    return help()\n",
    "further/code.py": "import importlib\nlater = importlib.import_module('late')\n",
    "late.py": "",
    "table.csv": "1",
    "unnamed.csv": "1",
    "other.py": "",
    "space/one/__init__.py": "class Layer: pass\n",
    "space/two/__init__.py": "",
    "plain/code.py": "from . import beside\nclass Layer: pass\n",
    "plain/beside.py": "",
    "site-packages/installed/__init__.py": "",
    "uses.py": "import installed\nclass Layer: pass\n",
    "wraps.py": "import functools\ndef wrap(function):\n    @functools.wraps(function)\n"
    "    def wrapped(*given): return function(*given)\n    return wrapped\n"
    "class Wrapped:\n    def __init__(self, function): self.__wrapped__ = function\n"
    "    def __call__(self): pass\n    def method(self): pass\n",
}
SINGLE = {
    *("single.py", "helper.py", "further/code.py", "late.py", "table.csv"),
    *("base/__init__.py", "base/rates.txt"),
}
PACKAGE = {
    *("trial/__init__.py", "trial/layers/__init__.py", "trial/shared/__init__.py"),
    "trial/settings/scale.json",
}


@pytest.fixture
def packages(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def key_of(module):
    return code_key([importlib.import_module(module).Layer])


def counting(packages, key):
    """The files that change a key."""
    first, changed = key(), set()
    assert key() == first
    for name, text in FILES.items():
        (packages / name).write_text(text + "# changed\n")
        if key() != first:
            changed.add(name)
        (packages / name).write_text(text)
    assert key() == first
    return changed


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("trial.layers", PACKAGE),
        ("single", SINGLE),
        ("space.one", {"space/one/__init__.py"}),
        ("plain.code", {"plain/code.py", "plain/beside.py"}),
        ("uses", {"uses.py"}),
    ],
)
def test_the_package_the_base_classes_and_what_is_imported_count(packages, module, expected):
    assert counting(packages, functools.partial(key_of, module)) == expected


def built_by(kind):
    build, wraps = importlib.import_module("single").build, importlib.import_module("wraps")
    return {
        "a partial": lambda: functools.partial(build, None),
        "a partial of a wrapper": lambda: functools.partial(wraps.wrap, build),
        "a lambda": lambda: eval("lambda params: None", vars(importlib.import_module("single"))),
        "decorated": lambda: wraps.wrap(build),
        "cached": lambda: functools.cache(build),
        "a callable": lambda: wraps.Wrapped(build),
        "a bound method": lambda: build.__get__(importlib.import_module("wraps").Wrapped(None)),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "beside"),
    [
        ("a partial", set()),
        ("a partial of a wrapper", {"wraps.py"}),
        ("a lambda", set()),
        ("decorated", {"wraps.py"}),
        ("cached", set()),
        ("a callable", {"wraps.py"}),
        ("a bound method", {"wraps.py"}),
    ],
)
def test_whatever_is_called_counts_with_what_it_wraps_and_is_bound_to(packages, kind, beside):
    assert counting(packages, lambda: code_key([built_by(kind)])) == SINGLE | beside


def test_functions_that_refer_to_each_other_are_read_once(packages):
    def one():
        return other

    def other():
        return one

    assert code_key([one])


def test_moving_code_between_files_counts(packages):
    first = key_of("trial.layers")
    one, other = packages / "trial/__init__.py", packages / "trial/shared/__init__.py"
    one.write_text(other.read_text())
    other.write_text("")
    assert key_of("trial.layers") != first


def test_another_process_gives_the_same_key(packages):
    code = (
        "import single, trial.layers; from kerascnn.runtime.source_code import code_key;"
        "print(code_key([single.Layer, trial.layers.Layer, single.build]))"
    )
    path = os.pathsep.join([str(packages / "site-packages"), str(packages)])
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "7"}, cwd=packages,
    )  # fmt: skip
    single, layers = map(importlib.import_module, ("single", "trial.layers"))
    assert ended.stdout.strip() == code_key([single.Layer, layers.Layer, single.build])


def described(folder, name, text):
    metadata = folder / f"{name}-1.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n{text}\n")


@pytest.mark.parametrize("how", ["required", "imported", "named"])
def test_the_versions_of_distributions_count(packages, monkeypatch, how):
    described(packages, "trial", "Version: 1.0\nRequires-Dist: needed>=2; extra == 'x'")
    described(packages, "needed", "Version: 1")
    owners = {"trial": ["trial"], "installed": ["needed"]}
    monkeypatch.setattr("kerascnn.runtime.source_code._owners", lambda: owners)
    module = {"required": "trial.layers", "imported": "uses", "named": "space.one"}[how]
    layer = importlib.import_module(module).Layer
    of = ["needed"] if how == "named" else []
    first = code_key([layer], of=of)
    described(packages, "needed", "Version: 2")
    assert code_key([layer], of=of) != first


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
    refuse_local([makes.Outer.Inner, makes.once])  # made by importing the module
    for cls in (makes.make(3), makes.derive(), type("Derived", (makes.make(3),), {})):
        with pytest.raises(UnknownCodeError, match=r"class .* is not at the top of its module"):
            refuse_local([cls])
