"""The metrics that finished runs list, built again for other images or other runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import ValidationError

from kerascnn.components.component import BoundComponent
from kerascnn.components.registry import load_registry
from kerascnn.engine.metrics.named import NamedMetric, build_metrics
from kerascnn.engine.result.outcome import Outcome
from kerascnn.errors import InputError
from kerascnn.experiment.metrics import metric_name


def listed_metrics(
    results: Iterable[Outcome], warned: Callable[[str], None]
) -> dict[str, BoundComponent]:
    """The metrics that any of the runs lists; of different ones with one name, the first.

    One that is no longer installed is left out, with a warning.
    """
    registry, found = load_registry(), dict[str, BoundComponent]()
    for table in (table for result in results for table in result.experiment.get("metrics", ())):
        params = {key: value for key, value in table.items() if key != "name"}
        try:
            bound = registry.get("metric", table["name"]).bind(params)
        except (InputError, ValidationError) as error:
            warned(f'without the metric "{table["name"]}": {error}')
        else:
            found.setdefault(metric_name(bound), bound)
    return found


def built_metrics(
    components: Mapping[str, BoundComponent],
    class_names: Sequence[str],
    warned: Callable[[str], None],
) -> list[NamedMetric]:
    """Those of the metrics that fit the classes; the others are left out, with a warning."""
    built = list[NamedMetric]()
    for name, bound in components.items():
        try:
            built += build_metrics({name: bound}, class_names)
        except InputError as error:
            warned(f'without the metric "{name}": {error}')
    return built
