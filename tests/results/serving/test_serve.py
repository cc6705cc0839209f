"""The model of a run over HTTP, and MLflow's page: what they answer, and whom."""

import asyncio
import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from kerascnn import load_experiment, predict_images, run_experiment
from kerascnn.results.serving import serve
from kerascnn.tracking.models import scoring_app

COMMAND = "from kerascnn.cli import main; main()"


@pytest.fixture(scope="module")
def place(shared_workplace):
    """A working directory with the experiment and an image."""
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(shared_workplace / "image.png")
    (shared_workplace / "shapes.toml").write_text(
        'name = "shapes"\n'
        'dataset = { name = "shapes", classes = 3, train = 16, validation = 8, test = 8 }\n'
        'architecture = { name = "sequential_cnn", depth = 2, filters = 4 }\n'
        "training = { image_size = 16, batch_size = 8 }\n"
        'stages = [{ name = "all", unfreeze = "all", epochs = 1, learning_rate = 1e-3 }]\n'
    )
    return shared_workplace


@pytest.fixture(scope="module")
def result(place, without_reports):
    exactly = {"training.prefix_engine": "backend"}  # as `predict` does with a single image
    return run_experiment(load_experiment("shapes.toml", exactly))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class Served:
    """A command that serves, started on a free port, and what it answers."""

    def __init__(self, *arguments):
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments, "--port", str(self.port)],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # with what it starts itself, it can be ended as a whole
        )

    def __enter__(self):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.ask("GET", "/health")[0] == 200:
                    return self
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        pytest.fail(f"it does not answer: {self.process.stderr.read()}")

    def __exit__(self, *_):
        with suppress(ProcessLookupError):  # it has ended already
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.fixture(scope="module")
def service(result):
    with Served("serve", result.run_id[:8]) as served:
        yield served


@pytest.fixture(scope="module")
def expected(place, result):
    """What `predict` says of the image."""
    [prediction] = predict_images(result, [place / "image.png"])
    said = prediction.to_json()
    del said["image"]
    return said


@pytest.mark.parametrize("kind", ["image/png", "application/x-www-form-urlencoded", None])
def test_an_image_comes_back_as_labels_and_probabilities(service, place, expected, kind):
    headers = {"content_type": kind} if kind else {}
    body = (place / "image.png").read_bytes()
    status, answer = service.ask("POST", "/invocations", body, **headers)
    assert (status, json.loads(answer)) == (200, {"predictions": [expected]})


def test_others_are_answered_while_an_image_is_decoded():
    """Asks the application itself, around a classifier that takes its time."""
    order = []

    def slow(images):
        time.sleep(0.3)
        return images and []

    app = scoring_app(slow)
    serve._take_images(app, slow)

    async def ask(method, path):
        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            if "status" in message:
                order.append((path, message["status"]))

        headers = [(b"host", b"localhost")]
        request = {"method": method, "path": path, "headers": headers, "query_string": b""}
        await app({"type": "http", **request}, receive, send)

    async def both():
        await asyncio.gather(ask("POST", "/invocations"), ask("GET", "/health"))

    asyncio.run(both())
    assert order == [("/health", 200), ("/invocations", 200)]


@pytest.mark.parametrize("kind", ["Application/JSON", "application/json ; charset=utf-8"])
def test_a_media_type_is_the_same_in_any_case(service, place, expected, kind):
    text = base64.b64encode((place / "image.png").read_bytes()).decode()
    status, answer = service.ask(
        "POST", "/invocations", json.dumps({"inputs": [text]}), content_type=kind
    )
    assert (status, json.loads(answer)) == (200, {"predictions": [expected]})


@pytest.mark.parametrize(
    "form",
    [
        lambda text: {"inputs": [text, text]},
        lambda text: {"instances": [{"image": text}] * 2},
        lambda text: {"dataframe_records": [{"image": text}] * 2},
        lambda text: {"dataframe_split": {"columns": ["image"], "data": [[text], [text]]}},
    ],
)
def test_so_does_base64_in_mlflows_own_forms(service, place, expected, form):
    text = base64.b64encode((place / "image.png").read_bytes()).decode()
    body = json.dumps(form(text))
    status, answer = service.ask("POST", "/invocations", body, content_type="application/json")
    assert (status, json.loads(answer)) == (200, {"predictions": [expected] * 2})


def test_a_form_is_refused_with_what_to_send(service):
    body = b"--x\r\nContent-Disposition: form-data; name=image\r\n\r\nbytes\r\n--x--\r\n"
    kind = "multipart/form-data; boundary=x"
    status, answer = service.ask("POST", "/invocations", body, content_type=kind)
    assert status == 415
    assert "curl --data-binary @IMAGE" in json.loads(answer)["error"]


def test_what_is_no_image_is_refused_in_a_sentence(service):
    status, answer = service.ask("POST", "/invocations", b"<html>")
    assert status == 400
    assert "cannot read image of 6 bytes" in json.loads(answer)["error"]
    body = json.dumps({"inputs": {"image": [base64.b64encode(b"<html>").decode()]}})
    status, answer = service.ask("POST", "/invocations", body, content_type="application/json")
    assert status == 400
    assert "cannot read image of 6 bytes" in answer
    assert "Traceback" not in answer


@pytest.mark.parametrize("path", ["/invocations", "/health"])
def test_under_another_name_it_does_not_answer(service, place, path):
    body = (place / "image.png").read_bytes()
    for host in ("evil.example", f"evil.example:{service.port}", "127.0.0.1.evil.example"):
        assert service.ask("POST", path, body, host=host)[0] == 400


def test_it_listens_at_this_machine_alone(service):
    with pytest.raises(ConnectionRefusedError):  # every 127.x.x.x is this machine's own on Linux
        socket.create_connection(("127.0.0.2", service.port))


def test_a_port_in_use_is_an_error_of_the_input(result, run_cli):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_cli("serve", result.run_id, "--port", port)
    assert ended.exit_code == 2
    assert f"port {port} of 127.0.0.1: Address already in use; choose another" in ended.stderr


@pytest.mark.slow
def test_mlflows_page_answers_this_machine_alone(result):
    with Served("ui") as page:
        assert page.ask("GET", "/")[0] == 200
        assert page.ask("GET", "/", host=f"localhost:{page.port}")[0] == 200
        assert page.ask("GET", "/", host="evil.example")[0] == 403
        assert page.ask("GET", "/", host="192.168.0.1")[0] == 403
        page.process.terminate()
        page.process.wait(20)
        with pytest.raises(ConnectionRefusedError):  # MLflow's own processes are gone too
            page.ask("GET", "/")
