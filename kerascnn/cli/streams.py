"""Output to terminals and files that lack characters, are closed early, or are for a document."""

import codecs
import os
import select
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress

from kerascnn.runtime.descriptors import redirected

PLAIN = "kerascnn.plain"
_SPELLED = {
    "·": "-",
    "•": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "✓": "ok",
    "×": "x",
    "²": "2",
    "³": "3",
    "±": "+-",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "⌊": "floor(",
    "⌋": ")",
    "\N{NO-BREAK SPACE}": " ",
}


@contextmanager
def printing() -> Iterator[None]:
    """Makes any text printable, and lets a reader close standard output early.

    Characters that the encoding of a stream lacks are spelled out, or replaced by "?". If the
    reader closes early, as in `kerascnn compare | head`, the command ends silently with 0.
    """
    codecs.register_error(PLAIN, _plain)
    stdout = sys.stdout
    for stream in (stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=PLAIN)
    try:
        try:
            yield
        finally:
            stdout.flush()  # else Python flushes at exit, and complains
    except (BrokenPipeError, SystemExit) as ended:
        met_by_click = sys.stdout is not stdout  # which exits with 1 and wraps the stream
        if isinstance(ended, SystemExit) and not met_by_click:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        sys.exit(0)


@contextmanager
def reserved_stdout() -> Iterator[None]:
    """In its block, what is printed goes to standard error, also what libraries in C print."""
    stdout = sys.stdout
    with redirect_stdout(sys.stderr), ExitStack() as restored:
        with suppress(AttributeError, OSError):  # streams of a test, or none
            own, stderr = stdout.fileno(), sys.stderr.fileno()
            stdout.flush()
            restored.enter_context(redirected(own, stderr))
            restored.callback(_flush_libraries)
        yield


def _flush_libraries() -> None:
    """Writes what libraries in C have printed and hold back."""
    import ctypes

    with suppress(AttributeError, OSError, TypeError):  # there is none to load on Windows
        ctypes.CDLL(None).fflush(None)


def reader_has_gone() -> bool:
    """Whether the reader of standard output has closed it; always True on Windows."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wanted = error.object[error.start : error.end]
    return "".join(_SPELLED.get(character, "?") for character in wanted), error.end
