"""Random draws in a network on TensorFlow, which are those of one device.

Each device draws for the whole batch and takes its part: dropout and noise of an image do not depend
on the number of devices, and their generators stay alike.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kerascnn.errors import PluginError

_BY_SHAPE = ("stateless_normal", "stateless_truncated_normal", "stateless_uniform")
_BY_PARAMETERS = ("stateless_binomial", "stateless_categorical", "stateless_gamma")


@contextmanager
def whole_draws(count: int) -> Iterator[None]:
    """In its block, what a device draws for the rows of a batch is its part.

    Raises:
        PluginError: A layer draws from a distribution that is not cut.
    """
    import tensorflow

    random, experimental = tensorflow.random, tensorflow.nn.experimental
    draws = [(random, name, _by_shape(getattr(random, name), count)) for name in _BY_SHAPE]
    draws += [(random, name, _refused) for name in _BY_PARAMETERS]
    dropout = experimental.stateless_dropout
    draws += [(experimental, "stateless_dropout", _dropout(dropout, count))]
    before = [(module, name, getattr(module, name)) for module, name, _ in draws]
    for draw in draws:
        setattr(*draw)
    try:
        yield
    finally:
        for draw in before:
            setattr(*draw)


def _by_shape(plain: Callable[..., Any], count: int) -> Callable[..., Any]:
    def draw(shape: Any, *arguments: Any, **named: Any) -> Any:
        if not _has_batch(shape):
            return plain(shape, *arguments, **named)
        return _part(plain(_whole(shape, count), *arguments, **named), count)

    return draw


def _dropout(plain: Callable[..., Any], count: int) -> Callable[..., Any]:
    import tensorflow

    def draw(inputs: Any, *arguments: Any, noise_shape: Any = None, **named: Any) -> Any:
        shape = tensorflow.shape(inputs) if noise_shape is None else noise_shape
        if not _has_batch(shape):
            return plain(inputs, *arguments, noise_shape=shape, **named)
        ones = tensorflow.ones(_whole(shape, count), inputs.dtype)
        return inputs * _part(plain(ones, *arguments, **named), count)

    return draw


def _refused(*_: Any, **__: Any) -> Any:
    raise PluginError(
        "a layer draws gamma, beta, binomial or categorical numbers, which TensorFlow does not draw "
        "on several devices as on one. Train on one device: training.devices = 1."
    )


def _has_batch(shape: Any) -> bool:
    """Whether a shape begins with the number of a batch's rows, the only one that is not known."""
    import tensorflow

    known = tensorflow.get_static_value(tensorflow.convert_to_tensor(shape), partial=True)
    return known is None or (len(known) > 0 and known[0] is None)


def _whole(shape: Any, count: int) -> Any:
    import tensorflow

    shape = tensorflow.convert_to_tensor(shape)
    return tensorflow.concat([shape[:1] * count, shape[1:]], 0)


def _part(drawn: Any, count: int) -> Any:
    import tensorflow

    rows = tensorflow.shape(drawn)[0] // count
    first = tensorflow.distribute.get_replica_context().replica_id_in_sync_group * rows
    return drawn[first : first + rows]
