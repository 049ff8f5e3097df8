"""A headless Chromium for tests of pages: what it logs, loads and asks for, over the DevTools protocol."""

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
PATIENCE = 60.0  # seconds; a page here takes a tenth of one


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Page:
    """One tab. ``errors`` are exceptions and console errors, ``requests`` every address that was asked for."""

    def __init__(self, address: str):
        self._socket = websocket.create_connection(address, timeout=PATIENCE, suppress_origin=True)
        self._count = 0
        self.errors: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._count:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        details = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
        elif message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(details["exceptionDetails"]))
        elif message.get("method") == "Runtime.consoleAPICalled" and details["type"] in ("error", "assert"):
            self.errors.append(json.dumps(details["args"]))
        elif message.get("method") == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.errors.append(details["entry"]["text"] + " " + details["entry"].get("url", ""))

    def open(self, path: Path) -> None:
        """Show a file and wait until its scripts have run and every image has arrived or failed."""
        self.call("Page.navigate", url="about:blank")  # the page before may be about to reload itself
        self.wait_for("document.readyState === 'complete' && location.href === 'about:blank'")
        self.errors.clear()
        self.requests.clear()
        self.call("Page.navigate", url=path.absolute().as_uri())
        self.wait_for(f"document.readyState === 'complete' && location.href === {json.dumps(path.absolute().as_uri())}")
        self.run("document.querySelectorAll('img').forEach(i => { i.loading = 'eager' })")
        self.wait_for("[...document.images].every(i => i.complete)")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        end = time.monotonic() + PATIENCE
        while not self.run(condition):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.02)

    def broken_images(self) -> list[str]:
        return self.run("[...document.images].filter(i => i.src && !i.naturalWidth).map(i => i.src)")

    def strangers(self, folder: Path) -> list[str]:
        """Requests for anything but the files of this folder and data inside the page."""
        own = folder.absolute().as_uri() + "/"
        return [r for r in self.requests if not r.startswith((own, "data:"))]

    def size(self, width: int, height: int, dark: bool = False, mobile: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def press(self, key: str, shift: bool = False) -> None:
        """A key of the keyboard goes down and up again, where the focus is."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = KEYS.get(key, ord(key[0].upper()))
        words = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 * shift}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **words)
        self.call("Input.dispatchKeyEvent", type="keyUp", **words)

    def tree(self) -> list[dict[str, Any]]:
        """What whoever cannot see the page is told, in its order: role, name, and properties by their names."""
        nodes = [n for n in self.call("Accessibility.getFullAXTree")["nodes"] if not n["ignored"]]
        return [
            {"role": node["role"]["value"], "name": node.get("name", {}).get("value", "")}
            | {p["name"]: p["value"].get("value") for p in node.get("properties", ())}
            for node in nodes
        ]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def chromium() -> Iterator[Page]:
    """A tab of a browser of its own; the test is skipped where there is none."""
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium or chrome on this machine")
    profile = Path(tempfile.mkdtemp(prefix="diptych-browser-"))
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port, end = profile / "DevToolsActivePort", time.monotonic() + PATIENCE
        while not (port.is_file() and "\n" in port.read_text()):
            if process.poll() is not None or time.monotonic() > end:
                pytest.skip(f"{program} does not start here")
            time.sleep(0.05)
        number = port.read_text().split()[0]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{number}/json", timeout=PATIENCE) as answer:
            tabs = json.load(answer)
        page = Page(next(t["webSocketDebuggerUrl"] for t in tabs if t["type"] == "page"))
        try:
            yield page
        finally:
            with contextlib.suppress(Exception):
                page.call("Browser.close")
            page.close()
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(profile, ignore_errors=True)
