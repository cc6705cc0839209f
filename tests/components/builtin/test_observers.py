"""The built-in observers: what they send of a run, and where they take a command or URL from."""

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from kerascnn import InputError, load_experiment
from kerascnn.components.builtin.observers import kerascnn_observers
from kerascnn.testing.story import stories

COMPONENTS = {component.name: component for component in kerascnn_observers()}
SECRET = "T00/B00/secret"


def build(name, **params):
    component = COMPONENTS[name]
    return component.build(component.params(**params))


@pytest.fixture
def told(tmp_path):
    """Tells an observer the run with this title."""

    def tell(observer, title):
        [story] = [story for story in stories(tmp_path) if story.title == title]
        for event, arguments in story.events:
            getattr(observer, event)(*arguments)

    return tell


@pytest.fixture
def server(monkeypatch):
    """A server on this machine that notes what is posted; its path is a secret."""
    posted, status = [], [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *arguments):
            pass

    running = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{running.server_port}/{SECRET}"
    monkeypatch.setenv("KERASCNN_WEBHOOK_URL", url)
    yield posted, status
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize(
    ("title", "status", "message"),
    [
        ("a run that ends", "ended", "test accuracy 1.000 on 8 images"),
        ("a run that fails", "failed", "run 01234567 failed: ValueError: no"),
        ("a run that fails at once", "failed", "cannot download images.tar."),
        ("a run that is interrupted", "interrupted", "interrupted"),
    ],
)
def test_a_message_is_posted_however_the_run_ends(server, told, title, status, message):
    told(build("webhook"), title)
    name = "" if title.endswith("at once") else "story"
    assert server[0] == [{"text": f"{name} {status}: {message}"}]


def test_a_message_may_have_other_words_another_key_and_other_events(server, told):
    told(
        build("webhook", on=("epoch",), text="{id} {accuracy} {message}", key="content"),
        "a run that ends",
    )
    place = "stage all, epoch 1/2: validation accuracy 0.750"
    assert server[0][0] == {"content": f"0123456789abcdef0123456789abcdef 0.7500 {place}"}
    assert len(server[0]) == 2


def test_a_server_that_refuses_is_an_error_that_does_not_show_the_url(server, told):
    server[1][0] = 404
    with pytest.raises(OSError, match="404") as error:
        told(build("webhook"), "a run that ends")
    assert SECRET not in str(error.value)


def test_a_command_gets_the_facts_in_its_environment(told, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_COMMAND", f"sh -c 'env > \"{tmp_path}/facts\"'")
    told(build("command"), "a run that ends")
    facts = (tmp_path / "facts").read_text().splitlines()
    assert {
        "KERASCNN_RUN_STATUS=ended",
        "KERASCNN_RUN_NAME=story",
        "KERASCNN_RUN_ID=0123456789abcdef0123456789abcdef",
        f"KERASCNN_RUN_FOLDER={tmp_path}/0",
        "KERASCNN_RUN_ACCURACY=1.0000",
        "KERASCNN_RUN_MESSAGE=test accuracy 1.000 on 8 images",
    } <= {*facts}


def test_values_are_never_read_by_a_shell(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "KERASCNN_COMMAND", f'sh -c \'echo "$KERASCNN_RUN_MESSAGE" > "{tmp_path}/out"\''
    )
    build("command").failed("$(touch x) `touch x`; touch x")
    assert (tmp_path / "out").read_text() == "$(touch x) `touch x`; touch x\n"


def test_a_command_that_fails_or_hangs_is_an_error(monkeypatch):
    monkeypatch.setenv("KERASCNN_COMMAND", "sleep 9")
    with pytest.raises(subprocess.TimeoutExpired):
        build("command", timeout_seconds=0.05).failed("no")
    monkeypatch.setenv("KERASCNN_COMMAND", "false")
    with pytest.raises(subprocess.CalledProcessError):
        build("command").failed("no")


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("command", None, "KERASCNN_COMMAND is not set: `export KERASCNN_COMMAND="),
        ("command", "echo 'open", "KERASCNN_COMMAND is incomplete"),
        ("webhook", None, "KERASCNN_WEBHOOK_URL is not set: `export KERASCNN_WEBHOOK_URL="),
        (
            "webhook",
            f"file:///{SECRET}",
            "KERASCNN_WEBHOOK_URL is not a URL that starts with https",
        ),
        (
            "webhook",
            f"http:///{SECRET}",
            "KERASCNN_WEBHOOK_URL is not a URL that starts with https",
        ),
        ("webhook", f"http://a/ {SECRET}", "KERASCNN_WEBHOOK_URL is not a URL that starts with"),
    ],
)
def test_a_missing_or_wrong_variable_is_refused_at_once(
    shapes_file, monkeypatch, name, value, fault
):
    variable = COMPONENTS[name].params.model_fields["variable"].default
    monkeypatch.delenv(variable, raising=False)
    if value is not None:
        monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=fault) as error:
        load_experiment(shapes_file, observers=[name])
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("variable", ["PATH", "MLFLOW_TRACKING_URI", "KERASCNN_CACHE"])
def test_an_experiment_cannot_choose_any_variable(shapes_file, variable):
    assert variable in os.environ or variable != "PATH"
    for name in COMPONENTS:
        with pytest.raises(InputError, match="expected a string that matches"):
            load_experiment(shapes_file, {f"observers.{name}.variable": variable}, observers=[name])


def test_an_unknown_fact_is_refused(shapes_file):
    overrides = {"observers.webhook.text": "{accurracy}"}
    with pytest.raises(InputError, match=r"no fact is called \{accurracy\}"):
        load_experiment(shapes_file, overrides, observers=["webhook"])
