"""Imports Keras without the packages that only few of its functions use.

`import keras` imports scikit-learn, pandas and Matplotlib, which take two fifths of its time. Here
what needs them is imported on first use, and works as before.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from threading import RLock
from types import ModuleType
from typing import Any

from kerascnn.runtime.process import set_objects_aside

_ON_FIRST_USE = ("keras.wrappers", "keras.visualization", "keras.src.visualization")
_ASKS_FOR_PANDAS = "keras.src.trainers.data_adapters.array_slicing"


def import_keras() -> None:
    """Imports Keras and its backend, unless they are already imported.

    The collector of reference cycles pauses meanwhile, and leaves out later what was imported: a
    pass over all of TensorFlow takes 0.2 s, and an import of it makes several.
    """
    if "keras" in sys.modules:
        return
    enabled = gc.isenabled()
    gc.disable()
    try:
        with _later():
            import keras  # noqa: F401
    finally:
        set_objects_aside()
        if enabled:
            gc.enable()


@contextmanager
def _later() -> Iterator[None]:
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    """Finds the modules that are imported in another way than others, once each."""

    def __init__(self) -> None:
        self._waiting = {**dict.fromkeys(_ON_FIRST_USE, _Later), _ASKS_FOR_PANDAS: _WithoutPandas}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self._waiting:
            return None
        loader = self._waiting.pop(name)
        if spec := find_spec(name):
            spec.loader = loader(spec.loader)
        return spec


class _Later(Loader):
    """Loads a module on first use, with the loader that it was found with."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__.loader = module.__loader__ = self._loader  # type: ignore[union-attr]
        module.__class__ = _OnFirstUse


class _OnFirstUse(ModuleType):
    """A module that runs when an attribute is asked for.

    Unlike that of `importlib.util.LazyLoader` it does not run when it is imported again.
    """

    def __getattr__(self, name: str) -> Any:
        with _lock:
            if type(self) is _OnFirstUse and not name.startswith("__"):
                self.__class__ = ModuleType  # type: ignore[assignment]
                self.__loader__.exec_module(self)  # type: ignore[union-attr]
        return object.__getattribute__(self, name)


_lock = RLock()


class _WithoutPandas(_Later):
    """Loads the module of Keras that asks whether values are of pandas, without importing that.

    No value is, before somebody else has imported pandas.
    """

    def exec_module(self, module: ModuleType) -> None:
        if "pandas" in sys.modules or not find_spec("pandas"):
            self._loader.exec_module(module)
            return
        sys.modules["pandas"] = stand_in = ModuleType("pandas")
        vars(stand_in).update({name: _OfPandas(name, (), {}) for name in ("Series", "DataFrame")})
        try:
            self._loader.exec_module(module)
        finally:
            del sys.modules["pandas"]


class _OfPandas(type):
    """Stands for the class of pandas of its name in calls of `isinstance`."""

    def __instancecheck__(cls, value: Any) -> bool:
        imported = sys.modules.get("pandas")
        return imported is not None and isinstance(value, getattr(imported, cls.__name__))
