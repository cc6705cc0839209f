"""Events of a run: the methods do nothing; override those that you display or pass on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import kerascnn
from kerascnn.runtime.background import CallError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kerascnn.engine.events import Overview, StageStart
    from kerascnn.engine.result.run import Result
    from kerascnn.engine.training.listener import Epoch
    from kerascnn.engine.training.stage_result import StageResult


def default_observer() -> "Observer":
    """The default for scripts and notebooks: shows the same as the terminal."""
    return kerascnn.default_observer()


class Observer:
    """Receives the events of a run, in the order of these methods; this one shows nothing.

    A run ends with one of `ended`, `failed` and `interrupted`.
    """

    def started(self, name: str, backend: str, device: str) -> None:
        """The backend is loaded."""

    def download(self, name: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes of a file are downloaded."""

    def progress(self, what: str, done: int, total: int) -> None:
        """Progress of long work other than training: packing, running the frozen prefix."""

    def data_noted(self, notes: "Sequence[str]", state: str) -> None:
        """Problems of the data; `state` changes with the data and the notes."""
        for note in notes:
            self.warned(note)

    def prepared(self, overview: "Overview") -> None:
        """Data and network are loaded and checked."""

    def tracked(self, run_id: str, store: str, folder: str) -> None:
        """The run has its id and, for its files, a folder."""

    def resumed(self, stage: "StageStart | None", epochs: int, steps: int) -> None:
        """A run resumes in this stage, after `epochs` epochs and `steps` steps of the next one.

        `stage` is None if all stages are done.
        """

    def stage_started(self, stage: "StageStart") -> None:
        """A stage begins."""

    def step(self, done: int, total: int) -> None:
        """`done` of an epoch's `total` training steps have been sent to the device."""

    def epoch(self, epoch: "Epoch", total: int) -> None:
        """An epoch and its validation are done."""

    def stage_ended(self, result: "StageResult") -> None:
        """A stage is done, and its frozen weights are proven unchanged."""

    def warned(self, message: str) -> None:
        """A warning; the run continues."""

    def left_out(self, files: "Sequence[str]") -> None:
        """Files that are skipped in a prediction, each with the reason."""

    def ended(self, result: "Result") -> None:
        """The run is evaluated and saved."""

    def failed(self, message: str) -> None:
        """The run has failed; the message says why."""

    def interrupted(self, message: str) -> None:
        """Ctrl-C or SIGTERM stopped the run; the message says how to resume it."""


Heard = TypeVar("Heard", bound=Observer)
EVENTS = tuple(name for name in vars(Observer) if not name.startswith("_"))
"""The names of all events, in the order of the methods."""


class Only(Observer):
    """Handles only the given events: `Only(progress=observer.progress)`."""

    def __init__(self, **events: "Callable[..., None]") -> None:
        vars(self).update(events)

    def data_noted(self, notes: "Sequence[str]", state: str) -> None:
        """Not even as warnings."""


def heard_as(kind: type[Heard], observer: Observer | None) -> Heard:
    """An observer of a study; one of another kind receives the events of single runs alone."""
    observer = observer or default_observer()
    if isinstance(observer, kind):
        return observer
    heard = kind()
    vars(heard).update({event: getattr(observer, event) for event in EVENTS})
    return heard


@contextmanager
def optional(what: str, observer: Observer, remedy: str = "") -> Iterator[None]:
    """Turns any failure to write `what`, which is optional, into a warning."""
    try:
        yield
    except Exception as error:
        then = f"; {remedy}" if remedy else ""
        said = str(error) if isinstance(error, CallError) else f"{type(error).__name__}: {error}"
        observer.warned(f"could not write {what}: {said}{then}.")
