"""Commands on runs that there are."""

from pathlib import Path

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    confirmed,
    console,
    document,
    run_argument,
    yes_option,
)
from kerascnn.errors import InputError
from kerascnn.runtime.commands import command


@click.command()
@click.argument("runs", nargs=-1)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Judge the runs on this folder of class folders.  [default: on their test images]",
)
@click.option("--seeds", is_flag=True, help="Compare groups of runs that differ by seed alone.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page to this file, and log it to MLflow with the runs under it.",
)
@as_json
def compare(
    runs: tuple[str, ...], data: Path | None, seeds: bool, html: Path | None, as_json: bool
) -> None:
    """Compare RUNS: what differs, which is better, and whether that is sure.

    RUNS are ids, unique prefixes of them, or `last`; without any, those that were judged on the
    images of the last one.
    """
    from kerascnn.cli.tables.comparison import show_comparison
    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.compare.compare import compare_runs
    from kerascnn.results.find import all_runs

    _send_pending()
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
            f"{others} more here were judged on other images; "
            f"`{command('compare', 'RUN', 'RUN')}` shows those that are named.",
            err=True,
        )


@click.command()
@run_argument
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
@allow_option
@as_json
def report(run: str, show: bool, as_json: bool) -> None:
    """Write the report of RUN anew: one page, in the run's folder.

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
@click.option("--name", help="Of the model; default that of the experiment.")
@click.option("--alias", help="Such as `champion`; moves here from the model that had it.")
@as_json
def register(run: str, name: str | None, alias: str | None, as_json: bool) -> None:
    """Put the model of RUN into MLflow's registry.

    `predict` and `evaluate` then take it as `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
    """
    from dataclasses import asdict

    from kerascnn.results.find import find_run
    from kerascnn.tracking.model_registry import register_run

    _send_pending()
    result = find_run(run)
    registered = register_run(result.run_id, name or result.name, alias)
    if as_json:
        document(asdict(registered))
        return
    click.echo(f"{registered.name} version {registered.version}: run {registered.run_id[:8]}")
    click.echo(command("predict", registered.uri, "IMAGE"), err=True)


@click.command()
@click.option("--port", type=int, default=5000, show_default=True, help="0 is any that is free.")
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
def ui(port: int, show: bool) -> None:
    """Serve MLflow's page on the runs of this folder, at 127.0.0.1 alone.

    Prints the address of the table of runs once it answers. Where MLFLOW_TRACKING_URI is a server,
    that server's own page is named.
    """
    import webbrowser

    from kerascnn.results.inference.serve import listen
    from kerascnn.results.ui import page_of_server, show_page
    from kerascnn.runtime.address import is_server, tracking_uri

    def ready(address: str) -> None:
        click.echo(address)
        if show:
            webbrowser.open(address)

    if is_server(tracking_uri()):
        _send_pending()
        ready(page_of_server())
        return
    listening = listen(port)
    _send_pending()
    show_page(listening, ready)


@click.group()
def runs() -> None:
    """List, remove or send the runs of this folder."""


@runs.command("list")
@as_json
def list_runs(as_json: bool) -> None:
    """List the runs of this folder, the oldest first: how they ended, their size."""
    from dataclasses import asdict

    from kerascnn.cli.tables.upkeep import show_runs
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
    """Remove each RUN: its folder here, and its run in MLflow.

    RUN is a run's id or a unique prefix of one. MLflow marks the run as deleted; `mlflow gc` frees
    what it keeps of it.
    """
    from kerascnn.results.folders import find_folders, remove_run

    folders = find_folders(names)
    shown = ", ".join(folder.name[:8] for folder in folders)
    if not confirmed(f"Remove {shown} here and in MLflow?", yes):
        raise InputError("nothing was removed; --yes removes without asking.")
    faults = [fault for folder in folders if (fault := remove_run(folder))]
    if as_json:
        document({"removed": [folder.name for folder in folders], "problems": faults})
    else:
        click.echo(f"removed {shown}")
    for fault in faults:
        click.echo(fault, err=True)


@runs.command()
@click.argument("names", metavar="[RUN]...", nargs=-1)
@click.option(
    "--to", metavar="ADDRESS", help="Send to this store, whatever the runs were made for."
)
def send(names: tuple[str, ...], to: str | None) -> None:
    """Send what the tracking store of a run does not have yet.

    With --to, each RUN is sent to another store, and to that one from then on; without a RUN, all
    those that their own store does not have in full. A password is taken from MLFLOW_TRACKING_URI
    if that is the same address.
    """
    from kerascnn.results.folders import send_runs

    if names and not to:
        raise click.UsageError("RUN needs --to ADDRESS; without it all runs are sent.")
    said = send_runs(names, to)
    click.echo("\n".join(said) or "nothing to send: the stores have all runs of this folder")


def _send_pending() -> None:
    from kerascnn.results.find import runs_folder
    from kerascnn.tracking.journal import send_pending

    for said in send_pending(runs_folder()):
        click.echo(said, err=True)
