"""Shards on a local web server and a local S3: whole, slow, cut off, wrong."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sharding import encoded, listed, samples, write_tar

from kerascnn import InputError, RunError

plugin = pytest.importorskip("kerascnn_remote")
download = pytest.importorskip("kerascnn_remote.download")
place = pytest.importorskip("kerascnn_remote.place")


class Shards(ThreadingHTTPServer):
    """A folder by HTTP, with ranges; `fault(handler, first, end)` may answer instead."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.asked, self.fault = folder, [], lambda handler, first, end: False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        path = self.server.folder / self.path.lstrip("/")
        if not path.is_file():
            return self.send_error(404)
        content, asked = path.read_bytes(), self.headers.get("Range")
        first, end = 0, len(content)
        if asked:
            start, _, last = asked.removeprefix("bytes=").partition("-")
            first, end = int(start), int(last or len(content) - 1) + 1
        if body:
            self.server.asked.append((first, end))
            if self.server.fault(self, first, end):
                return None
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hash(content)}"')
        self.send_header("Content-Length", str(end - first))
        self.end_headers()
        if body:
            self.wfile.write(content[first:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    for number, split in enumerate(("train", "val", "test")):
        write_tar(tmp_path / f"{split}.tar", samples(6, first=6 * number))
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(place, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(download, "PART_BYTES", 4096)
    server = Shards(tmp_path)
    yield server
    server.shutdown()
    server.server_close()


def build(server, **params):
    url = server.url("{train,val,test}.tar")
    return plugin.build_remote_shards(plugin.RemoteShardsParams(url=url, **params), seed=0)


def test_images_are_those_of_the_shards(server):
    splits = build(server)
    assert listed(splits.validation) == [
        (f"val.tar/{n:04d}.png", encoded(n), n % 2) for n in range(6, 12)
    ]
    assert max(end - first for first, end in server.asked) == 4096
    assert len(set(server.asked)) > 3


def test_a_second_start_fetches_nothing(server):
    build(server)
    server.asked.clear()
    assert build(server).test[0][0] == encoded(12)
    assert not server.asked


def test_a_connection_that_breaks_in_the_midst_is_asked_again(server):
    broken = set()

    def breaks(handler, first, end):
        if (handler.path, first) in broken:
            return False
        broken.add((handler.path, first))
        handler.send_response(206)
        handler.send_header("Content-Length", str(end - first))
        handler.end_headers()
        handler.wfile.write(b"x" * ((end - first) // 2))
        handler.close_connection = True
        return True

    server.fault = breaks
    assert listed(build(server).train)[0] == ("train.tar/0000.png", encoded(0), 0)
    assert len(server.asked) == 2 * len(broken)


def test_a_server_that_sends_nothing_is_not_waited_for(server):
    slow = set()

    def waits(handler, first, end):
        if first == 0 and handler.path not in slow:
            slow.add(handler.path)
            time.sleep(1.0)
        return False

    server.fault = waits
    start = time.monotonic()
    assert len(build(server, timeout_seconds=0.4).train) == 6
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (206, b"short", "the server sent 5 bytes"),
        (503, b"", r"in 5 attempts: ClientResponseError.*503"),
        (200, b"x" * 10**5, r"sent 100,000 bytes \(it ignores ranges\)"),
    ],
)
def test_what_never_arrives_fails_after_the_last_attempt(server, status, content, said):
    def wrong(handler, first, end):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        return True

    server.fault = wrong
    with pytest.raises(RunError, match=f"cannot read bytes .*{said}.*shards that were fetched"):
        build(server)
    assert server.asked.count((0, 4096)) >= 5


def test_an_address_without_a_file_is_the_users_fault(server):
    with pytest.raises(InputError, match=r'cannot read ".*/none\.tar": FileNotFoundError'):
        plugin.build_remote_shards(plugin.RemoteShardsParams(url=server.url("none.tar")), seed=0)
    with pytest.raises(ValueError, match="starts with s3, gs, https://"):
        plugin.RemoteShardsParams(url="ftp://x/a.tar")


def test_another_content_is_another_shard(server, tmp_path):
    before = build(server).train.fingerprint
    write_tar(tmp_path / "train.tar", samples(6, first=50))
    import fsspec

    fsspec.filesystem("http").invalidate_cache()
    assert build(server).train.fingerprint != before


@pytest.mark.long  # starts a server of S3's protocol
def test_s3(tmp_path, monkeypatch):
    moto = pytest.importorskip("moto.server")
    import boto3

    for name, value in {
        "ACCESS_KEY_ID": "x",
        "SECRET_ACCESS_KEY": "x",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    server = moto.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        address = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        bucket = boto3.resource("s3").create_bucket(Bucket="photos")
        for number, split in enumerate(("train", "val", "test")):
            path = write_tar(tmp_path / f"{split}-0.tar", samples(6, first=6 * number))
            bucket.upload_file(str(path), f"set/{split}-0.tar")
        for url in ("s3://photos/set/", "s3://photos/set/*.tar"):
            splits = plugin.build_remote_shards(plugin.RemoteShardsParams(url=url), seed=0)
            assert listed(splits.test)[0] == ("test-0.tar/0012.png", encoded(12), 0)
    finally:
        server.stop()
