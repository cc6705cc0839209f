"""A headless Chromium that tests drive through its DevTools protocol, over pipes."""

import base64
import json
import os
import shutil
import subprocess
import time
from itertools import count

import pytest

FOUND = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
browser = pytest.mark.skipif(FOUND is None, reason="there is no Chromium here")
SECONDS = 120


class Chromium:
    """One tab; https://chromedevtools.github.io/devtools-protocol describes the methods."""

    def __init__(self, folder):
        inward, outward = os.pipe(), os.pipe()  # Chromium reads from 3 and writes to 4
        profile = f"--user-data-dir={folder / 'profile'}"
        command = [FOUND, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--remote-debugging-pipe", profile, "about:blank"]
        joined = f"exec {' '.join(command)} 3<&{inward[0]} 4>&{outward[1]}"
        self._process = subprocess.Popen(
            ["bash", "-c", joined],
            pass_fds=(inward[0], outward[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(inward[0])
        os.close(outward[1])
        self._to, self._from = os.fdopen(inward[1], "wb"), os.fdopen(outward[0], "rb")
        self._numbers, self.events, self._session = count(1), [], {}
        [page] = [
            target
            for target in self("Target.getTargets")["targetInfos"]
            if target["type"] == "page"
        ]
        of = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = {"sessionId": of["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(20)
        self._to.close()
        self._from.close()

    def __call__(self, method, **params):
        """Calls a method; keeps the events that come meanwhile."""
        number = next(self._numbers)
        call = {"id": number, "method": method, "params": params, **self._session}
        self._to.write(json.dumps(call).encode() + b"\0")
        self._to.flush()
        while (message := self._message()).get("id") != number:
            self.events.append(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def _message(self):
        text = bytearray()
        while (one := self._from.read(1)) != b"\0":
            if not one:
                raise RuntimeError("Chromium has ended")
            text += one
        return json.loads(text)

    def open(self, address, width=1280, height=900, scheme="light"):
        mobile = width < 600
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self("Emulation.setDeviceMetricsOverride", **screen)
        self("Emulation.setTouchEmulationEnabled", enabled=mobile)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self("Emulation.setEmulatedMedia", features=features)
        self("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, script):
        """The value of an expression, which may be a promise."""
        said = self("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise RuntimeError(str(said["exceptionDetails"]))
        return said["result"].get("value")

    def until(self, condition):
        """Waits for an expression to hold; returns its value."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if value := self.evaluate(condition):
                return value
            time.sleep(0.05)
        raise TimeoutError(condition)

    def choose(self, selector, *files):
        """Chooses files in an input."""
        root = self("DOM.getDocument")["root"]["nodeId"]
        node = self("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def press(self, key, **more):
        for kind in ("keyDown", "keyUp"):
            self("Input.dispatchKeyEvent", type=kind, key=key, **more)

    def screenshot(self, file):
        """The whole page as a PNG."""
        shot = self("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))
