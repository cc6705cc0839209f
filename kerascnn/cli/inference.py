"""Commands that apply the model of a run to images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from kerascnn.results.inference.predict import Prediction


@click.command()
@click.argument("run")
@click.argument("images", nargs=-1)
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write a table with the probability of every class to this file; - is standard output.",
)
@uncalibrated_option
@backend_option
@allow_option
@as_json
def predict(
    run: str,
    images: tuple[str, ...],
    top: int,
    table: Path | None,
    uncalibrated: bool,
    backend: str | None,
    as_json: bool,
) -> None:
    """Predict the classes of IMAGES, files or folders of them, with the model of RUN.

    RUN is a run's id, a unique prefix of one, `last`, or `models:/NAME@ALIAS`.
    """
    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.find import find_run
    from kerascnn.results.inference.predict import predict_images

    class Listening(Terminal):
        files: Sequence[str] = ()

        def left_out(self, files: Sequence[str]) -> None:
            self.files = files

    require_run_and_images("predict", run, images)
    if as_json and table == Path("-"):
        raise click.UsageError("--json and --csv - both write to standard output; name a file.")
    found, terminal = calibrated(find_run(run), uncalibrated), Listening(console(stderr=True))
    classes = len(found.class_names)
    predictions = predict_images(
        found, images, top=classes, backend=backend or "auto", observer=terminal
    )
    tell_last(run, found)
    if table:
        _write_table(table, found.class_names, predictions)
    if as_json:
        document(
            {
                "run": found.run_id,
                "temperature": found.temperature,
                "predictions": [
                    {**prediction.to_json(), "top": prediction.top[:top]}
                    for prediction in predictions
                ],
                "left_out": list(terminal.files),
            }
        )
    elif not table:
        _show(predictions, top)


def _show(predictions: "Sequence[Prediction]", top: int) -> None:
    width = max(len(prediction.image) for prediction in predictions)
    for prediction in predictions:
        best = "   ".join(
            f"{guess['label']} {guess['probability']:.3f}" for guess in prediction.top[:top]
        )
        click.echo(f"{prediction.image:<{width}}   {best}")


def _write_table(
    file: Path, class_names: Sequence[str], predictions: "Sequence[Prediction]"
) -> None:
    """An image a line: its label with the probability, and the probability of each class."""
    import csv

    with click.open_file(str(file), "w", encoding="utf-8") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(["image", "label", "probability", *class_names])
        for one in predictions:
            of_class = {guess["label"]: guess["probability"] for guess in one.top}
            shares = (of_class[name] for name in class_names)
            writer.writerow([one.image, one.label, one.probability, *shares])
    if file != Path("-"):
        click.echo(f"wrote {file}: {len(predictions):,} images", err=True)


@click.command()
@click.argument("run")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="A folder of classes.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page to this file: classes, confusion matrix, mistakes.",
)
@uncalibrated_option
@backend_option
@allow_option
@as_json
def evaluate(
    run: str,
    data: Path,
    html: Path | None,
    uncalibrated: bool,
    backend: str | None,
    as_json: bool,
) -> None:
    """Evaluate the model of RUN on other images.

    RUN is a run's id, a unique prefix of one, `last`, or `models:/NAME@ALIAS`.
    """
    from kerascnn.cli.tables.runs import show_evaluation
    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.find import find_run
    from kerascnn.results.inference.evaluate import evaluate_run

    found, terminal = calibrated(find_run(run), uncalibrated), Terminal(console(stderr=True))
    evaluation = evaluate_run(found, data, backend=backend or "auto", observer=terminal)
    tell_last(run, found)
    if as_json:
        document(evaluation.to_json())
    else:
        show_evaluation(console(), evaluation)
    if html:
        from kerascnn.results.inference.evaluation_page import write_evaluation

        write_evaluation(evaluation, html)
        click.echo(f"wrote {html}", err=True)
