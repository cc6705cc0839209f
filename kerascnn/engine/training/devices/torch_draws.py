"""Random draws in a network on PyTorch, which are those of one device.

Each process draws for the whole batch and takes its part: dropout and noise of an image do not
depend on the number of processes, and their generators stay alike.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def whole_draws(rank: int, count: int) -> Iterator[None]:
    """In its block, what is drawn for the rows of a batch is this process's part."""
    import torch
    from torch.overrides import TorchFunctionMode

    def part(drawn: Any) -> Any:
        rows = len(drawn) // count
        return drawn[rank * rows : (rank + 1) * rows]

    def whole(size: Any) -> tuple[int, ...]:
        return (size[0] * count, *size[1:])

    class Draws(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, arguments: Any = (), named: Any = None
        ) -> Any:
            named = named or {}
            if function is torch.nn.functional.dropout:
                inputs = arguments[0]
                ones = torch.ones(whole(inputs.shape), dtype=inputs.dtype, device=inputs.device)
                return inputs * part(function(ones, *arguments[1:], **named))
            if function in (torch.rand, torch.normal, torch.randint) and named.get("size"):
                return part(function(*arguments, **{**named, "size": whole(named["size"])}))
            if function is torch.bernoulli:
                chances = arguments[0]
                return part(function(chances.repeat(count, *[1] * (chances.ndim - 1)), **named))
            return function(*arguments, **named)

    with Draws():
        yield
