"""kerascnn: one TOML file becomes a trained, tracked, explained image classifier.

Every public name is listed here with the module that it lives in, and is imported when it is
first used: `import kerascnn` imports nothing else.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    # for plugins
    "hookimpl": "hookspecs",
    "Component": "hookspecs",
    "Params": "hookspecs",
    "NoParams": "hookspecs",
    "Splits": "hookspecs",
    "Augmentation": "hookspecs",
    "Network": "hookspecs",
    "classifier_head": "network.head",
    "fetch": "data.download",
    "read_image": "data.images",
    "draw_splits": "splitting",
    "near_copies": "data.near",
    "left_out": "image_files",
    "is_image": "image_files",
    "OWN_OUTPUT": "image_files",
    "pip_install": "commands",
    "command": "commands",
    # for notebooks and scripts
    "load_experiment": "config",
    "run_experiment": "run",
    "predict_images": "predict",
    "evaluate_run": "evaluate",
    "report_run": "report.write",
    "compare_runs": "compare",
    "probe_architectures": "probe",
    "find_learning_rate": "lr_find",
    "export_run": "export",
    "Observer": "observer",
    # errors
    "did_you_mean": "errors",
    "KerascnnError": "errors",
    "InputError": "errors",
    "PluginError": "errors",
    "RunError": "errors",
}
__all__ = sorted(_PUBLIC)  # noqa: PLE0605
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'kerascnn' has no attribute '{name}'")
    return getattr(import_module(f"kerascnn.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
