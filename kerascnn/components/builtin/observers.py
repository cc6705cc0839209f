"""Observers that send a message: through a command, or to a URL.

Both are taken from the environment, so that an experiment can neither run a command nor choose
where to send anything.
"""

import json
import os
import re
import shlex
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal
from urllib.request import Request, urlopen

from pydantic import AfterValidator, Field

from kerascnn import Component, InputError, Observer, Params, hookimpl

FACTS = ("status", "name", "id", "folder", "accuracy", "message")
PLACEHOLDER = re.compile(r"\{(\w*)\}")
Event = Literal["epoch", "ended", "failed", "interrupted"]


class Message(Params):
    on: tuple[Event, ...] = Field(
        ("ended", "failed", "interrupted"), min_length=1, description="Events to send it on."
    )
    timeout_seconds: float = Field(
        20.0, gt=0, le=600, description="Time after which it is given up."
    )


class CommandParams(Message):
    variable: str = Field(
        "KERASCNN_COMMAND",
        pattern="^KERASCNN_COMMAND[A-Z0-9_]*$",
        description="Environment variable with the command and its arguments.",
    )


def _known(text: str) -> str:
    if unknown := [name for name in PLACEHOLDER.findall(text) if name not in FACTS]:
        raise ValueError(f"no fact is called {{{unknown[0]}}}; there are {', '.join(FACTS)}")
    return text


class WebhookParams(Message):
    variable: str = Field(
        "KERASCNN_WEBHOOK_URL",
        pattern="^KERASCNN_WEBHOOK[A-Z0-9_]*_URL$",
        description="Environment variable with the URL, whose path is usually a secret.",
    )
    text: Annotated[str, AfterValidator(_known)] = Field(
        "{name} {status}: {message}", description=f"The message, with {{…}} of {', '.join(FACTS)}."
    )
    key: str = Field(
        "text", min_length=1, description='Key of the message in the JSON: "content" for Discord.'
    )


class Messenger(Observer, ABC):
    """Sends the facts about a run on each of the chosen events."""

    def __init__(self, params: Message) -> None:
        self.params = params
        self.facts = dict.fromkeys(FACTS, "")
        self.stage = ""

    @abstractmethod
    def send(self) -> None:
        """Sends the facts."""

    def started(self, name: str, backend: str, device: str) -> None:
        self.facts["name"] = name

    def tracked(self, run_id: str, store: str, folder: str) -> None:
        self.facts |= {"id": run_id, "folder": folder}

    def stage_started(self, stage: Any) -> None:
        self.stage = stage.name

    def epoch(self, epoch: Any, total: int) -> None:
        accuracy = epoch.metrics["val_accuracy"]
        place = f"stage {self.stage}, epoch {epoch.number}/{total}"
        self._on("epoch", f"{place}: validation accuracy {accuracy:.3f}", f"{accuracy:.4f}")

    def ended(self, result: Any) -> None:
        accuracy, images = result.test_accuracy, result.test["images"]
        said = f"test accuracy {accuracy:.3f} on {images:,} images"
        self._on("ended", said, f"{accuracy:.4f}")

    def failed(self, message: str) -> None:
        self._on("failed", message)

    def interrupted(self, message: str) -> None:
        self._on("interrupted", message.removeprefix("interrupted; "))

    def _on(self, event: Event, message: str, accuracy: str = "") -> None:
        if event in self.params.on:
            self.facts |= {"status": event, "message": message, "accuracy": accuracy}
            self.send()


class Command(Messenger):
    """Runs a command with the facts in environment variables such as KERASCNN_RUN_STATUS."""

    def __init__(self, params: CommandParams) -> None:
        super().__init__(params)
        self.command = read_command(params)

    def send(self) -> None:
        facts = {f"KERASCNN_RUN_{name.upper()}": value for name, value in self.facts.items()}
        subprocess.run(
            self.command,
            env={**os.environ, **facts},
            stdin=subprocess.DEVNULL,
            timeout=self.params.timeout_seconds,
            check=True,
        )


class Webhook(Messenger):
    """Posts `{"text": …}` to a URL."""

    params: WebhookParams

    def __init__(self, params: WebhookParams) -> None:
        super().__init__(params)
        self.url = read_url(params)

    def send(self) -> None:
        text = PLACEHOLDER.sub(lambda found: self.facts[found[1]], self.params.text)
        request = Request(
            self.url,
            json.dumps({self.params.key: text}).encode(),
            {"Content-Type": "application/json", "User-Agent": "kerascnn"},
        )
        with urlopen(request, timeout=self.params.timeout_seconds):
            pass


def read_command(params: CommandParams) -> list[str]:
    try:
        given = shlex.split(os.environ.get(params.variable, ""))
    except ValueError as error:
        raise InputError(f"the command in {params.variable} is incomplete: {error}") from error
    if not given:
        example = f"export {params.variable}='notify-send kerascnn'"
        raise InputError(f"the environment variable {params.variable} is not set: `{example}`")
    return given


def read_url(params: WebhookParams) -> str:
    """The URL; messages do not show it, because it is a secret."""
    url = os.environ.get(params.variable, "").strip()
    if not url:
        example = f"export {params.variable}=https://…"
        raise InputError(f"the environment variable {params.variable} is not set: `{example}`")
    if not re.fullmatch(r"https?://[!-.0-~][!-~]*", url):
        raise InputError(f"{params.variable} is not a URL that starts with https:// or http://")
    return url


def _faults(read: Callable[[Any], Any], params: Any, *, image_size: int) -> dict[str, str]:
    try:
        read(params)
    except InputError as error:
        return {"variable": str(error)}
    return {}


@hookimpl
def kerascnn_observers() -> list[Component]:
    return [
        Component(
            "command",
            Command,
            CommandParams,
            "runs a command of yours when a run ends",
            partial(_faults, read_command),
        ),
        Component(
            "webhook",
            Webhook,
            WebhookParams,
            "posts a message to a URL of yours when a run ends",
            partial(_faults, read_url),
        ),
    ]
