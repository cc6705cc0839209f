"""How a batch is cut into micro-batches."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MicroBatches:
    """How a batch is cut into micro-batches; all but the last have the same size.

    Of devices that compute a batch as one, each cuts its own part, which lie one after another.

    Args:
        rows: Images in a batch.
        most: How many micro-batches there may be; a few images make fewer.
        devices: How many parts the batch has.
    """

    rows: int
    most: int = 1
    devices: int = 1

    @property
    def each(self) -> int:
        """Images in a micro-batch, of all devices."""
        return -(-self._part // self.most) * self.devices

    @property
    def whole(self) -> int:
        """How many micro-batches have that size."""
        return self.rows // self.each

    @property
    def last(self) -> int:
        """Images in the last one, if it is smaller; else 0."""
        return self.rows % self.each

    @property
    def count(self) -> int:
        return self.whole + (self.last > 0)

    @property
    def _part(self) -> int:
        return self.rows // self.devices

    def cut(self, array: Any, number: Any, rows: int) -> Any:
        """Of an array [B, ...], the part [rows, ...] that belongs to a micro-batch.

        Args:
            number: Of the micro-batch, from 0; may be a tensor.
            rows: `each` or `last`.
        """
        from keras import ops

        shape = tuple(array.shape[1:])
        parts = ops.reshape(array, (self.devices, self._part, *shape))
        first = number * (self.each // self.devices)
        some = ops.slice(
            parts, (0, first, *[0] * len(shape)), (self.devices, rows // self.devices, *shape)
        )
        return ops.reshape(some, (rows, *shape))
