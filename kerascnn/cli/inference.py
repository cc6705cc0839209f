"""Commands that apply the model of a run: to labelled images, to explain it, to export it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kerascnn.cli.options import (
    allow_option,
    as_json,
    assignment,
    backend_option,
    calibrated,
    caution_options,
    console,
    document,
    images_argument,
    model_options,
    named,
    require_run_and_images,
    run_argument,
    tell_last,
    uncalibrated_option,
)

if TYPE_CHECKING:
    pass


@click.command()
@run_argument
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder with one folder of images per class.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write classes, confusion matrix and mistakes to this HTML file.",
)
@caution_options
@model_options
@as_json
def evaluate(
    run: str,
    data: Path,
    html: Path | None,
    reject: float | None,
    coverage: float | None,
    uncalibrated: bool,
    backend: str | None,
    as_json: bool,
) -> None:
    """Evaluate the model of RUN on other labelled images.

    RUN is a run's id, a unique prefix of one, `last`, or `models:/NAME@ALIAS`.
    """
    from kerascnn.cli.tables.inference import show_evaluation
    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.find import find_run
    from kerascnn.results.inference.evaluate import evaluate_run

    found, terminal = calibrated(find_run(run), uncalibrated), Terminal(console(stderr=True))
    evaluation = evaluate_run(
        found,
        data,
        backend=backend or "auto",
        observer=terminal,
        reject=reject,
        coverage=coverage,
    )
    tell_last(run, found)
    if as_json:
        document(evaluation.to_json())
    else:
        show_evaluation(console(), evaluation)
    if html:
        from kerascnn.results.inference.evaluation_page import write_evaluation

        write_evaluation(evaluation, html)
        click.echo(f"wrote {html}", err=True)


@click.command()
@run_argument
@images_argument
@click.option(
    "--layer",
    "layers",
    metavar="NAME",
    multiple=True,
    help="A layer to show feature maps of; may be repeated.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A file, or a folder for several images.  [default: IMAGE-explained.png]",
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
    """Draw how the network of RUN classifies IMAGES.

    The figure shows kernels, the sum of one filter, feature maps, Grad-CAM and softmax. RUN is a
    run's id, a unique prefix of one, or `last`. `kerascnn describe RUN` lists the layers.
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


@click.command()
@run_argument
@click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    required=True,
    shell_complete=named("exporter"),
    help="An exporter, such as keras or onnx; `plugins list --kind exporter` lists them.",
)
@click.option(
    "--set", "params", metavar="KEY=VALUE", multiple=True, help="A parameter of the exporter."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="The file or folder to write.  [default: NAME-RUN.SUFFIX, or NAME-RUN-FORMAT]",
)
@uncalibrated_option
@allow_option
@as_json
def export(
    run: str,
    format_: str,
    params: tuple[str, ...],
    output: Path | None,
    uncalibrated: bool,
    as_json: bool,
) -> None:
    """Convert the model of RUN for another runtime, and check it.

    The check runs what was written and compares its output with that of Keras. RUN is a run's id, a
    unique prefix of one, or `last`.
    """
    from kerascnn.cli.tables.inference import show_export
    from kerascnn.results.export.export import export_run
    from kerascnn.results.find import find_run

    result = calibrated(find_run(run), uncalibrated)
    exported = export_run(result, format_, output, dict(map(assignment, params)))
    tell_last(run, result)
    if as_json:
        document(exported.to_json())
    else:
        show_export(console(), exported)
