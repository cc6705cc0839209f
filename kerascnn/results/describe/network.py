"""Describes the network of an architecture or of a run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from pydantic import ValidationError

from kerascnn.components.component import BoundComponent
from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.network.build import HEAD, Built, build_network
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError, did_you_mean
from kerascnn.experiment.choices import Choice
from kerascnn.experiment.problems import explain
from kerascnn.results.describe.description import BlockRow, Description, LayerRow
from kerascnn.results.describe.receptive_field import Walk
from kerascnn.results.find import find_run
from kerascnn.runtime.arguments import expect
from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.commands import command
from kerascnn.runtime.process import contained


@contained()
def describe_network(
    what: str | Result,
    *,
    params: Mapping[str, Any] | None = None,
    image_size: int | None = None,
    classes: int | None = None,
    backend: str = "auto",
) -> Description:
    """Describes a network; downloads no weights.

    Args:
        what: The name of an architecture, described with the classifier of its paper if its
            parameter `top` has that, or a run: its id, a unique prefix of it, "last", or a result.
        params: Parameters of the architecture that override its defaults or those of the run.
        image_size: Pixels; default that of the run, else 224.
        classes: Number of classes; default that of the run, else the 1000 of ImageNet.
        backend: "tensorflow", "jax", "torch", or "auto": any.

    Raises:
        InputError: There is no such architecture or run, or it cannot be built with these values.
    """
    registry = load_registry()
    choice, run_size, run_classes = _chosen(what, registry)
    trained = registry.get("architecture", choice.name).component.trained
    if trained and what != choice.name and not (params or image_size or classes):
        start_backend(backend)
        return describe_built(_saved(find_run(what).model), choice.name)
    choice = Choice(**{**choice.params, **(params or {}), "name": choice.name})
    start_backend(backend)
    architecture = _bound(choice, registry)
    network = build_network(
        architecture, image_size=image_size or run_size, num_classes=classes or run_classes
    )
    set_to = architecture.params.model_dump(mode="json", exclude_defaults=True, exclude={"weights"})
    return replace(describe_built(network, choice.name), params=set_to)


def _chosen(what: str | Result, registry: Registry) -> tuple[Choice, int, int]:
    expect(what, (str, Result), "what", " Give an architecture or a run.")
    names = registry.names("architecture")
    if isinstance(what, str) and what in names:
        return Choice(name=what, **_of_its_paper(what, registry)), 224, 1000
    if isinstance(what, str) and not re.fullmatch(r"last|[0-9a-f]+|models:/.+", what):
        raise InputError(
            f'there is neither an architecture nor a run "{what}".{did_you_mean(what, names)} '
            f"List them with `{command('plugins', 'list', '--kind', 'architecture')}` or "
            f"`{command('runs', 'list')}`."
        )
    run = find_run(what)
    size = run.training.image_size
    return Choice(**run.experiment["architecture"]), size, len(run.class_names)


def _saved(model: Any) -> Built:
    """A saved ensemble, which needs its members no longer; each is a block."""
    block_of = {layer.name: layer.name.split("_")[0] for layer in model.layers}
    weighted = dict.fromkeys(block_of[layer.name] for layer in model.layers if layer.weights)
    blocks = tuple(block for block in weighted if block != HEAD)
    return Built(model, block_of, blocks)


def _of_its_paper(name: str, registry: Registry) -> dict[str, str]:
    top = registry.get("architecture", name).component.params.model_fields.get("top")
    return {"top": "original"} if top and "original" in get_args(top.annotation) else {}


def _bound(choice: Choice, registry: Registry) -> BoundComponent:
    registered = registry.get("architecture", choice.name)
    params = registered.component.params
    if "weights" in params.model_fields:  # their values do not matter here
        choice = Choice(**{**choice.params, "name": choice.name, "weights": "none"})
    try:
        return registered.bind(choice.params)
    except ValidationError as error:
        problems = explain(error, params, choice.params)
        raise InputError("\n".join(f"--set {problem}" for problem in problems)) from error


def describe_built(network: Built, name: str) -> Description:
    """Describes a network that has been built."""
    model = network.model
    walk = Walk(network.block_of)
    rows = tuple(_in_blocks(walk.rows(model), network.blocks[0]))
    return Description(
        name=name,
        image_size=model.input_shape[1],
        classes=model.output_shape[-1],
        depth=walk.behind(model.output).depth,
        weighted_layers=sum(row.weighted for row in rows),
        parameters=sum(row.parameters for row in rows),
        multiply_adds=sum(row.multiply_adds or 0 for row in rows),
        activation_bytes=sum(row.activation_bytes for row in rows),
        not_counted=tuple(row.name for row in rows if row.multiply_adds is None),
        blocks=tuple(_block(block, rows) for block in (*network.blocks, HEAD)),
        layers=rows,
    )


def _in_blocks(rows: Iterator[LayerRow], block: str) -> Iterator[LayerRow]:
    """Assigns layers without weights, such as pooling, to the block before them."""
    for row in rows:
        block = row.block or block
        yield replace(row, block=block)


def _block(name: str, rows: Sequence[LayerRow]) -> BlockRow:
    own = [row for row in rows if row.block == name]
    return BlockRow(
        name=name,
        layers=sum(row.weighted for row in own),
        output=own[-1].output,
        parameters=sum(row.parameters for row in own),
        multiply_adds=sum(row.multiply_adds or 0 for row in own),
        field=own[-1].field,
        activation_bytes=sum(row.activation_bytes for row in own),
    )
