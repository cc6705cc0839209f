"""The command line: thin; each command imports what it needs when it is called."""

import json
import os
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import click

from kerascnn.errors import InputError, KerascnnError

INTERRUPTED = 130
UNLIMITED = 10_000  # columns, where a program reads the output and not a person


def main() -> None:
    """Runs the command line; every failure is one message and an exit code."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        sys.exit(cli(arguments, standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted", INTERRUPTED)
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, KerascnnError):
            _fail(str(error), error.exit_code)
        _fail(f"{type(error).__name__}: {error}\nThe same with --debug shows where.", 1)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kerascnn")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """One TOML file becomes a trained, tracked, explained image classifier."""


def _reserve_stdout(context: click.Context, _: click.Parameter, as_json: bool) -> bool:
    """With --json standard output is the document's; what libraries print goes elsewhere."""
    context.obj = sys.stdout
    if as_json:
        context.with_resource(redirect_stdout(sys.stderr))
    return as_json


def _document(value: Any) -> None:
    click.echo(json.dumps(value, indent=2), file=click.get_current_context().obj)


def _console(stderr: bool = False) -> Any:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else UNLIMITED)


as_json = click.option(
    "--json", "as_json", is_flag=True, callback=_reserve_stdout, help="Print one JSON document."
)
BACKEND = click.Choice(["tensorflow", "jax", "torch"])
backend_option = click.option("--backend", type=BACKEND, help="Default: as the experiment says.")
KIND = click.Choice(["dataset", "augmentation", "architecture", "schedule"])
kind_option = click.option("--kind", type=KIND, help="Only components of this kind.")
set_option = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key of the TOML."
)
file_argument = click.argument("file", type=click.Path(path_type=Path))


def _allow_plugins(context: click.Context, _: click.Parameter, names: str | None) -> None:
    """Sets it in the environment: it holds for whatever the command calls and starts."""
    if names is not None:
        from kerascnn.plugins import ALLOW

        before = os.environ.get(ALLOW)
        context.call_on_close(lambda: _set_environment(ALLOW, before))
        _set_environment(ALLOW, names)


def _set_environment(name: str, value: str | None) -> None:
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


allow_option = click.option(
    "--allow-plugins",
    metavar="NAME,…",
    expose_value=False,
    callback=_allow_plugins,
    help="Load no packages of plugins but these, beside kerascnn itself.  [env var: "
    "KERASCNN_ALLOW_PLUGINS]",
)


def _experiment(file: Path, overrides: tuple[str, ...], backend: str | None) -> Any:
    from kerascnn.config import load_experiment

    values = dict(_assignment(text) for text in overrides)
    if backend:
        values["training.backend"] = backend
    return load_experiment(file, values)


def _assignment(text: str) -> tuple[str, Any]:
    import tomllib

    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: expected KEY=VALUE, such as --set stages.0.epochs=1.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


@cli.command()
@file_argument
@set_option
@backend_option
@allow_option
@as_json
def run(file: Path, overrides: tuple[str, ...], backend: str | None, as_json: bool) -> None:
    """Train, evaluate and track the experiment in FILE."""
    from kerascnn.journal import send_pending
    from kerascnn.run import run_experiment
    from kerascnn.runs import runs_folder
    from kerascnn.terminal import Terminal

    experiment = _experiment(file, overrides, backend)
    terminal = Terminal(_console(stderr=True))
    for sent in send_pending(runs_folder()):
        terminal.warned(sent)
    result = run_experiment(experiment, terminal)
    if as_json:
        _document(result.to_json())


@cli.command()
@file_argument
@set_option
@backend_option
@allow_option
@as_json
def check(file: Path, overrides: tuple[str, ...], backend: str | None, as_json: bool) -> None:
    """Do all that `run` does before training, and show the stages."""
    from dataclasses import asdict

    from kerascnn.plugins import load_registry
    from kerascnn.prepare import check_stages, prepare
    from kerascnn.tables import show_check
    from kerascnn.terminal import Terminal

    experiment = _experiment(file, overrides, backend)
    terminal = Terminal(_console(stderr=True))
    prepared = prepare(experiment, load_registry(), terminal)
    stages = list(check_stages(prepared))
    if as_json:
        _document({"name": experiment.name, "stages": [asdict(stage) for stage in stages]})
    else:
        show_check(_console(), prepared, stages)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--recipe", metavar="NAME", help="Write this recipe instead; `list` names them.")
@click.option("--architecture", metavar="NAME", help="Default efficientnet_lite0.")
@click.option("--force", is_flag=True, help="Overwrite the experiment if it exists.")
@allow_option
def init(folder: Path | None, recipe: str | None, architecture: str | None, force: bool) -> None:
    """Write an experiment for a FOLDER of pictures, beside it."""
    import shlex

    from kerascnn import scaffold

    if recipe == "list":
        click.echo("\n".join(scaffold.recipes()))
        return
    written, summary = scaffold.write_experiment(folder, recipe, architecture, force)
    click.echo(f"wrote {written}: {summary}", err=True)
    click.echo(f"kerascnn run {shlex.quote(str(written))}")


@cli.group(invoke_without_command=True)
@kind_option
@allow_option
@as_json
@click.pass_context
def plugins(context: click.Context, kind: str | None, as_json: bool) -> None:
    """List the installed components, and the broken plugins."""
    if context.invoked_subcommand is None:
        context.invoke(list_plugins, kind=kind, as_json=as_json)


@plugins.command("list")
@kind_option
@allow_option
@as_json
def list_plugins(kind: str | None, as_json: bool) -> None:
    """List the installed components."""
    from kerascnn.plugins import load_registry
    from kerascnn.tables import plugins_document, show_plugins

    registry = load_registry()
    if as_json:
        _document(plugins_document(registry, kind))
    else:
        show_plugins(_console(), registry, kind)


@plugins.command("show")
@click.argument("name")
@kind_option
@allow_option
@as_json
def show_plugin(name: str, kind: str | None, as_json: bool) -> None:
    """Show the parameters of the component NAME, and the lines of TOML that choose it."""
    from kerascnn.plugins import load_registry
    from kerascnn.tables import component_document, show_component

    registered = load_registry().find(name, kind)
    if as_json:
        _document(component_document(registered))
    else:
        show_component(_console(), registered)


@plugins.command("new")
@click.argument("name")
@click.option("--kind", required=True, type=KIND, help="What the package is to offer.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The folder to write it in; default the working directory.",
)
@allow_option
def new_plugin(name: str, kind: str, into: Path) -> None:
    """Write a package of plugins called NAME, which works as it is."""
    import shlex

    from kerascnn.scaffold_plugin import write_plugin

    folder = write_plugin(name, kind, into)
    click.echo(f"wrote {folder}: one {kind}, its tests and an experiment that uses it", err=True)
    click.echo(f"pip install -e {shlex.quote(f'{folder}[test]')}")
    click.echo(f"pytest {shlex.quote(str(folder))}")
    click.echo(f"kerascnn run {shlex.quote(str(folder / 'example.toml'))}")


@plugins.command("check")
@click.argument("name")
@kind_option
@click.option(
    "--set", "params", metavar="KEY=VALUE", multiple=True, help="A parameter of the component."
)
@click.option("--backend", type=BACKEND, help="Default: the one that `run` takes.")
@allow_option
@as_json
def check_plugin(
    name: str, kind: str | None, params: tuple[str, ...], backend: str | None, as_json: bool
) -> None:
    """Hold the component NAME to the contract of its kind, check by check."""
    import shlex

    from kerascnn.plugins import load_registry
    from kerascnn.runtime import select_backend, start
    from kerascnn.tables import outcomes_document, show_outcomes
    from kerascnn.testing import find_subject, run_checks

    registered = load_registry().find(name, kind)
    subject = find_subject(registered.kind, name, dict(map(_assignment, params)))
    begin = select_backend if registered.kind == "dataset" else start  # which needs no Keras
    backend = begin(backend or "auto")
    outcomes = run_checks(subject)
    if as_json:
        document = outcomes_document(registered, backend, list(outcomes))
        _document(document)
        failed = document["failed"]
    else:
        again = shlex.join(["kerascnn", "plugins", "check", *sys.argv[3:]])
        failed = show_outcomes(_console(), registered, backend, again, outcomes)
    if failed:
        raise click.exceptions.Exit(1)


@cli.command()
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True)
@backend_option
@allow_option
@as_json
def predict(
    run: str, images: tuple[str, ...], top: int, backend: str | None, as_json: bool
) -> None:
    """Predict the classes of IMAGES with the model of RUN.

    RUN is a run's id, a unique prefix of one, or `last`.
    """
    from kerascnn.predict import predict_images

    predictions = predict_images(run, images, top=top, backend=backend or "auto")
    if as_json:
        _document([prediction.to_json() for prediction in predictions])
        return
    width = max(len(prediction.image) for prediction in predictions)
    for prediction in predictions:
        best = "   ".join(
            f"{guess['label']} {guess['probability']:.3f}" for guess in prediction.top
        )
        click.echo(f"{prediction.image:<{width}}   {best}")


@cli.command()
@click.argument("run")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="A folder of classes.")
@backend_option
@allow_option
@as_json
def evaluate(run: str, data: Path, backend: str | None, as_json: bool) -> None:
    """Evaluate the model of RUN on other pictures.

    RUN is a run's id, a unique prefix of one, or `last`.
    """
    from kerascnn.evaluate import evaluate_run
    from kerascnn.tables import show_metrics

    metrics = evaluate_run(run, data, backend=backend or "auto")
    if as_json:
        _document(metrics.to_json())
    else:
        show_metrics(_console(), metrics)


@cli.command()
@click.argument("runs", nargs=-1)
@as_json
def compare(runs: tuple[str, ...], as_json: bool) -> None:
    """Compare RUNS: accuracy, time, size, settings that differ.

    RUNS are ids, unique prefixes of them, or `last`; without any, those that were judged on the
    pictures of the last one.
    """
    from dataclasses import asdict

    from kerascnn.compare import compare_runs
    from kerascnn.journal import send_pending
    from kerascnn.runs import runs_folder
    from kerascnn.tables import show_comparison

    send_pending(runs_folder())
    compared = compare_runs(runs)
    if as_json:
        _document([asdict(run) for run in compared])
    else:
        show_comparison(_console(), compared)


@cli.command()
@click.option("--port", type=int, default=5000, show_default=True)
def ui(port: int) -> None:
    """Open MLflow's page on the store of this folder, at 127.0.0.1."""
    import subprocess

    from kerascnn.journal import send_pending
    from kerascnn.runs import runs_folder
    from kerascnn.tracking import tracking_uri

    for sent in send_pending(runs_folder()):
        click.echo(sent, err=True)
    click.echo(f"http://127.0.0.1:{port}   (Ctrl-C ends it)", err=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", tracking_uri()]
    raise click.exceptions.Exit(
        subprocess.run(
            [*command, "--host", "127.0.0.1", "--port", str(port)], check=False
        ).returncode
    )


@cli.command()
@allow_option
def schema() -> None:
    """Print the JSON Schema of an experiment, for an editor.

    It knows the installed components and their parameters.
    """
    from kerascnn.plugins import load_registry
    from kerascnn.schema import make_schema

    _document(make_schema(load_registry()))


@cli.group()
def cache() -> None:
    """See or empty the folder of packed pictures, activations and downloads."""


@cache.command("list")
@as_json
def list_cache(as_json: bool) -> None:
    """List what the cache holds, the last used first."""
    from kerascnn.cache import cache_folder, entries, limit_bytes
    from kerascnn.tables import cache_document, show_cache

    folder, limit, held = cache_folder(), limit_bytes(), entries()
    if as_json:
        _document(cache_document(folder, limit, held))
    else:
        show_cache(_console(), folder, limit, held)


@cache.command()
@click.option(
    "--kind", type=click.Choice(["packed", "activations", "downloads"]), help="Default: all."
)
@as_json
def clear(kind: str | None, as_json: bool) -> None:
    """Empty the cache, but for what is in use.

    Packed pictures and activations are made again when they are needed; downloads are fetched.
    """
    from dataclasses import asdict

    from kerascnn.cache import clear as clear_cache
    from kerascnn.tables import gigabytes

    removed = clear_cache(kind)
    freed = sum(entry.bytes for entry in removed)
    if as_json:
        _document({"bytes": freed, "removed": [asdict(entry) for entry in removed]})
    else:
        entries = "entry" if len(removed) == 1 else "entries"
        click.echo(f"removed {len(removed):,} {entries}, {gigabytes(freed)}")


@cli.command()
@allow_option
@as_json
def doctor(as_json: bool) -> None:
    """Tell what is installed, where things are, what is wrong."""
    from kerascnn.doctor import examine
    from kerascnn.tables import show_examination

    findings = examine()
    if as_json:
        _document(findings)
    else:
        show_examination(_console(), findings)
    if findings["problems"]:
        raise click.exceptions.Exit(1)
