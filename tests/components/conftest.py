"""Distributions with plugins, installed for one test."""

import importlib
import sys

import pytest


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution NAME 1.0 whose entry points load the module of its name."""

    def install(name, text, entry_points=None):
        site, module = tmp_path / name, name.replace("-", "_")
        metadata = site / f"{module}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (site / f"{module}.py").write_text(text)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "\n".join(entry_points or [f"{module} = {module}"])
        (metadata / "entry_points.txt").write_text(f"[kerascnn]\n{lines}\n")
        monkeypatch.syspath_prepend(site)
        importlib.invalidate_caches()
        installed.append(module)

    installed = []
    yield install
    for module in installed:
        sys.modules.pop(module, None)
