"""Commands on what lies around: the cache, the installation."""

import click

from kerascnn.cli.options import allow_option, as_json, console, document


@click.group()
def cache() -> None:
    """See or empty the folder of packed pictures, activations and downloads."""


@cache.command("list")
@as_json
def list_cache(as_json: bool) -> None:
    """List what the cache holds, the last used first."""
    from kerascnn.cache import cache_folder, entries, limit_bytes
    from kerascnn.tables.upkeep import cache_document, show_cache

    folder, limit, held = cache_folder(), limit_bytes(), entries()
    if as_json:
        document(cache_document(folder, limit, held))
    else:
        show_cache(console(), folder, limit, held)


@cache.command()
@click.option(
    "--kind",
    type=click.Choice(["packed", "activations", "databases", "downloads"]),
    help="Default: all.",
)
@as_json
def clear(kind: str | None, as_json: bool) -> None:
    """Empty the cache, but for what is in use.

    Packed pictures and activations are made again when they are needed; downloads are fetched.
    """
    from dataclasses import asdict

    from kerascnn.cache import clear as clear_cache
    from kerascnn.files import gigabytes

    removed = clear_cache(kind)
    freed = sum(entry.bytes for entry in removed)
    if as_json:
        document({"bytes": freed, "removed": [asdict(entry) for entry in removed]})
    else:
        entries = "entry" if len(removed) == 1 else "entries"
        click.echo(f"removed {len(removed):,} {entries}, {gigabytes(freed)}")


@click.command()
@allow_option
@as_json
def doctor(as_json: bool) -> None:
    """Tell what is installed, where things are, what is wrong."""
    from kerascnn.doctor import examine
    from kerascnn.tables.upkeep import show_examination

    findings = examine()
    if as_json:
        document(findings)
    else:
        show_examination(console(), findings)
    if findings["problems"]:
        raise click.exceptions.Exit(1)
