"""MLflow's page for the store of this folder, on 127.0.0.1 only."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from socket import socket
from typing import IO

from kerascnn.engine.result.run import SWEEP
from kerascnn.errors import KerascnnError
from kerascnn.results.find import last_experiment
from kerascnn.results.lookup import Kind, folders
from kerascnn.results.serving.serve import HOST, HOSTS
from kerascnn.runtime.address import tracking_uri
from kerascnn.runtime.interruption import Interruption
from kerascnn.runtime.redact import scrubbed, shown_uri
from kerascnn.tracking.store import open_store, runs_table

WAIT_SECONDS = 180.0
SHOWN = 500  # characters of MLflow's output


class PageError(KerascnnError):
    """MLflow's page did not start, or stopped."""


def show_page(listening: socket, ready: Callable[[str], None]) -> None:
    """Serves MLflow's page until interrupted.

    Args:
        listening: From `serve.listen`; holds the port until MLflow takes it.
        ready: Receives the address of the table of runs once it is ready.

    Raises:
        TrackingError: The store cannot be used.
        PageError: MLflow fails.
    """
    with listening:
        port, table = listening.getsockname()[1], _table()
    with (
        tempfile.TemporaryFile() as said,
        Interruption(),
        subprocess.Popen(_command(port), env=_environment(), stdout=said, stderr=said) as server,
    ):
        try:
            _wait_until_it_answers(server, port, said)
            ready(f"http://{HOST}:{port}/{table}")
            if server.wait():
                raise _failed(said)
        except BaseException:
            server.terminate()  # also ends its workers
            raise


def page_of_server() -> str:
    """The address of the table of runs on the tracking server in use."""
    return f"{shown_uri(tracking_uri()).rstrip('/')}/{_table()}"


def _table() -> str:
    experiment = last_experiment()
    with open_store(tracking_uri()) as client:  # one sentence, no traceback of MLflow
        return runs_table(client, experiment, swept_columns(experiment))


def swept_columns(experiment: str | None) -> list[str]:
    """The columns for the last sweep of an experiment: its metric, its keys, what it pruned."""
    written = (folder / SWEEP for folder in folders(Kind.SWEEP) if (folder / SWEEP).is_file())
    files = sorted(written, key=lambda file: -file.stat().st_mtime)
    sweeps = (json.loads(file.read_text("utf-8")) for file in files)
    last = next((sweep for sweep in sweeps if sweep["name"] == experiment), None)
    if last is None:
        return []
    keys = [f"params.`{key}`" for key in last["space"]]
    return [f"metrics.`{last['metric']}`", *keys, "tags.`pruned`"]


def _command(port: int) -> list[str]:
    hosts = ",".join(f"{host}:{port}" for host in HOSTS)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port)]
    command += ["--allowed-hosts", hosts, "--workers", "1"]
    return [*command, "--uvicorn-opts", "--no-access-log --log-level warning"]


def _environment() -> dict[str, str]:
    """Passes the store's address, because arguments with a password are visible to other users."""
    return {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": tracking_uri(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # for language models
    }


def _wait_until_it_answers(server: subprocess.Popen[bytes], port: int, said: IO[bytes]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + WAIT_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with opener.open(f"http://{HOST}:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise _failed(said)


def _failed(said: IO[bytes]) -> PageError:
    said.seek(0)
    text = scrubbed(said.read().decode(errors="replace")).strip()
    return PageError(f"MLflow's page failed to start or stopped. Its last output: …{text[-SHOWN:]}")
