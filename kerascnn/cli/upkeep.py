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

    downloads = entries(["downloads"]) if "downloads" in kinds else []
    if not downloads:
        return True
    size = gigabytes(sum(entry.bytes for entry in downloads))
    held = f"{len(downloads):,} download{'s' if len(downloads) > 1 else ''} ({size})"
    if confirmed(f"Remove {held} too? They have to be fetched again.", yes):
        return True
    click.echo(f"kept {held}; --yes removes downloads without asking", err=True)
    return False


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
