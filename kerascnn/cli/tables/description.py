"""What `describe` prints of a network: its layers, its blocks, and the totals."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table as RichTable

from kerascnn.cli.tables.layout import Table, fits, number, plain, rows, words
from kerascnn.results.describe.description import BlockRow, Description, LayerRow
from kerascnn.runtime.files import gigabytes
from kerascnn.runtime.text import quantity, shape
from kerascnn.runtime.toml import as_toml

_ARITHMETIC = ("layer", "output side", "parameters")
_COSTS = ("field", "multiply-adds", "memory")


def show_description(console: Console, description: Description, batch_size: int) -> None:
    """Prints the layers that compute or change a shape, then the blocks, then the totals."""
    for table in _layers(console, description, batch_size):
        console.print(table)
        console.print()
    console.print(_blocks(description, batch_size))
    console.print()
    said = _summary(description, batch_size)
    console.print(rows((f"[bold]{label}[/bold]", plain(text)) for label, text in said.items()))


def _layers(console: Console, description: Description, batch_size: int) -> list[RichTable]:
    """One table, or two if the terminal is too narrow."""
    cells = [_cells(row, batch_size) for row in description.layers if _is_shown(row)]
    whole = _chosen(cells, tuple(cells[0]))
    if fits(console, whole):
        return [whole]
    return [_chosen(cells, _ARITHMETIC), _chosen(cells, ("layer", "kind", "output", *_COSTS))]


def _chosen(cells: list[dict[str, str]], names: Sequence[str]) -> RichTable:
    texts = [name for name in names if name not in _COSTS]
    costs = [name for name in names if name in _COSTS]
    return _table(([row[name] for name in names] for row in cells), texts, costs)


def _table(
    lines: Iterable[Sequence[str]], texts: Iterable[str], numbers: Iterable[str]
) -> RichTable:
    table = Table(*map(words, texts), *map(number, numbers))
    for cells in lines:
        table.add_row(*map(plain, cells))
    return table


def _is_shown(row: LayerRow) -> bool:
    return bool(row.parameters or row.side or row.inputs != row.output)


def _cells(row: LayerRow, batch_size: int) -> dict[str, str]:
    kernel = f" {row.kernel[0]}×{row.kernel[1]}" if row.kernel else ""
    return {
        "layer": row.name,
        "kind": f"{row.kind}{kernel}",
        "output": shape(row.output),
        "output side": row.side,
        "parameters": row.formula,
        **dict(zip(_COSTS, _costs(row, batch_size), strict=True)),
    }


def _costs(row: LayerRow | BlockRow, batch_size: int) -> tuple[str, str, str]:
    adds = "unknown" if row.multiply_adds is None else quantity(row.multiply_adds)
    return _field(row.field), adds, gigabytes(row.activation_bytes * batch_size)


def _blocks(description: Description, batch_size: int) -> RichTable:
    lines = []
    for block in description.blocks:
        counts = (str(block.layers), shape(block.output), f"{block.parameters:,}")
        lines.append((block.name, *counts, *_costs(block, batch_size)))
    return _table(lines, ("block",), ("layers", "output", "parameters", *_COSTS))


def _summary(description: Description, batch_size: int) -> dict[str, str]:
    head, side = description.blocks[-1], description.image_size
    beside = description.weighted_layers - description.depth
    in_all = f", {description.weighted_layers} including shortcuts and branches" if beside else ""
    image, batch = (gigabytes(n * description.activation_bytes) for n in (1, batch_size))
    set_to = "".join(f", {key} = {as_toml(value)}" for key, value in description.params.items())
    said = {
        "network": f"{description.name}{set_to}, for {side}×{side} images, "
        f"{description.classes:,} classes",
        "depth": f"{description.depth} layers with weights on the longest path{in_all}; without "
        "activations, pooling and normalization",
        "parameters": f"{description.parameters:,}, of which {head.parameters:,} in the head",
        "cost": f"{quantity(description.multiply_adds)} multiply-adds per image",
        "memory": f"{image} of activations per image, {batch} per batch of {batch_size}, held "
        "during training",
    }
    if description.not_counted:
        said["unknown"] = f"multiply-adds of {', '.join(description.not_counted[:5])}"
    named = " · ".join(f'"{name}"' for name in ("head", *_last_blocks(description)))
    return said | {"next": f"unfreeze in a stage: {named} · --draw FILE.png draws the blocks"}


def _last_blocks(description: Description) -> tuple[str, str]:
    return "last:1", f"{description.blocks[-2].name}*"


def _field(field: int | None) -> str:
    return "all" if field is None else f"{field}×{field}"
