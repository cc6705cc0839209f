"""Commands on runs that there are."""

from pathlib import Path

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    backend_option,
    calibrated,
    console,
    document,
    require_run_and_images,
    tell_last,
    uncalibrated_option,
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
@click.argument("run")
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
@click.argument("run")
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
@click.argument("run")
@click.option("--port", type=int, default=5001, show_default=True, help="0 is any that is free.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True)
@uncalibrated_option
@backend_option
@allow_option
def serve(run: str, port: int, top: int, uncalibrated: bool, backend: str | None) -> None:
    """Answer over HTTP with the model of RUN, at 127.0.0.1 alone.

    An image, or JSON with base64 of images, comes back as labels and probabilities.
    """
    from kerascnn.results.find import find_run
    from kerascnn.results.inference.serve import listen, serve_run

    result, listening = calibrated(find_run(run), uncalibrated), listen(port)
    address = "http://{}:{}/invocations".format(*listening.getsockname())
    click.echo(f"Ctrl-C ends it\ncurl --data-binary @IMAGE {address}", err=True)
    serve_run(listening, result, top=top, backend=backend or "auto")


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


def _send_pending() -> None:
    from kerascnn.results.find import runs_folder
    from kerascnn.tracking.journal import send_pending

    for said in send_pending(runs_folder()):
        click.echo(said, err=True)


@click.command()
@click.argument("run")
@click.option(
    "--format",
    "format_",
    required=True,
    type=click.Choice(["keras", "saved_model", "onnx", "litert"]),
)
@click.option("--output", type=click.Path(path_type=Path), help="Default: NAME-RUN in this folder.")
@uncalibrated_option
@allow_option
@as_json
def export(run: str, format_: str, output: Path | None, uncalibrated: bool, as_json: bool) -> None:
    """Write the model of RUN for another runtime, and check there that it says the same.

    RUN is a run's id, a unique prefix of one, or `last`.
    """
    from kerascnn.cli.tables.runs import show_export
    from kerascnn.results.export.export import export_run
    from kerascnn.results.find import find_run

    exported = export_run(calibrated(find_run(run), uncalibrated), format_, output)
    if as_json:
        document(exported.to_json())
    else:
        show_export(console(), exported)


@click.command()
@click.argument("run")
@click.argument("images", nargs=-1)
@click.option(
    "--layer", "layers", metavar="NAME", multiple=True, help="Show its maps; may be repeated."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A file, or a folder for several.  [default: IMAGE-explained.png in this folder]",
)
@backend_option
@allow_option
@as_json
def visualize(
    run: str,
    images: tuple[str, ...],
    layers: tuple[str, ...],
    output: Path | None,
    backend: str | None,
    as_json: bool,
) -> None:
    """Draw what the network of RUN does with IMAGES: kernels, sums, maps, Grad-CAM, softmax.

    RUN is a run's id, a unique prefix of one, or `last`. `kerascnn describe RUN` names the layers.
    """
    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.find import find_run
    from kerascnn.results.visualize.explain import explain_images
    from kerascnn.results.visualize.figure import save_explained

    require_run_and_images("visualize", run, images)
    found = find_run(run)
    explained = explain_images(found, images, layers, backend=backend or "auto")
    files = save_explained(explained, output, Terminal(console(stderr=True)))
    tell_last(run, found)
    if as_json:
        document(
            [
                {"image": of.name, "file": str(file)}
                for of, file in zip(explained, files, strict=True)
            ]
        )
        return
    for file in files:
        click.echo(str(file))
