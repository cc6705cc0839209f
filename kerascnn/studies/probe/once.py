"""Reports each event once, although several networks cause it."""

from collections.abc import Sequence

from kerascnn.engine.observer import Observer


class Once(Observer):
    """Passes events to another observer, without repeating the start, notes or warnings."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._said: set[str] = set()

    def _first(self, said: str) -> bool:
        first = said not in self._said
        self._said.add(said)
        return first

    def started(self, name: str, backend: str, device: str) -> None:
        if self._first("started"):
            self._observer.started(name, backend, device)

    def download(self, name: str, done: int, total: int | None) -> None:
        self._observer.download(name, done, total)

    def progress(self, what: str, done: int, total: int) -> None:
        self._observer.progress(what, done, total)

    def data_noted(self, notes: Sequence[str], state: str) -> None:
        if self._first(state):
            self._observer.data_noted(notes, state)

    def warned(self, message: str) -> None:
        if self._first(message):
            self._observer.warned(message)
