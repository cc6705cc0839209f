"""An application served by uvicorn in a thread of the tests, and requests to it."""

import http.client
import socket
import threading
import time
from contextlib import contextmanager

import uvicorn

from kerascnn.results.serving.limits import PromptHeaders


@contextmanager
def serving(app):
    """Gives the port."""
    config = uvicorn.Config(app, log_level="critical", http=PromptHeaders, lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


def ask(port, method, path, body=b"", **headers):
    """The status, the body and the headers of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers
