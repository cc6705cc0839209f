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
    "classifier_head": "engine.network.head",
    "fetch": "engine.data.download",
    "read_image": "engine.data.images",
    "draw_splits": "engine.data.splitting",
    "near_copies": "engine.data.near",
    "left_out": "runtime.image_files",
    "is_image": "runtime.image_files",
    "OWN_OUTPUT": "runtime.image_files",
    "pip_install": "runtime.commands",
    "command": "runtime.commands",
    # for notebooks and scripts
    "load_experiment": "experiment.load",
    "run_experiment": "run.runner",
    "predict_images": "results.inference.predict",
    "evaluate_run": "results.inference.evaluate",
    "report_run": "results.report.write",
    "compare_runs": "results.compare.compare",
    "probe_architectures": "studies.probe",
    "find_learning_rate": "studies.lr_find",
    "export_run": "results.export.export",
    "Observer": "engine.observer",
    "default_observer": "cli.observers",
    "as_html": "results.notebook",
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
