"""Output to terminals and files that cannot represent every character, or are closed early."""

import codecs
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
