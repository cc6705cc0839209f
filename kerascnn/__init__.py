"""kerascnn: one TOML file becomes a trained, tracked, explained image classifier.

Every public name is listed here with the module that defines it, and is imported on first use:
`import kerascnn` imports nothing else.
"""

from importlib import import_module
from typing import Any

FOR_PLUGINS = {
    # the contract
    "hookimpl": "hookspecs",
    "Component": "hookspecs",
    "Weights": "hookspecs",
    "Params": "hookspecs",
    "NoParams": "hookspecs",
    "Splits": "hookspecs",
    "Augmentation": "hookspecs",
    "HostAugmentation": "hookspecs",
    "Mixing": "hookspecs",
    "Network": "hookspecs",
    "Metric": "hookspecs",
    "Exporter": "hookspecs",
    "Engine": "hookspecs",
    "Launched": "hookspecs",
    # engines
    "BackgroundProcess": "runtime.background",
    # architectures
    "classifier_head": "engine.network.head",
    "flatten_model": "engine.network.flat",
    "build_once": "engine.network.parts",
    # metrics
    "confusion_matrix": "engine.metrics.score",
    "macro_f1": "engine.metrics.score",
    "cross_entropy": "engine.metrics.score",
    # datasets
    "SplitParams": "engine.data.splits.content_split",
    "split_files": "engine.data.splits.content_split",
    "split_source": "engine.data.splits.content_split",
    "draw_splits": "engine.data.splits.splitting",
    "near_copies": "engine.data.splits.near",
    "split_named": "engine.data.splits.splitting",
    "image_files": "engine.data.sources.source",
    "leads_out": "engine.data.sources.source",
    "SharedFile": "runtime.shared_file",
    "Shard": "engine.data.shards.shard",
    "local_shard": "engine.data.shards.shard",
    "copied_shard": "engine.data.shards.copies",
    "expand_braces": "engine.data.shards.names",
    "splits_by_name": "engine.data.shards.names",
    "shard_splits": "engine.data.shards.splits",
    "TarFormat": "engine.data.shards.tar",
    "TarParams": "engine.data.shards.labels",
    "ZipFormat": "engine.data.shards.zip",
    "ParquetFormat": "engine.data.shards.parquet",
    "read_image": "engine.data.decoding.images",
    "has_image_suffix": "runtime.image_files",
    "ignored_kind": "runtime.image_files",
    "KERASCNN_OUTPUT": "runtime.image_files",
    # downloads and messages
    "fetch": "engine.data.sources.download",
    "is_fetched": "engine.data.sources.download",
    "pip_install": "runtime.commands",
    "command": "runtime.commands",
    "did_you_mean": "errors",
    "counted": "runtime.text",
    "nfc": "runtime.text",
}
FOR_SCRIPTS = {
    "load_experiment": "experiment.load",
    "run_experiment": "run.experiment",
    "predict_images": "results.inference.predict",
    "evaluate_run": "results.inference.evaluate",
    "report_run": "results.report.write",
    "compare_runs": "results.compare.compare",
    "probe_architectures": "studies.probe.probe",
    "probe_blocks": "studies.probe.blocks",
    "more_images": "studies.more.more",
    "check_labels": "studies.labels.check",
    "cross_validate": "studies.folds.study",
    "best_classifier": "studies.best.best",
    "sweep_experiment": "studies.sweep.sweep",
    "find_learning_rate": "studies.lr_find.find",
    "ensemble_runs": "studies.ensemble.ensemble",
    "distil_run": "studies.distil.distil",
    "update_run": "studies.update.update",
    "export_run": "results.export.export",
    "Observer": "engine.observer",
    "default_observer": "cli.observers",
    "as_html": "studies.notebook",
}
ERRORS = {
    "KerascnnError": "errors",
    "InputError": "errors",
    "PluginError": "errors",
    "PassingError": "errors",
    "RunError": "errors",
}
FOR_LOWER_FLOORS = {
    "join_runs": "results.joined",
    "load_teacher": "results.teaching",
    "images_before": "results.before",
    "warm_start": "results.before",
}
_PUBLIC = FOR_PLUGINS | FOR_SCRIPTS | ERRORS
__all__ = sorted(_PUBLIC)  # noqa: PLE0605
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    home = (_PUBLIC | FOR_LOWER_FLOORS).get(name)
    if home is None:
        raise AttributeError(f"module 'kerascnn' has no attribute '{name}'")
    return getattr(import_module(f"kerascnn.{home}"), name)


def __dir__() -> list[str]:
    return __all__
