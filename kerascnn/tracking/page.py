"""MLflow's web page: the address of an experiment's table of runs, with a choice of columns."""

import json
from typing import Any

VIEW = "kerascnn"  # the key of a shared view
COLUMNS = ("test_accuracy", "val_accuracy")


def runs_table(client: Any, experiment: str | None) -> str:
    """The fragment of the page's address for the table of runs.

    Args:
        client: Of the store.
        experiment: The experiment's name; None if there is no run yet.
    """
    found = client.get_experiment_by_name(experiment) if experiment else None
    if found is None:
        return "#/experiments"
    tag, view = f"mlflow.sharedViewState.{VIEW}", json.dumps(_view())
    if found.tags.get(tag) != view:
        client.set_experiment_tag(found.experiment_id, tag, view)
    return f"#/experiments/{found.experiment_id}/runs?viewStateShareKey={VIEW}"


def _view() -> dict[str, Any]:
    return {"selectedColumns": [f"metrics.`{name}`" for name in COLUMNS]}
