"""How the processes of a group find each other: the first listens, the others connect to it."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress

from kerascnn.engine.training.devices.group import LEADER, Group, Member
from kerascnn.engine.training.devices.link import Link
from kerascnn.errors import RunError

START_SECONDS = 300.0  # from the first process of a group to the last
RETRY_SECONDS = 0.2
LOOPBACK = "127.0.0.1"


def lead(
    listener: socket.socket,
    member: Member,
    on_loss: Callable[[], None] = lambda: None,
    waiting: Callable[[], None] = lambda: None,
) -> Group:
    """The group that this process leads, once all others have joined it.

    Args:
        listener: From `listen`.
        member: This process.
        on_loss: See `Group`.
        waiting: Called while it waits; may raise.

    Raises:
        RunError: They do not come.
    """
    group, deadline = Group(member, on_loss), time.monotonic() + START_SECONDS
    links = dict[int, Link]()
    listener.settimeout(RETRY_SECONDS)
    with listener:
        while len(links) < member.count - 1:
            waiting()
            if time.monotonic() > deadline:
                raise RunError(
                    f"only {len(links) + 1} of {member.count} processes were there after "
                    f"{START_SECONDS:.0f} s."
                )
            with suppress(TimeoutError):
                link = Link(listener.accept()[0])
                if link.greeted(member.token, member.count) and 0 < link.rank < member.count:
                    links[link.rank] = link
                else:
                    link.refuse("another process of the launcher trains another experiment")
    for rank, link in sorted(links.items()):
        group.add(rank, link)
    group.begin()
    return group


def join(member: Member, on_loss: Callable[[], None] = lambda: None) -> Group:
    """The group that this process joins.

    Args:
        member: This process.
        on_loss: See `Group`.

    Raises:
        RunError: The leader cannot be reached.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            link = Link(socket.create_connection(member.address, timeout=START_SECONDS))
            link.greet(member.token, member.rank, member.count)
            break
        except OSError as error:
            if time.monotonic() > deadline:
                host, port = member.address
                raise RunError(
                    f"process {member.rank + 1} of {member.count} cannot reach the first at "
                    f"{host}:{port}: {error.strerror or error}."
                ) from error
            time.sleep(RETRY_SECONDS)
    group = Group(member, on_loss)
    group.add(LEADER, link)
    group.begin()
    return group


def listen(host: str, port: int = 0) -> socket.socket:
    """A listener on this host: for itself alone if that is its name, else for all hosts."""
    return socket.create_server((LOOPBACK if is_local(host) else "", port))


def is_local(host: str) -> bool:
    return host in (LOOPBACK, "localhost")
