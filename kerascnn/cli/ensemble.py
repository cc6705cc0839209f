"""Commands that make one classifier of others."""

import click

from kerascnn.cli.options import allow_option, as_json, backend_option, console, document


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("--name", help="Name of the experiment.  [default: that of the first RUN]")
@backend_option
@allow_option
@as_json
def ensemble(runs: tuple[str, ...], name: str | None, backend: str | None, as_json: bool) -> None:
    """Make one classifier of each RUN: the mean of their calibrated probabilities.

    RUNS are two or more ids, unique prefixes of them, or `last`, of the same classes; they may
    differ in network, image size and backend. The ensemble is a run like any other, and needs them
    no longer.
    """
    from kerascnn.cli.terminal import Terminal
    from kerascnn.results.find import runs_folder
    from kerascnn.studies.ensemble.ensemble import ensemble_runs
    from kerascnn.tracking.journal import send_pending

    terminal = Terminal(console(stderr=True))
    for sent in send_pending(runs_folder()):
        terminal.warned(sent)
    result = ensemble_runs(runs, terminal, name=name or "", backend=backend or "auto")
    if as_json:
        document(result.to_json())
