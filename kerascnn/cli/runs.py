"""Commands on finished runs."""

from pathlib import Path

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    confirmed,
    console,
    document,
    run_argument,
    upload_pending,
    yes_option,
)
from kerascnn.errors import InputError
from kerascnn.runtime.commands import command
from kerascnn.runtime.text import counted


@click.command()
@click.argument("runs", nargs=-1)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Evaluate the runs on this folder of class folders.  [default: their test images]",
)
@click.option("--seeds", is_flag=True, help="Compare groups of runs that differ only in the seed.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the comparison to this HTML file, and log it to MLflow above the runs.",
)
@as_json
def compare(
    runs: tuple[str, ...], data: Path | None, seeds: bool, html: Path | None, as_json: bool
) -> None:
    """Compare RUNS: which one is better, and how certain that is.

    RUNS are ids, unique prefixes of them, or `last`; by default all runs that were tested on the
    same images as the last one.
    """
    from kerascnn.cli.tables.comparison import show_comparison
    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.compare.compare import compare_runs
    from kerascnn.results.find import all_runs

    upload_pending()
    terminal = Terminal(console(stderr=True))
    comparison = compare_runs(runs, by_seed=seeds, data=data, observer=terminal)
    if as_json:
        document(comparison.to_json())
    else:
        show_comparison(console(), comparison)
    if html:
        from kerascnn.results.compare.page import log_comparison, write_comparison

        write_comparison(comparison, html)
        click.echo(f"wrote {html}", err=True)
        compared = len(comparison.results) > 1 and not comparison.refusal
        if compared and (unsent := log_comparison(comparison)):
            click.echo(unsent, err=True)
    if comparison.refusal:
        raise InputError(comparison.refusal)
    if not runs and (others := len(all_runs()) - len(comparison.results)):
        click.echo(
            f"{counted(others, 'other run')} here used different test images; name the runs "
            f"to compare them: `{command('compare', 'RUN', 'RUN')}`.",
            err=True,
        )


@click.command()
@run_argument
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
@allow_option
@as_json
def report(run: str, show: bool, as_json: bool) -> None:
    """Write the report of RUN again, in its folder.

    RUN is a run's id, a unique prefix of one, or `last`.
    """
    import webbrowser

    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.report.write import report_run

    page = report_run(run, observer=Terminal(console(stderr=True)))
    if as_json:
        document({"report": str(page), "bytes": page.stat().st_size})
    else:
        click.echo(str(page))
    if show:
        webbrowser.open(page.as_uri())


@click.command()
@run_argument
@click.option("--name", help="Name of the model.  [default: that of the experiment]")
@click.option("--alias", help="Such as `champion`; moved from the version that had it.")
@as_json
def register(run: str, name: str | None, alias: str | None, as_json: bool) -> None:
    """Register the model of RUN in MLflow.

    Use it as RUN in other commands: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
    """
    from dataclasses import asdict

    from kerascnn.results.find import find_run
    from kerascnn.tracking.model_registry import register_run

    upload_pending()
    result = find_run(run)
    registered = register_run(result.run_id, name or result.name, alias)
    if as_json:
        document(asdict(registered))
        return
    click.echo(f"{registered.name} version {registered.version}: run {registered.run_id[:8]}")
    click.echo(command("predict", registered.uri, "IMAGE"), err=True)


@click.command()
@click.option("--port", type=int, default=5000, show_default=True, help="0 takes any free port.")
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
def ui(port: int, show: bool) -> None:
    """Serve MLflow's page for the runs of this folder.

    It listens on 127.0.0.1 only. Prints the address of the table of runs once it is ready. If
    MLFLOW_TRACKING_URI is a server, prints the address there.
    """
    import webbrowser

    from kerascnn.results.serving.serve import listen
    from kerascnn.results.ui import page_of_server, show_page
    from kerascnn.runtime.address import is_server, tracking_uri

    def ready(address: str) -> None:
        click.echo(address)
        if show:
            webbrowser.open(address)

    if is_server(tracking_uri()):
        upload_pending()
        ready(page_of_server())
        return
    listening = listen(port)
    upload_pending()
    show_page(listening, ready)


@click.group()
def runs() -> None:
    """List, remove or upload the runs of this folder."""


@runs.command("list")
@as_json
def list_runs(as_json: bool) -> None:
    """List the runs of this folder with their status and size."""
    from dataclasses import asdict

    from kerascnn.cli.tables.runs import show_runs
    from kerascnn.results.folders import list_runs as find_runs

    found = find_runs()
    if as_json:
        document([asdict(run) for run in found])
    else:
        show_runs(console(), found)


@runs.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@yes_option
@as_json
def remove(names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Remove each RUN, here and in MLflow.

    RUN is a run's id or a unique prefix of one. MLflow only marks the run as deleted; `mlflow gc`
    frees the space.
    """
    from kerascnn.results.folders import find_folders, remove_run

    folders = find_folders(names)
    shown = ", ".join(folder.name[:8] for folder in folders)
    if not confirmed(f"Remove {shown} here and in MLflow?", yes):
        raise InputError("nothing was removed; use --yes to remove without asking.")
    faults = [fault for folder in folders if (fault := remove_run(folder))]
    if as_json:
        document({"removed": [folder.name for folder in folders], "problems": faults})
    else:
        click.echo(f"removed {shown}")
    for fault in faults:
        click.echo(fault, err=True)


@runs.command()
@click.argument("names", metavar="[RUN]...", nargs=-1)
@click.option("--to", metavar="ADDRESS", help="Upload to this store instead of the runs' own.")
def send(names: tuple[str, ...], to: str | None) -> None:
    """Upload pending log entries to the tracking store of each run.

    With --to, each RUN is uploaded to another store and belongs there from then on; by default all
    runs with pending entries. The password is taken from MLFLOW_TRACKING_URI if it has the same
    address.
    """
    from kerascnn.results.folders import send_runs

    if names and not to:
        raise click.UsageError("RUN needs --to ADDRESS; without --to, all runs are uploaded.")
    said = send_runs(names, to)
    click.echo("\n".join(said) or "nothing to upload: the stores have every run of this folder")
