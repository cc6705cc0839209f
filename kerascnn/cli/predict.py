"""The command that classifies images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerascnn.cli.options import (
    as_json,
    calibrated,
    caution_options,
    console,
    document,
    images_argument,
    model_options,
    require_run_and_images,
    run_argument,
    tell_last,
    top_option,
)

if TYPE_CHECKING:
    from kerascnn.engine.result.run import Result
    from kerascnn.results.inference.predict import Prediction
    from kerascnn.results.known.caution import Caution


@click.command()
@run_argument
@images_argument
@top_option
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the probability of every class to this CSV file; - is standard output.",
)
@caution_options
@model_options
@as_json
def predict(
    run: str,
    images: tuple[str, ...],
    top: int,
    table: Path | None,
    reject: float | None,
    coverage: float | None,
    uncalibrated: bool,
    backend: str | None,
    as_json: bool,
) -> None:
    """Classify IMAGES (files or folders) with the model of RUN.

    RUN is a run's id, a unique prefix of one, `last`, or `models:/NAME@ALIAS`.
    """
    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.find import find_run
    from kerascnn.results.inference.predict import predict_images
    from kerascnn.results.known.caution import Caution

    class Listening(Terminal):
        files: Sequence[str] = ()

        def left_out(self, files: Sequence[str]) -> None:
            self.files = files

    require_run_and_images("predict", run, images)
    if as_json and table == Path("-"):
        raise click.UsageError(
            "--json and --csv - both write to standard output; give --csv a file."
        )
    found, terminal = calibrated(find_run(run), uncalibrated), Listening(console(stderr=True))
    classes = len(found.class_names)
    predictions = predict_images(
        found,
        images,
        top=classes,
        backend=backend or "auto",
        observer=terminal,
        reject=reject,
        coverage=coverage,
    )
    tell_last(run, found)
    if table:
        _write_table(table, found.class_names, predictions)
    if as_json:
        caution = Caution(found, reject, coverage)
        document(_described(found, predictions, top, terminal.files, caution))
    elif not table:
        _show(predictions, top)


def _described(
    run: "Result",
    predictions: "Sequence[Prediction]",
    top: int,
    left_out: Sequence[str],
    caution: "Caution",
) -> dict[str, Any]:
    return {
        "run": run.run_id,
        "temperature": run.temperature,
        "engine": predictions[0].engine,
        **caution.to_json(),
        "predictions": [{**one.to_json(), "top": one.top[:top]} for one in predictions],
        "left_out": list(left_out),
    }


def _show(predictions: "Sequence[Prediction]", top: int) -> None:
    from kerascnn.results.inference.predict import NONE_OF_THESE

    width = max(len(prediction.image) for prediction in predictions)
    for prediction in predictions:
        best = "   ".join(
            f"{guess['label']} {guess['probability']:.3f}" for guess in prediction.top[:top]
        )
        if prediction.classes is not None:
            best = f"{{{', '.join(prediction.classes)}}}   {best}"
        refused = f"{NONE_OF_THESE}   " if prediction.rejected else ""
        click.echo(f"{prediction.image:<{width}}   {refused}{best}")


def _write_table(
    file: Path, class_names: Sequence[str], predictions: "Sequence[Prediction]"
) -> None:
    """One row per image: label, its probability, what else was asked, each class's probability."""
    import csv

    with click.open_file(str(file), "w", encoding="utf-8") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        first = predictions[0].to_json()
        asked = [key for key in ("rejected", "score", "classes") if key in first]
        writer.writerow(["image", "label", "probability", *asked, *class_names])
        for one in predictions:
            of_class = {guess["label"]: guess["probability"] for guess in one.top}
            shares = (of_class[name] for name in class_names)
            more = (_cell(getattr(one, key)) for key in asked)
            writer.writerow([one.image, one.label, one.probability, *more, *shares])
    if file != Path("-"):
        click.echo(f"wrote {file}: {len(predictions):,} images", err=True)


def _cell(value: bool | float | list[str]) -> Any:
    """A set of classes as a JSON list: their names may have any separator."""
    import json

    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
