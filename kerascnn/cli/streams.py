"""What is written to a terminal or a file that cannot show every character."""

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
    """Lets a command print every text, to a reader that may have enough of it.

    What the encoding of a stream lacks is spelled out, or is "?". Where the reader has gone, as in
    `kerascnn compare | head`, the command ends without a word and with 0.
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
            stdout.flush()  # or Python would do so when it ends, and complain
    except (BrokenPipeError, SystemExit) as ended:
        met_by_click = sys.stdout is not stdout  # which then ends with 1, and puts a wrapper there
        if isinstance(ended, SystemExit) and not met_by_click:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        sys.exit(0)


def reader_has_gone() -> bool:
    """Whether nobody reads standard output any more; on Windows that cannot be asked."""
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
