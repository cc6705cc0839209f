"""The command `sweep`: many trials of an experiment, and what they show."""

from pathlib import Path
from typing import Any

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    assignment,
    backend_option,
    console,
    document,
    named,
    set_option,
    values_of,
)

START = "FILE"


class Sweep(click.Group):
    """`sweep FILE` begins a sweep; `sweep show` and `sweep best` are commands."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            args = [START, *args]
        return super().parse_args(context, args)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, found, rest = super().resolve_command(context, args)
        return ("" if name == START else name), found, rest

    def list_commands(self, context: click.Context) -> list[str]:
        return [name for name in super().list_commands(context) if name != START]


class Start(click.Command):
    """Shows its usage as that of `sweep` itself."""

    def format_usage(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        pieces = " ".join(self.collect_usage_pieces(context))
        formatter.write_usage(context.command_path.rstrip(), pieces)


@click.group(cls=Sweep)
def sweep() -> None:
    """Try many settings of an experiment; run the best one in full."""


@sweep.command(START, cls=Start)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--try",
    "tries",
    metavar="KEY=LOW..HIGH",
    multiple=True,
    help="Values of a key: a range, or KEY=VALUE,VALUE; may be repeated.",
)
@click.option("--trials", type=click.IntRange(min=1), help="Number of trials.  [default: 20]")
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="No trial starts later."
)
@click.option("--metric", help="What trials are judged by.  [default: val_accuracy]")
@click.option("--sampler", help="tpe, random, quasi_random or grid.  [default: tpe]")
@click.option("--pruner", help="race, hyperband, median or none.  [default: race]")
@click.option("--seeds", type=click.IntRange(min=1), help="Run each setting with N seeds.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the settings that are drawn.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that run trials.  [default: one for each GPU, or for each host]",
)
@click.option(
    "--engine",
    metavar="ENGINE",
    default="local",
    show_default=True,
    shell_complete=named("engine"),
    help="Where they run: an engine, as the command `plugins` lists them.",
)
@click.option(
    "--engine-set",
    "engine_set",
    metavar="KEY=VALUE",
    multiple=True,
    help="A parameter of the engine; may be repeated.",
)
@click.option("--storage", metavar="ADDRESS", help="A database that several hosts share.")
@click.option("--resume", metavar="SWEEP", help="Continue a sweep: its id, a prefix, or `last`.")
@set_option
@backend_option
@allow_option
@as_json
def start(
    file: Path | None,
    tries: tuple[str, ...],
    overrides: tuple[str, ...],
    backend: str | None,
    workers: int | None,
    engine: str,
    engine_set: tuple[str, ...],
    storage: str | None,
    resume: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Try many settings of the experiment or sweep in FILE; run the best one in full.

    Trials are judged on the validation images, and only the winner on the test images. Also:
    `sweep show SWEEP` and `sweep best SWEEP`.
    """
    from kerascnn.cli.sweep_terminal import SweepTerminal
    from kerascnn.cli.tables.sweep import show_sweep
    from kerascnn.studies.sweep.plan.asked import of_options
    from kerascnn.studies.sweep.plan.load import load_sweep
    from kerascnn.studies.sweep.story import resume_sweep, run_sweep

    given = {key: value for key, value in settings.items() if value is not None}
    asked = {"name": engine, **dict(assignment(text, "--engine-set cpus=4") for text in engine_set)}
    where: Any = {"workers": workers, "storage": storage, "engine": asked}
    terminal = SweepTerminal(console(stderr=True), file)
    if resume:
        _refuse_with_resume(file, tries, overrides, backend, given)
        done = resume_sweep(resume, terminal, **where, **given)
    else:
        if file is None:
            raise click.UsageError("Missing argument 'FILE' or option --resume SWEEP.")
        values = values_of(overrides, backend)
        planned = load_sweep(file, of_options(tries), given, values)
        done = run_sweep(planned, terminal, **where)
    if as_json:
        document(done.to_json())
    else:
        show_sweep(console(), done)


def _refuse_with_resume(file: Path | None, *given: Any) -> None:
    *others, settings = given
    fixed = sorted(settings.keys() - {"trials", "minutes"})
    if file or any(others) or fixed:
        raise click.UsageError(
            "--resume continues the sweep as it was begun; only --trials, --minutes, --workers, "
            "--storage, --engine and --engine-set may be given with it."
        )


sweep_argument = click.argument("name", metavar="SWEEP")
storage_option = click.option(
    "--storage", metavar="ADDRESS", help="Where a sweep of several hosts is."
)


@sweep.command()
@sweep_argument
@storage_option
@click.option("--all", "everything", is_flag=True, help="List all trials.")
@as_json
def show(name: str, storage: str | None, everything: bool, as_json: bool) -> None:
    """Show the trials of SWEEP and what they say, also while it runs.

    SWEEP is a sweep's id, a unique prefix of one, or `last`.
    """
    from kerascnn.cli.tables.sweep import show_sweep
    from kerascnn.studies.sweep.read import read_sweep

    found = read_sweep(name, storage)
    if as_json:
        document(found.to_json())
    else:
        show_sweep(console(), found, everything)


@sweep.command()
@sweep_argument
@storage_option
@click.option("--toml", is_flag=True, help="Print the experiment of the winner instead.")
@as_json
def best(name: str, storage: str | None, toml: bool, as_json: bool) -> None:
    """Show the settings of the best trial of SWEEP, and how certain it is that it is the best."""
    from kerascnn.cli.tables.sweep import show_best
    from kerascnn.studies.sweep.read import read_sweep, winner_toml

    if toml:
        click.echo(winner_toml(name), nl=False)
        return
    found = read_sweep(name, storage)
    if as_json:
        document({key: found.to_json()[key] for key in ("study", "best", "not_told_apart")})
    else:
        show_best(console(), found)
