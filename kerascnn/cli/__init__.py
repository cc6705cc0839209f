"""The command line; each command imports what it needs when it is called."""

import atexit
import gc
import sys
import traceback
from typing import NoReturn

import click

from kerascnn.cli import (
    best,
    ensemble,
    experiments,
    folds,
    inference,
    more,
    plugins,
    predict,
    probes,
    runs,
    serve,
    sweep,
    update,
    upkeep,
)
from kerascnn.cli.streams import printing, reader_has_gone
from kerascnn.errors import KerascnnError
from kerascnn.runtime.redact import scrubbed

INTERRUPTED = 130


def main() -> None:
    """Runs the command line; every failure ends in one message and an exit code."""
    atexit.register(gc.freeze)  # or the interpreter ends by looking for garbage, for a second
    with printing():
        _run_command()


def _run_command() -> NoReturn:
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        sys.exit(cli(arguments, standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort) as error:
        _fail(str(error.__cause__ or error) or "interrupted", INTERRUPTED)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and reader_has_gone():
            raise
        if debug:
            traceback.print_exc()
        if isinstance(error, KerascnnError):
            _fail(str(error), error.exit_code)
        from kerascnn.components.entry_points import plugin_at_fault
        from kerascnn.runtime.tracebacks import said

        _fail(
            f"{said(error)}{plugin_at_fault(error)}\nRun it again with --debug for the traceback.",
            1,
        )


def _fail(message: str, code: int) -> NoReturn:
    click.echo(scrubbed(message), err=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kerascnn")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """One TOML file becomes a trained, tracked, explained image classifier."""


for command in (
    experiments.run,
    experiments.check,
    probes.probe,
    more.more,
    best.best,
    folds.folds,
    probes.lr_find,
    sweep.sweep,
    ensemble.ensemble,
    ensemble.distil,
    update.update,
    experiments.init,
    experiments.schema,
    plugins.plugins,
    plugins.describe,
    predict.predict,
    inference.evaluate,
    inference.visualize,
    inference.export,
    serve.serve,
    runs.compare,
    runs.report,
    runs.register,
    runs.ui,
    runs.runs,
    upkeep.cache,
    upkeep.doctor,
):
    cli.add_command(command)
