"""Parts of a network that are built once for all networks that contain them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Share = Callable[[Sequence[Any], Callable[[], Any]], Any]

_shares: list[Share] = []


def build_once(decides: Sequence[Any], make: Callable[[], Any]) -> Any:
    """Builds a part of a network once for all networks of a study that contain it.

    An architecture calls it for its backbone, so that trials which differ in the classifier alone
    share that.

    Args:
        decides: All that decides the model: its name, the image size, the weights.
        make: Returns a functional `keras.Model`. What it draws at random is the same each time.

    Returns:
        That model, to be put under other layers and not changed otherwise.
    """
    return _shares[-1](decides, make) if _shares else make()


@contextmanager
def shared(share: Share) -> Iterator[None]:
    """Lets `share` answer `build_once` in its block."""
    _shares.append(share)
    try:
        yield
    finally:
        _shares.pop()
