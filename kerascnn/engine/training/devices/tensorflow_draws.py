"""Random draws in a network on TensorFlow, which are those of one device.

Each device draws for the whole batch and takes its part: dropout and noise of an image do not
depend on the number of devices, and their generators stay alike.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kerascnn.errors import PluginError

Draw = Callable[..., Any]
_BY_SHAPE = ("stateless_normal", "stateless_truncated_normal", "stateless_uniform")
_BY_PARAMETERS = ("stateless_binomial", "stateless_categorical", "stateless_gamma")


@contextmanager
def whole_draws(number: Callable[[], Any], count: int) -> Iterator[None]:
    """In its block, what a device draws for the rows of a batch is its part.

    Args:
        number: Returns that of the device that draws, from 0.
        count: The number of devices.

    Raises:
        PluginError: A layer draws from a distribution that is not cut.
    """
    from tensorflow import random
    from tensorflow.nn import experimental

    part, dropout = _Part(number, count), "stateless_dropout"
    draws = [(random, name, part.by_shape(getattr(random, name))) for name in _BY_SHAPE]
    draws += [(random, name, _refused) for name in _BY_PARAMETERS]
    draws += [(experimental, dropout, part.dropout(getattr(experimental, dropout)))]
    before = [(module, name, getattr(module, name)) for module, name, _ in draws]
    for draw in draws:
        setattr(*draw)
    try:
        yield
    finally:
        for draw in before:
            setattr(*draw)


@dataclass(frozen=True)
class _Part:
    """A device's part of what is drawn for a batch."""

    number: Callable[[], Any]
    count: int

    def by_shape(self, plain: Draw) -> Draw:
        def draw(shape: Any, *arguments: Any, **named: Any) -> Any:
            if not _has_batch(shape):
                return plain(shape, *arguments, **named)
            return self._of(plain(self._whole(shape), *arguments, **named))

        return draw

    def dropout(self, plain: Draw) -> Draw:
        import tensorflow

        def draw(inputs: Any, *arguments: Any, noise_shape: Any = None, **named: Any) -> Any:
            shape = tensorflow.shape(inputs) if noise_shape is None else noise_shape
            if not _has_batch(shape):
                return plain(inputs, *arguments, noise_shape=shape, **named)
            ones = tensorflow.ones(self._whole(shape), inputs.dtype)
            return inputs * self._of(plain(ones, *arguments, **named))

        return draw

    def _whole(self, shape: Any) -> Any:
        import tensorflow

        shape = tensorflow.convert_to_tensor(shape)
        return tensorflow.concat([shape[:1] * self.count, shape[1:]], 0)

    def _of(self, drawn: Any) -> Any:
        import tensorflow

        rows, number = tensorflow.shape(drawn)[0] // self.count, self.number()
        return drawn[number * rows : (number + 1) * rows]


def _refused(*_: Any, **__: Any) -> Any:
    raise PluginError(
        "a layer draws gamma, beta, binomial or categorical numbers, which TensorFlow does not "
        "draw on several devices as on one. Train on one device: training.devices = 1."
    )


def _has_batch(shape: Any) -> bool:
    """Whether a shape begins with the number of a batch's rows, the only one that is not known."""
    import tensorflow

    known = tensorflow.get_static_value(tensorflow.convert_to_tensor(shape), partial=True)
    return known is None or (len(known) > 0 and known[0] is None)
