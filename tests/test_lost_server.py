"""An S3 server that is slow, or killed: shards are read to the end, runs resume once it is back."""

import select
import socket
import threading
import time
from contextlib import suppress

import pytest
from sharding import encoded, listed, samples, write_tar
from two_stages import outcome_of

from kerascnn import PassingError, load_experiment, run_experiment
from kerascnn.engine.data.shards import source as shard_source
from kerascnn.engine.observer import Observer
from kerascnn.runtime.cache import entries, remove

plugin = pytest.importorskip("kerascnn_remote")
download = pytest.importorskip("kerascnn_remote.download")
place = pytest.importorskip("kerascnn_remote.place")
fsspec = pytest.importorskip("fsspec")
moto = pytest.importorskip("moto.server")

pytestmark = pytest.mark.long  # starts a server of S3's protocol

SPLITS = {"train": 24, "val": 8, "test": 8}


class Between:
    """Passes connections on to a server, and can be slow, be killed, and come back."""

    def __init__(self, port):
        self.target, self.delay, self.left, self.away = port, 0.0, None, None
        self.open, self.passed, self.counting = set(), 0, threading.Lock()
        self.start(0)

    def start(self, port=None):
        self.listener = socket.create_server(("127.0.0.1", self.port if port is None else port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    def serve(self, listener):
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self.connect, args=(near,), daemon=True).start()

    def connect(self, near):
        far = socket.create_connection(("127.0.0.1", self.target))
        self.open |= {near, far}
        with near, far, suppress(OSError, ValueError):  # of a socket that was closed
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    content = ready.recv(2048)
                    if not content:
                        return
                    (far if ready is near else near).sendall(content)
                    if ready is far:
                        self.answered(len(content))

    def answered(self, size):
        time.sleep(self.delay)
        with self.counting:
            self.passed += size
            if self.left is not None and (left := self.left - size) < 0:
                self.kill()
                threading.Timer(self.away, self.start).start()
            elif self.left is not None:
                self.left = left

    def kill(self):
        """Nobody listens any more, and open connections break."""
        self.left = None
        for one in (self.listener, *self.open.copy()):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes who waits for it
            one.close()
        self.open.clear()


@pytest.fixture(scope="module")
def moto_port(tmp_path_factory):
    """A server with a bucket of shards; in one process all of them have the same buckets."""
    import boto3

    server, folder = moto.ThreadedMotoServer("127.0.0.1", 0), tmp_path_factory.mktemp("shards")
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            patch.setenv(f"AWS_{name}", "x")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        port = server.get_host_and_port()[1]
        s3 = boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{port}")
        bucket, first = s3.create_bucket(Bucket="lost"), 0
        for split, count in SPLITS.items():
            for part in (0, 1):
                half = samples(count // 2, first=first)
                path = write_tar(folder / f"{split}-{part}.tar", half)
                bucket.upload_file(str(path), path.name)
                first += count // 2
        yield port
    server.stop()


@pytest.fixture
def server(moto_port, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERASCNN_CACHE", str(tmp_path / "cache"))
    between = Between(moto_port)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{between.port}")
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # which knows another address
    monkeypatch.setattr(place, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(download, "PART_BYTES", 4096)
    yield between
    between.kill()


def build(**params):
    params = plugin.RemoteShardsParams(url="s3://lost/", **params)
    return plugin.build_remote_shards(params, seed=0)


def test_a_slow_server_is_read_to_the_end(server):
    build()
    forget_copies()
    server.delay, start, passed = 0.1, time.monotonic(), server.passed
    train = build(timeout_seconds=0.5, connections=1).train
    assert [image for _, image, _ in listed(train)] == [encoded(number) for number in range(24)]
    assert server.passed - passed > 40_000
    assert time.monotonic() - start > 1.0  # longer than a server that sends nothing may take


def test_a_server_killed_in_the_midst_and_started_again_is_not_noticed(server):
    server.left, server.away = 30_000, 0.4
    train = build(connections=2).train
    assert [image for _, image, _ in listed(train)] == [encoded(number) for number in range(24)]
    assert server.passed > 60_000
    assert server.left is None  # it was killed


class Loses(Observer):
    """Forgets the copies of shards after an epoch, when the server is gone."""

    def __init__(self, server=None, after=1):
        self.server, self.after, self.said = server, after, []

    def epoch(self, epoch, total):
        if self.server and epoch.number == self.after:
            forget_copies()
            self.server.kill()

    def failed(self, message):
        self.said.append(message)


def forget_copies():
    """As if other shards had needed their place."""
    shard_source._opened.cache_clear()
    for entry in entries(["copies"]):
        remove("copies", entry.key)


EXPERIMENT = """
name = "remote"

[dataset]
name = "remote_shards"
url = "s3://lost/"

[architecture]
name = "sequential_cnn"
depth = 2
filters = 4

[training]
image_size = 16
batch_size = 8
keep = "last"
shuffle = "blocks"
stream_above_gb = 1e-6

[[stages]]
name = "all"
unfreeze = "all"
epochs = 3
learning_rate = 1e-3
"""


def outcome(run):
    return outcome_of(run.stages, run.history, run.test)


def test_a_run_whose_server_is_lost_resumes_when_it_is_back(server, tmp_path, monkeypatch):
    (tmp_path / "remote.toml").write_text(EXPERIMENT)
    experiment, lost = load_experiment("remote.toml"), Loses(server)
    undisturbed = run_experiment(experiment, Observer(), fresh=True)
    with monkeypatch.context() as patch:
        patch.setattr(place, "WAIT_SECONDS", 0.01)
        with pytest.raises(PassingError, match=r"in 5 attempts.*server, then start again"):
            run_experiment(experiment, lost, fresh=True)
    assert "run --resume" in lost.said[0]
    server.start()
    resumed = run_experiment(experiment, Observer(), resume="last")
    assert outcome(resumed) == outcome(undisturbed)
