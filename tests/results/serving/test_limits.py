"""What a client may send to `serve`, and for how long: no model is needed to tell."""

import asyncio
import http.client
import socket
import time
from contextlib import suppress

import pytest
from served import ask, serving

from kerascnn.results.serving import limits
from kerascnn.results.serving.limits import LimitedBodies


async def echo(scope, receive, send):
    """Answers with the media type and the size of the body."""
    message = await receive()
    kind = dict(scope["headers"]).get(b"content-type", b"")
    said = b"%s %d" % (kind, len(message["body"]))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said})


@pytest.fixture(scope="module")
def port():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "HEADER_SECONDS", 0.3)
        with serving(LimitedBodies(echo, body_bytes=2**20, body_seconds=0.3)) as port:
            yield port


def said(port, body, **headers):
    return ask(port, "POST", "/", body, **headers)[:2]


def begun(port, text):
    """A connection on which this much of a request has been sent."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(text)
    return connection


def everything(connection):
    """All that comes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(10_000), b""))


HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


def test_a_body_within_the_limit_arrives_whole(port):
    assert said(port, b"x" * 2**20) == (200, f" {2**20}")
    assert said(port, iter([b"x" * 1000] * 5)) == (200, " 5000")  # chunks


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(port):
    with begun(port, HEAD + b"Content-Length: 600000000\r\n\r\n") as connection:
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"larger than 1 MiB; send fewer or smaller images" in answer


def test_one_that_is_not_announced_is_refused_when_it_passes_the_limit(port):
    chunk = b"10000\r\n" + b"x" * 2**16 + b"\r\n"
    with begun(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 17 * chunk) as connection:
        assert connection.recv(10_000).startswith(b"HTTP/1.1 413")


def test_half_a_body_is_given_up(port):
    with begun(port, HEAD + b"Content-Length: 100\r\n\r\nhalf") as connection:
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"the body did not arrive within 0.3 s." in answer


@pytest.mark.parametrize("sent", [b"", b"POST", HEAD, HEAD + b"Content-Le"])
def test_half_a_head_is_given_up(port, sent):
    with begun(port, sent) as connection:
        assert connection.recv(10_000) == b""


def test_so_is_the_head_of_a_second_request_that_comes_byte_by_byte(port):
    with begun(port, HEAD + b"Content-Length: 1\r\n\r\nx") as connection:
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
        sent = 0
        with suppress(OSError):  # reset, or a broken pipe
            while sent < 50:
                connection.sendall(b"P")
                time.sleep(0.03)
                sent += 1
        assert sent < 50


def test_a_connection_may_carry_many_requests_for_longer_than_one_may_take(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(4):
        connection.request("POST", "/", b"x")
        assert connection.getresponse().read() == b" 1"
        time.sleep(0.15)


def test_others_are_answered_while_many_are_half_sent(port):
    half_sent = [begun(port, HEAD) for _ in range(50)]
    start = time.perf_counter()
    assert said(port, b"x")[0] == 200
    assert time.perf_counter() - start < 0.3  # before these are given up
    assert [connection.recv(1) for connection in half_sent] == [b""] * 50
    for connection in half_sent:
        connection.close()


@pytest.mark.parametrize(
    ("sent", "comes"),
    [
        ("Application/JSON", "application/json"),
        ("TEXT/CSV ; Charset=UTF-8", "text/csv; Charset=UTF-8"),
        ("Multipart/Form-Data; boundary=AbC", "multipart/form-data; boundary=AbC"),
    ],
)
def test_media_types_are_the_same_in_any_case(port, sent, comes):
    assert said(port, b"x", content_type=sent) == (200, f"{comes} 1")


def test_a_client_that_goes_away_is_not_answered():
    async def receive():
        return {"type": "http.disconnect"}

    async def never(*_):
        pytest.fail("nobody is there to hear it")

    scope = {"type": "http", "headers": []}
    asyncio.run(LimitedBodies(never)(scope, receive, never))
