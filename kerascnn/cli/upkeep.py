"""Commands on the cache and the installation."""

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    confirmed,
    console,
    document,
    yes_option,
)


@click.group()
def cache() -> None:
    """List or clear the cache of images, activations, stages."""


@cache.command("list")
@as_json
def list_cache(as_json: bool) -> None:
    """List the entries of the cache, the most recently used first."""
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
    type=click.Choice(
        [
            *("packed", "activations", "stages", "hashes", "databases", "networks"),
            *("shards", "copies", "downloads"),
        ]
    ),
    help="Clear only this kind.  [default: all]",
)
@yes_option
@as_json
def clear(kind: str | None, yes: bool, as_json: bool) -> None:
    """Clear the cache, except for entries in use.

    Packed images, activations and results of stages are computed again when needed. Downloads
    would have to be fetched again, so they are removed only if you confirm it.
    """
    from dataclasses import asdict

    from kerascnn.runtime.cache import KINDS, MADE
    from kerascnn.runtime.cache import clear as clear_cache
    from kerascnn.runtime.files import gigabytes
    from kerascnn.runtime.text import counted

    kinds = [kind] if kind else list(KINDS)
    if not _may_remove_downloads(kinds, yes):
        kinds = [kind for kind in kinds if kind in MADE]
    removed = [entry for kind in kinds for entry in clear_cache(kind)]
    freed = sum(entry.bytes for entry in removed)
    if as_json:
        document({"bytes": freed, "removed": [asdict(entry) for entry in removed]})
    else:
        click.echo(f"removed {counted(len(removed), 'entry')}, {gigabytes(freed)}")


def _may_remove_downloads(kinds: list[str], yes: bool) -> bool:
    """Asks before downloads are removed; prints which are kept."""
    from kerascnn.runtime.cache import entries
    from kerascnn.runtime.files import gigabytes
    from kerascnn.runtime.text import counted

    downloads = entries(["downloads"]) if "downloads" in kinds else []
    if not downloads:
        return True
    size = gigabytes(sum(entry.bytes for entry in downloads))
    held = f"{counted(len(downloads), 'download')} ({size})"
    if confirmed(f"Also remove {held}, to be fetched again when needed?", yes):
        return True
    click.echo(f"kept {held}; use --yes to remove downloads without asking", err=True)
    return False


@click.command()
@allow_option
@as_json
def doctor(as_json: bool) -> None:
    """Show versions, devices and folders, and report problems."""
    from kerascnn.cli.doctor import examine
    from kerascnn.cli.tables.upkeep import show_examination

    findings = examine()
    if as_json:
        document(findings)
    else:
        show_examination(console(), findings)
    if findings["problems"]:
        raise click.exceptions.Exit(1)
