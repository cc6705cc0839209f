"""Commands on runs that there are."""

import sys
from pathlib import Path

import click

from kerascnn.cli.options import allow_option, as_json, backend_option, console, document


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
    """Predict the classes of IMAGES with the model of RUN.

    RUN is a run's id, a unique prefix of one, or `last`.
    """
    from kerascnn.predict import predict_images

    predictions = predict_images(run, images, top=top, backend=backend or "auto")
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

    RUN is a run's id, a unique prefix of one, or `last`.
    """
    from kerascnn.evaluate import evaluate_run
    from kerascnn.tables import show_metrics

    metrics = evaluate_run(run, data, backend=backend or "auto")
    if as_json:
        document(metrics.to_json())
    else:
        show_metrics(console(), metrics)


@click.command()
@click.argument("runs", nargs=-1)
@as_json
def compare(runs: tuple[str, ...], as_json: bool) -> None:
    """Compare RUNS: accuracy, time, size, settings that differ.

    RUNS are ids, unique prefixes of them, or `last`; without any, those that were judged on the
    pictures of the last one.
    """
    from dataclasses import asdict

    from kerascnn.compare import compare_runs
    from kerascnn.journal import send_pending
    from kerascnn.runs import runs_folder
    from kerascnn.tables import show_comparison

    send_pending(runs_folder())
    compared = compare_runs(runs)
    if as_json:
        document([asdict(run) for run in compared])
    else:
        show_comparison(console(), compared)


@click.command()
@click.option("--port", type=int, default=5000, show_default=True)
def ui(port: int) -> None:
    """Open MLflow's page on the store of this folder, at 127.0.0.1."""
    import subprocess

    from kerascnn.journal import send_pending
    from kerascnn.runs import runs_folder
    from kerascnn.tracking import tracking_uri

    for sent in send_pending(runs_folder()):
        click.echo(sent, err=True)
    click.echo(f"http://127.0.0.1:{port}   (Ctrl-C ends it)", err=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", tracking_uri()]
    raise click.exceptions.Exit(
        subprocess.run(
            [*command, "--host", "127.0.0.1", "--port", str(port)], check=False
        ).returncode
    )
