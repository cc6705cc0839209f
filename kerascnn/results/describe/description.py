"""A network in numbers."""

from dataclasses import asdict, dataclass, field
from typing import Any

from kerascnn.runtime.screen import first_rows, screen


@dataclass(frozen=True)
class LayerRow:
    """A layer of a network.

    Args:
        kind: Its class.
        block: What stages call the part that it is in.
        kernel: Height and width in pixels, or None.
        stride: In pixels, or None.
        padding: Pixels added along the side, before and after; Keras's "same" adds the odd one
            after.
        inputs: Shape of what comes in, without the batch's; of several the first.
        output: Shape of what goes out.
        side: The side of the output from that of the input, (W - F + 2P)/S + 1; "" without kernel.
        parameters: Number of weights, 0 where an earlier row has counted them.
        formula: How that number comes about.
        multiply_adds: For one image; 0 for what papers leave out (normalization, activations,
            pooling), None for a layer of a kind that is not known.
        field: Side of the smallest square that holds what one output pixel sees of the image, in
            pixels; None for all of it. Gates, such as those of squeeze-and-excitation, are left
            aside.
        activation_bytes: Of the output, for one image.
        weighted: Whether textbooks count it: a convolution or a dense layer.
    """

    name: str
    kind: str
    block: str
    kernel: tuple[int, int] | None
    stride: int | None
    padding: tuple[int, int] | None
    inputs: tuple[int, ...]
    output: tuple[int, ...]
    side: str
    parameters: int
    formula: str
    multiply_adds: int | None
    field: int | None
    activation_bytes: int
    weighted: bool


@dataclass(frozen=True)
class BlockRow:
    """A block that stages can name, and its layers together."""

    name: str
    layers: int
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    field: int | None
    activation_bytes: int


@dataclass(frozen=True)
class Description:
    """A network in numbers.

    Args:
        depth: The most layers with weights between an image and its class: the number that
            networks are named after (ResNet50), in which shortcuts do not count.
        weighted_layers: All layers with weights, those beside the longest way too.
        activation_bytes: Of the outputs of all layers, for one image.
        not_counted: Names of layers of kinds whose multiply-adds are not known.
        params: The architecture's parameters that are not its defaults.
    """

    name: str
    image_size: int
    classes: int
    depth: int
    weighted_layers: int
    parameters: int
    multiply_adds: int
    activation_bytes: int
    not_counted: tuple[str, ...]
    blocks: tuple[BlockRow, ...]
    layers: tuple[LayerRow, ...]
    params: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        rows = [
            (block.name, f"{block.layers:,} layers, {block.parameters:,} parameters")
            for block in self.blocks
        ]
        return screen(
            f"{self.name} at {self.image_size} px · {self.depth} deep · {self.parameters:,} "
            f"parameters · {self.multiply_adds / 1e6:,.0f} M multiply-adds",
            first_rows(rows),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
