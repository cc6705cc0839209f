"""Commands on what lies around: the cache, the installation."""

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    confirmed,
    console,
    document,
    yes_option,
)
from kerascnn.errors import InputError


@click.group()
def cache() -> None:
    """See or empty the folder of packed images, activations and downloads."""


@cache.command("list")
@as_json
def list_cache(as_json: bool) -> None:
    """List what the cache holds, the last used first."""
    from kerascnn.cli.tables.upkeep import cache_document, show_cache
    from kerascnn.runtime.cache import cache_folder, entries, limit_bytes

    folder, limit, held = cache_folder(), limit_bytes(), entries()
    if as_json:
        document(cache_document(folder, limit, held))
    else:
        show_cache(console(), folder, limit, held)


@cache.command()
@click.option(
    "--kind",
    type=click.Choice(["packed", "activations", "hashes", "databases", "downloads"]),
    help="Default: all.",
)
@yes_option
@as_json
def clear(kind: str | None, yes: bool, as_json: bool) -> None:
    """Empty the cache, but for what is in use.

    Packed images and activations are computed again when they are needed. Downloads have to be
    fetched again, and are removed only once you have confirmed it.
    """
    from dataclasses import asdict

    from kerascnn.runtime.cache import KINDS, MADE
    from kerascnn.runtime.cache import clear as clear_cache
    from kerascnn.runtime.files import gigabytes

    kinds = [kind] if kind else list(KINDS)
    if not _may_remove_downloads(kinds, yes):
        kinds = [kind for kind in kinds if kind in MADE]
    removed = [entry for kind in kinds for entry in clear_cache(kind)]
    freed = sum(entry.bytes for entry in removed)
    if as_json:
        document({"bytes": freed, "removed": [asdict(entry) for entry in removed]})
    else:
        entries = "entry" if len(removed) == 1 else "entries"
        click.echo(f"removed {len(removed):,} {entries}, {gigabytes(freed)}")


def _may_remove_downloads(kinds: list[str], yes: bool) -> bool:
    """Asks where there are any; what is not to be removed is told."""
    from kerascnn.runtime.cache import entries
    from kerascnn.runtime.files import gigabytes
    from kerascnn.runtime.text import counted

    downloads = entries(["downloads"]) if "downloads" in kinds else []
    if not downloads:
        return True
    size = gigabytes(sum(entry.bytes for entry in downloads))
    held = f"{counted(len(downloads), 'download')} ({size})"
    if confirmed(f"Remove {held} too? They have to be fetched again.", yes):
        return True
    click.echo(f"kept {held}; --yes removes downloads without asking", err=True)
    return False


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


@click.command()
@allow_option
@as_json
def doctor(as_json: bool) -> None:
    """Tell what is installed, where things are, what is wrong."""
    from kerascnn.cli.doctor import examine
    from kerascnn.cli.tables.upkeep import show_examination

    findings = examine()
    if as_json:
        document(findings)
    else:
        show_examination(console(), findings)
    if findings["problems"]:
        raise click.exceptions.Exit(1)
