"""A sweep as its storage keeps it, so that any process on any host can take part."""

from typing import TYPE_CHECKING, Any

from kerascnn.experiment.bound import bind_experiment
from kerascnn.studies.sweep.plan.asked import of_table
from kerascnn.studies.sweep.plan.load import Planned, plan

if TYPE_CHECKING:
    from optuna import Study

# Attributes of the study.
_PLAN = "kerascnn"
CLASSES = "classes"  # their names
IMAGES = "images"  # of the validation split
SECONDS = "seconds"  # spent so far


def store_plan(study: "Study", planned: Planned) -> None:
    study.set_user_attr(
        _PLAN,
        {
            "experiment": planned.experiment.resolved,
            "space": planned.tables,
            "settings": planned.settings.model_dump(mode="json"),
        },
    )


def stored_plan(study: "Study") -> Planned:
    """The sweep, checked again: its files may have changed since."""
    found: dict[str, Any] = study.user_attrs[_PLAN]
    return plan(bind_experiment(found["experiment"]), of_table(found["space"]), found["settings"])
