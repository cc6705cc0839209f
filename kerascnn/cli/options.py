"""Options and printing shared by the commands."""

import json
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from kerascnn.cli.streams import reserved_stdout
from kerascnn.components.kinds import KINDS
from kerascnn.errors import InputError

Decorator = Callable[[Any], Any]

on_stderr = partial(click.echo, err=True)

UNLIMITED = 10_000  # columns, if a program reads the output


def _reserve_stdout(context: click.Context, _: click.Parameter, as_json: bool) -> bool:
    """With --json, only the document goes to standard output; other prints to standard error."""
    context.obj = context.with_resource(ExitStack())
    if as_json:
        context.obj.enter_context(reserved_stdout())
    return as_json


def document(value: Any) -> None:
    if reserved := click.get_current_context().obj:
        reserved.close()
    click.echo(json.dumps(value, indent=2))


def console(stderr: bool = False) -> Any:
    from rich.console import Console

    class QuietConsole(Console):
        def on_broken_pipe(self) -> None:
            """Ends the command if its output is not read; unread progress ends no run."""
            self.quiet = True
            if not self.stderr:
                raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    return QuietConsole(
        stderr=stderr,
        highlight=False,
        emoji=False,  # ":cat:" is a name
        width=None if stream.isatty() else UNLIMITED,
    )


as_json = click.option(
    "--json", "as_json", is_flag=True, callback=_reserve_stdout, help="Print one JSON document."
)
BACKEND = click.Choice(["tensorflow", "jax", "torch"])
backend_option = click.option(
    "--backend", type=BACKEND, help="Keras backend.  [default: that of the experiment]"
)


def _number_or_all(_: click.Context, __: click.Parameter, given: str | None) -> int | str | None:
    if given in (None, "all"):
        return given
    if not given.isdecimal() or int(given) < 1:
        raise click.BadParameter('expected a number of devices, at least 1, or "all".')
    return int(given)


devices_option = click.option(
    "--devices",
    metavar="N|all",
    callback=_number_or_all,
    help="Devices of this host to train on.  [default: those of the experiment]",
)
KIND = click.Choice(list(KINDS))
kind_option = click.option("--kind", type=KIND, help="Only components of this kind.")
set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a key of the TOML; may be repeated.",
)
file_argument = click.argument("file", type=click.Path(path_type=Path))
run_argument = click.argument("run")
images_argument = click.argument("images", nargs=-1)
top_option = click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Number of classes listed per image.",
)


def _allow_plugins(context: click.Context, _: click.Parameter, names: str | None) -> None:
    """Sets the environment variable, so that it also holds for processes that are started."""
    if names is not None:
        from kerascnn.components.entry_points import ALLOW
        from kerascnn.runtime.process import restore_variable

        before = os.environ.get(ALLOW)
        context.call_on_close(lambda: restore_variable(ALLOW, before))
        os.environ[ALLOW] = names


allow_option = click.option(
    "--allow-plugins",
    metavar="NAME,…",
    expose_value=False,
    callback=_allow_plugins,
    help="Load plugins only from these packages; built-ins always load.  [env var: "
    "KERASCNN_ALLOW_PLUGINS]",
)


uncalibrated_option = click.option(
    "--uncalibrated",
    is_flag=True,
    help="Use the probabilities as trained, without the temperature of RUN.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


class Share(click.ParamType):
    """A number between 0 and 1."""

    name = "share"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            share = float(value)
        except ValueError:
            share = 0.0
        if not 0 < share < 1:
            self.fail(f"{value} is not a number between 0 and 1, such as {param.opts[0]}=0.05.")
        return share


def _together(*options: Decorator) -> Decorator:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


experiment_options = _together(set_option, backend_option, allow_option, as_json)
caution_options = _together(
    click.option(
        "--reject",
        type=Share(),
        is_flag=False,
        flag_value="0.05",
        metavar="[SHARE]",
        help="Refuse images that are none of the classes; at most this share of those that are may "
        "be refused.  [default: 0.05]",
    ),
    click.option(
        "--coverage",
        type=Share(),
        metavar="SHARE",
        help="Give the smallest set of classes that has the right one for this share of images, "
        "such as 0.95.",
    ),
)
model_options = _together(uncalibrated_option, backend_option, allow_option)


def confirmed(question: str, yes: bool) -> bool:
    """Whether the user agrees; without a terminal to ask on, only --yes counts."""
    return yes or (sys.stdin.isatty() and click.confirm(question, err=True))


def values_of(overrides: tuple[str, ...], backend: str | None) -> dict[str, Any]:
    """The dotted keys that the options of an experiment replace, and their values."""
    values = dict(assignment(text) for text in overrides)
    return values | ({"training.backend": backend} if backend else {})


def experiment_of(
    file: Path, overrides: tuple[str, ...], backend: str | None, observers: tuple[str, ...] = ()
) -> Any:
    from kerascnn.components.registry import load_registry
    from kerascnn.experiment.load import load_experiment

    values = values_of(overrides, backend)
    registry = load_registry()
    for slow in registry.slow:
        click.echo(f"note: {slow.origin} {slow}", err=True)
    return load_experiment(
        file, values, registry, lambda said: click.echo(f"note: {said}", err=True), observers
    )


def sweep_of(file: Path, overrides: tuple[str, ...], backend: str | None) -> Any:
    """The sweep in a file; None if it is an experiment."""
    from kerascnn.experiment.load import is_sweep, read_toml
    from kerascnn.studies.sweep.plan.load import load_sweep

    if not is_sweep(read_toml(file)[1]):
        return None
    return load_sweep(file, overrides=values_of(overrides, backend))


def calibrated(result: Any, uncalibrated: bool) -> Any:
    """The run with or without its temperature; prints which calibration applies."""
    from kerascnn.cli.tables.lines import calibration
    from kerascnn.engine.metrics.calibration import AS_TRAINED

    if uncalibrated:
        return result.uncalibrated
    if result.temperature != AS_TRAINED:
        click.echo(f"calibrated: {calibration(result)}", err=True)
    return result


def require_run_and_images(command: str, run: str, images: tuple[str, ...]) -> None:
    """Raises a usage error with the corrected command if RUN or IMAGES is missing."""
    from kerascnn.engine.result.run import RESULT

    if not images or (Path(run).exists() and not Path(run, RESULT).is_file()):
        given = shlex.join((run, *images)) if Path(run).exists() else "IMAGE"
        name = "last" if Path(run).exists() else shlex.quote(run)
        missing = "RUN" if Path(run).exists() else "IMAGES"
        raise click.UsageError(
            f"Missing {missing}: kerascnn {command} {name} {given}. RUN is a run's id, a unique "
            "prefix of one, or last."
        )


def tell_last(name: str, run: Any) -> None:
    """Prints which run "last" is."""
    if name == "last":
        click.echo(
            f"run {run.run_id[:8]} · {run.experiment['architecture']['name']} on "
            f"{run.experiment['dataset']['name']} · test accuracy {run.test_accuracy:.3f}",
            err=True,
        )


def upload_pending(said: Callable[[str], None] = on_stderr) -> None:
    """Uploads what earlier runs of this folder could not; `said` receives a line about each."""
    from kerascnn.results.lookup import runs_folder
    from kerascnn.tracking.journal import send_pending

    for sent in send_pending(runs_folder()):
        said(sent)


def named(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completes the names of the components of a kind in a shell."""

    def complete(_: click.Context, __: click.Parameter, typed: str) -> list[str]:
        from kerascnn.components.registry import load_registry

        return [name for name in load_registry().names(kind) if name.startswith(typed)]

    return complete


def assignment(text: str, example: str = "--set stages.head.epochs=1") -> tuple[str, Any]:
    import tomllib

    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"{example.split()[0]} {text}: expected KEY=VALUE, such as {example}.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()
