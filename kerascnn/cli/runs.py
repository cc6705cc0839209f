"""Commands on runs that there are."""

from pathlib import Path

import click

from kerascnn.cli.options import allow_option, as_json, backend_option, console, document, tell_last
from kerascnn.errors import InputError


@click.command()
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True)
@backend_option
@allow_option
@as_json
def predict(
    run: str, images: tuple[str, ...], top: int, backend: str | None, as_json: bool
) -> None:
    """Predict the classes of IMAGES, pictures or folders of them, with the model of RUN.

    RUN is a run's id, a unique prefix of one, `last`, or `models:/NAME@ALIAS`.
    """
    from kerascnn.predict import predict_images
    from kerascnn.runs import find_run
    from kerascnn.terminal import Terminal

    found, terminal = find_run(run), Terminal(console(stderr=True))
    predictions = predict_images(
        found, images, top=top, backend=backend or "auto", observer=terminal
    )
    tell_last(run, found)
    if as_json:
        document([prediction.to_json() for prediction in predictions])
        return
    width = max(len(prediction.image) for prediction in predictions)
    for prediction in predictions:
        best = "   ".join(
            f"{guess['label']} {guess['probability']:.3f}" for guess in prediction.top
        )
        click.echo(f"{prediction.image:<{width}}   {best}")


@click.command()
@click.argument("run")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="A folder of classes.")
@backend_option
@allow_option
@as_json
def evaluate(run: str, data: Path, backend: str | None, as_json: bool) -> None:
    """Evaluate the model of RUN on other pictures.

    RUN is a run's id, a unique prefix of one, `last`, or `models:/NAME@ALIAS`.
    """
    from kerascnn.evaluate import evaluate_run
    from kerascnn.runs import find_run
    from kerascnn.tables.runs import show_metrics
    from kerascnn.terminal import Terminal

    found, terminal = find_run(run), Terminal(console(stderr=True))
    metrics = evaluate_run(found, data, backend=backend or "auto", observer=terminal)
    tell_last(run, found)
    if as_json:
        document(metrics.to_json())
    else:
        show_metrics(console(), metrics)


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
    pictures of the last one.
    """
    from kerascnn.compare import compare_runs
    from kerascnn.runs import all_runs
    from kerascnn.tables.comparison import show_comparison
    from kerascnn.terminal import Terminal

    _send_pending()
    terminal = Terminal(console(stderr=True))
    comparison = compare_runs(runs, by_seed=seeds, data=data, observer=terminal)
    if as_json:
        document(comparison.to_json())
    else:
        show_comparison(console(), comparison)
    if html:
        from kerascnn.report.comparison import log_comparison, write_comparison

        write_comparison(comparison, html)
        click.echo(f"wrote {html}", err=True)
        compared = len(comparison.results) > 1 and not comparison.refusal
        if compared and (unsent := log_comparison(comparison)):
            click.echo(unsent, err=True)
    if comparison.refusal:
        raise InputError(comparison.refusal)
    if not runs and (others := len(all_runs()) - len(comparison.results)):
        click.echo(
            f"{others} more here were judged on other pictures; `kerascnn compare RUN RUN` shows "
            "those that are named.",
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

    from kerascnn.report.write import report_run
    from kerascnn.terminal import Terminal

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

    from kerascnn.registry import register_run
    from kerascnn.runs import find_run

    _send_pending()
    registered = register_run(find_run(run), name, alias)
    if as_json:
        document(asdict(registered))
        return
    click.echo(f"{registered.name} version {registered.version}: run {registered.run_id[:8]}")
    click.echo(f"kerascnn predict {registered.uri} PICTURE", err=True)


@click.command()
@click.argument("run")
@click.option("--port", type=int, default=5001, show_default=True, help="0 is any that is free.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True)
@backend_option
@allow_option
def serve(run: str, port: int, top: int, backend: str | None) -> None:
    """Answer over HTTP with the model of RUN, at 127.0.0.1 alone.

    A picture, or JSON with base64 of pictures, comes back as labels and probabilities.
    """
    from kerascnn.runs import find_run
    from kerascnn.serve import listen, serve_run

    result, listening = find_run(run), listen(port)
    address = "http://{}:{}/invocations".format(*listening.getsockname())
    click.echo(f"curl --data-binary @PICTURE {address}   (Ctrl-C ends it)", err=True)
    serve_run(listening, result, top=top, backend=backend or "auto")


@click.command()
@click.option("--port", type=int, default=5000, show_default=True)
def ui(port: int) -> None:
    """Open MLflow's page on the store of this folder, at 127.0.0.1."""
    from kerascnn.secrets import shown_uri
    from kerascnn.serve import show_page
    from kerascnn.tracking.store import is_server, tracking_uri

    _send_pending()
    if is_server(tracking_uri()):
        click.echo(shown_uri(tracking_uri()))  # which has its own page
        return
    click.echo(f"http://127.0.0.1:{port}   (Ctrl-C ends it)", err=True)
    raise click.exceptions.Exit(show_page(port))


def _send_pending() -> None:
    from kerascnn.journal import send_pending
    from kerascnn.runs import runs_folder

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
@allow_option
@as_json
def export(run: str, format_: str, output: Path | None, as_json: bool) -> None:
    """Write the model of RUN for another runtime, and check there that it says the same.

    RUN is a run's id, a unique prefix of one, or `last`.
    """
    from kerascnn.export import export_run
    from kerascnn.tables.runs import show_export

    exported = export_run(run, format_, output)
    if as_json:
        document(exported.to_json())
    else:
        show_export(console(), exported)


@click.command()
@click.argument("run")
@click.argument("images", nargs=-1, required=True)
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
    from kerascnn.runs import find_run
    from kerascnn.terminal import Terminal
    from kerascnn.visualize import explain_images, save_explained

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
