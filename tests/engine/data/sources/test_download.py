"""A file is fetched once, whole, and verified; a hostile server or archive gets nowhere."""

import hashlib
import io
import multiprocessing
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kerascnn import InputError, fetch, is_fetched
from kerascnn.engine.data.sources import download

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        site = self.server
        site.requests.append((self.path, self.headers.get("Range")))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path != "/file.bin":
            self.send_error(404)
        else:
            self.send_content(site)

    def send_content(self, site):
        start = 0
        wanted = self.headers.get("Range")
        if wanted and site.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(site.content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            end = len(site.content)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        self.send_header("Content-Length", str(len(site.content) - start))
        self.send_header("Connection", "close")
        self.end_headers()
        site.done.wait(site.seconds)
        self.wfile.write(site.content[start : site.breaks_at])
        self.wfile.flush()
        site.done.wait(site.stalls)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.content, server.done = [], CONTENT, threading.Event()
    server.ranges, server.breaks_at, server.seconds, server.stalls = True, None, 0, 0
    server.url = f"http://127.0.0.1:{server.server_port}/file.bin"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.done.set()
    server.shutdown()
    thread.join()
    server.server_close()


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_downloads_once_and_verifies_each_time(site, tmp_path):
    assert not is_fetched(site.url, sha256=SHA256, folder=tmp_path / "new")
    path = fetch(site.url, sha256=SHA256, folder=tmp_path / "new")
    assert is_fetched(site.url, sha256=SHA256, folder=tmp_path / "new")
    assert not is_fetched(site.url, sha256="0" * 64, folder=tmp_path / "new")
    assert path == tmp_path / "new" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert fetch(site.url, sha256=SHA256.upper(), folder=tmp_path / "new") == path
    assert len(site.requests) == 1
    assert files(tmp_path / "new") == ["file.bin"]


def test_md5_will_do(site, tmp_path):
    digest = hashlib.md5(CONTENT).hexdigest()
    assert fetch(site.url, md5=digest, folder=tmp_path, name="other").name == "other"
    with pytest.raises(InputError, match="MD5 0000"):
        fetch(site.url, md5="0" * 32, folder=tmp_path)


def test_the_default_folder_is_private(site, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "kerascnn"))
    path = fetch(site.url, sha256=SHA256)
    assert path == tmp_path / "kerascnn" / "downloads" / "file.bin"
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_wrong_hash_leaves_nothing(site, tmp_path):
    with pytest.raises(InputError) as caught:
        fetch(site.url, sha256="0" * 64, folder=tmp_path)
    for part in (site.url, SHA256, "0" * 64, str(tmp_path / "file.bin"), "place the file at"):
        assert part in str(caught.value)
    assert files(tmp_path) == []


def test_goes_on_where_it_broke_off(site, tmp_path):
    site.breaks_at = 300_000
    with pytest.raises(InputError, match=r"closed after 300,000 of 1,048,576 bytes"):
        fetch(site.url, sha256=SHA256, folder=tmp_path)
    assert files(tmp_path) == ["file.bin.part"]
    site.breaks_at = None
    assert fetch(site.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT
    assert [wanted for _, wanted in site.requests] == [None, "bytes=300000-"]


def test_starts_over_where_ranges_are_not_known(site, tmp_path):
    site.ranges = False
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert fetch(site.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT


def test_starts_over_where_too_much_is_there(site, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    assert fetch(site.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT


def test_a_spoiled_part_is_thrown_away(site, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    with pytest.raises(InputError, match="was deleted"):
        fetch(site.url, sha256=SHA256, folder=tmp_path)
    assert fetch(site.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT


def test_without_a_hash_nothing_is_continued(site, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    assert fetch(site.url, folder=tmp_path).read_bytes() == CONTENT


def test_a_stalled_server_is_left(site, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    site.breaks_at, site.stalls = 1000, 5
    with pytest.raises(InputError, match=r"cannot download .* timed out"):
        fetch(site.url, sha256=SHA256, folder=tmp_path)


def test_no_such_address(site, tmp_path):
    with pytest.raises(
        InputError, match=r"missing\.bin: HTTP Error 404.*place the file at .* \(expected SHA256"
    ):
        fetch(site.url.replace("file", "missing"), sha256=SHA256, folder=tmp_path)


def test_no_network(tmp_path):
    with pytest.raises(InputError, match=rf'refused.*place the file at "{tmp_path}/f.bin"'):
        fetch("http://127.0.0.1:9/f.bin", folder=tmp_path)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "a.bin"])
def test_only_http_and_https(url, tmp_path):
    with pytest.raises(InputError, match="http or https"):
        fetch(url, folder=tmp_path)


def test_no_redirection_to_a_local_file(site, tmp_path):
    with pytest.raises(InputError, match="not allowed"):
        fetch(site.url.replace("file.bin", "redirect"), folder=tmp_path)
    assert files(tmp_path) == []


@pytest.mark.parametrize("path", ["", "/", "/..%2F..%2Fevil", "/%5C", "/.."])
def test_a_name_stays_in_the_folder(path, tmp_path):
    with pytest.raises(InputError, match="not a file name"):
        fetch(f"http://127.0.0.1:9{path}", folder=tmp_path)


def test_a_file_put_there_by_hand_needs_no_network_and_no_writing(tmp_path):
    (tmp_path / "f.bin").write_bytes(CONTENT)
    fetch("http://127.0.0.1:9/f.bin", sha256=SHA256, folder=tmp_path)
    assert os.listdir(tmp_path) == ["f.bin"]


def test_a_spoiled_file_is_replaced(site, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"spoiled")
    assert fetch(site.url, sha256=SHA256, folder=tmp_path).read_bytes() == CONTENT


def test_a_spoiled_file_is_not_used_without_a_network(tmp_path):
    (tmp_path / "f.bin").write_bytes(b"spoiled")
    with pytest.raises(InputError, match="The existing file is not used"):
        fetch("http://127.0.0.1:9/f.bin", sha256=SHA256, folder=tmp_path)
    assert (tmp_path / "f.bin").read_bytes() == b"spoiled"


def test_the_first_hash_is_kept_where_none_is_published(site, tmp_path):
    path = fetch(site.url, folder=tmp_path)
    assert (tmp_path / "file.bin.sha256").read_text() == SHA256 + "\n"
    path.write_bytes(b"spoiled")
    assert fetch(site.url, folder=tmp_path).read_bytes() == CONTENT
    path.write_bytes(b"spoiled")
    site.content = b"renewed"
    with pytest.raises(InputError, match=r'replaced it, delete ".*file\.bin\.sha256"'):
        fetch(site.url, folder=tmp_path)


def test_a_file_put_there_by_hand_is_the_first_where_no_hash_is_published(tmp_path):
    (tmp_path / "f.bin").write_bytes(CONTENT)
    fetch("http://127.0.0.1:9/f.bin", folder=tmp_path)
    assert (tmp_path / "f.bin.sha256").read_text().strip() == SHA256


def test_a_folder_that_is_a_file_is_named(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="use another folder"):
        fetch(site.url, folder=tmp_path / "file" / "deeper")


def test_progress_is_reported(site, tmp_path):
    seen = []
    with download.reporting(lambda *report: seen.append(report)):
        fetch(site.url, sha256=SHA256, folder=tmp_path)
    assert seen[-1] == ("file.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_two_processes_download_once(site, tmp_path):
    site.seconds = 0.5
    context = multiprocessing.get_context("spawn")  # a backend's threads may not survive a fork
    arguments = {"folder": tmp_path, "sha256": SHA256}
    workers = [context.Process(target=fetch, args=(site.url,), kwargs=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(site.requests) == 1


def tgz(*names):
    """A .tgz archive of files with their own names as content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    return buffer.getvalue()


def test_unpacks_once(site, tmp_path):
    site.content = tgz("top/a.txt", "top/deep/b.txt")
    folder = fetch(site.url, folder=tmp_path / "data", unpack=True)
    assert (folder / "top" / "deep" / "b.txt").read_text() == "top/deep/b.txt"
    (tmp_path / "data" / "file.bin").unlink()
    assert fetch(site.url, folder=tmp_path / "data", unpack=True) == folder
    assert len(site.requests) == 1
