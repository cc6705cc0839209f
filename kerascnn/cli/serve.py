"""The command that serves a run's model."""

from pathlib import Path

import click

from kerascnn.cli.options import (
    calibrated,
    caution_options,
    console,
    model_options,
    run_argument,
    top_option,
)


@click.command()
@run_argument
@click.option("--port", type=int, default=5001, show_default=True, help="0 takes any free port.")
@click.option(
    "--corrections",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the page saves images under their right labels.  [default: NAME-corrections]",
)
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
@top_option
@caution_options
@model_options
def serve(
    run: str,
    port: int,
    corrections: Path | None,
    show: bool,
    top: int,
    reject: float | None,
    coverage: float | None,
    uncalibrated: bool,
    backend: str | None,
) -> None:
    """Serve the model of RUN over HTTP, on 127.0.0.1 only.

    A browser shows a page to try it on. POST an image, or JSON with base64-encoded images, to get
    labels and probabilities.
    """
    import webbrowser
    from threading import Thread

    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.find import find_run
    from kerascnn.results.known.caution import Caution
    from kerascnn.results.serving.serve import corrections_folder, listen, serve_run

    result = calibrated(find_run(run), uncalibrated)
    caution, listening = Caution(result, reject, coverage), listen(port)
    folder = (corrections or corrections_folder(result)).absolute()
    address = "http://{}:{}".format(*listening.getsockname())
    lines = (
        f"try it     {address}",
        f"from code  curl --data-binary @IMAGE {address}/invocations",
        f"saves to   {folder}",
        "Press Ctrl-C to stop.",
    )
    click.echo("\n".join(lines), err=True)
    if show:  # it waits for the server, and some browsers make their caller wait for them
        Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    serve_run(
        listening,
        result,
        top=top,
        backend=backend or "auto",
        corrections=folder,
        caution=caution,
        warned=Terminal(console(stderr=True)).warned,
    )
