"""A browser, driven over the WebDriver protocol (W3C): HTTP and JSON, so the standard library is enough.

    with browser() as page:
        page.open("http://127.0.0.1:8788/")
        page.find("#new-job").click()

SEEKAPI_BROWSER names the folder that holds `chromium` and `chromedriver`.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

FOLDER = os.environ.get("SEEKAPI_BROWSER", "")
LIMIT_S = 30
# The browser stays on this machine: whatever it would look up or fetch by itself is switched off.
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-domain-reliability",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_opener = build_opener(ProxyHandler({}))


class Page:
    """One browser window."""

    def __init__(self, session_url: str) -> None:
        self._url = session_url

    def _call(self, method: str, path: str, **body: Any) -> Any:
        return call(method, f"{self._url}{path}", body)

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is loaded."""
        self._call("POST", "/url", url=url)

    @property
    def url(self) -> str:
        """Where the window is."""
        return str(self._call("GET", "/url"))

    def run(self, script: str, *arguments: object) -> Any:
        """What a piece of JavaScript returns; it sees `arguments`."""
        return self._call("POST", "/execute/sync", script=script, args=list(arguments))

    def wait(self, script: str, *arguments: object, limit_s: float = LIMIT_S) -> Any:
        """Wait until a piece of JavaScript returns something true, and return that."""
        return until(lambda: self.run(script, *arguments), what=script, limit_s=limit_s)

    def find(self, selector: str) -> Element:
        """The first element that fits, once it is there and can be seen."""
        script = "const e = document.querySelector(arguments[0]); return e && e.offsetParent !== null ? e : null"
        return Element(self, lambda: self.wait(script, selector))

    def button(self, text: str) -> Element:
        """The first button with exactly this text, once it is there."""
        script = (
            "return [...document.querySelectorAll('dialog[open] button, main button, header button, #faults button')]"
            ".find((b) => b.textContent === arguments[0] && b.offsetParent !== null) ?? null"
        )
        return Element(self, lambda: self.wait(script, text))

    def text(self, selector: str = "body") -> str:
        """The text that an element shows; "" if there is none."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def wait_for_text(self, text: str, selector: str = "body", limit_s: float = LIMIT_S) -> None:
        """Wait until an element shows this text."""
        script = "return (document.querySelector(arguments[0])?.innerText ?? '').includes(arguments[1])"
        self.wait(script, selector, text, limit_s=limit_s)

    def press(self, keys: str) -> None:
        """Type on the keyboard, wherever the focus is."""
        presses = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": presses}])

    def resize(self, width: int, height: int) -> None:
        """The size of what the page is drawn on, in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.developer("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """As if the system were "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.developer("Emulation.setEmulatedMedia", {"features": features})

    def developer(self, command: str, parameters: dict[str, Any]) -> Any:
        """A command of Chromium's own protocol."""
        return self._call("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def screenshot(self, path: Path) -> None:
        """What the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def console(self) -> list[str]:
        """What the console said since the last call: errors, and warnings of the browser."""
        entries = self._call("POST", "/se/log", type="browser")
        return [f"{entry['level']}: {entry['message']}" for entry in entries]

    def new_tab(self) -> str:
        """Open another tab and go there."""
        handle = str(self._call("POST", "/window/new", type="tab")["handle"])
        self.switch(handle)
        return handle

    def tabs(self) -> list[str]:
        """The handles of all tabs."""
        found: list[str] = self._call("GET", "/window/handles")
        return found

    def switch(self, handle: str) -> None:
        """Go to a tab."""
        self._call("POST", "/window", handle=handle)


class Element:
    """One element of the page: what `find` finds, now or when it is drawn anew."""

    def __init__(self, page: Page, find: Callable[[], dict[str, str]]) -> None:
        self._page = page
        self._find = find
        self._path = f"/element/{find()[_ELEMENT]}"

    def click(self) -> None:
        """As a person clicks: what lies above would be hit instead, and is an error."""
        try:
            self._page._call("POST", f"{self._path}/click")
        except AssertionError as error:
            if "stale element reference" not in str(error):
                raise
            # Drawn anew since it was found: a person clicks what is there.
            self._page._call("POST", f"/element/{self._find()[_ELEMENT]}/click")

    def type(self, text: str) -> None:
        """Replace what is in it."""
        self._page._call("POST", f"{self._path}/clear")
        self._page._call("POST", f"{self._path}/value", text=text)


@contextmanager
def browser() -> Iterator[Page]:
    """A fresh browser with nothing in it; it and its driver end with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, driver() as base:
        options = {"binary": os.path.join(FOLDER, "chromium"), "args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = call("POST", f"{base}/session", {"capabilities": {"alwaysMatch": wanted}})
        url = f"{base}/session/{made['sessionId']}"
        try:
            yield Page(url)
        finally:
            call("DELETE", url, None)


@contextmanager
def driver() -> Iterator[str]:
    """A chromedriver on a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [os.path.join(FOLDER, "chromedriver"), f"--port={port}", "--log-level=OFF"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        base = f"http://127.0.0.1:{port}"
        until(lambda: _is_up(base), what="chromedriver to listen")
        yield base
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def call(method: str, url: str, body: dict[str, Any] | None) -> Any:
    """One command; its value. A refusal is an AssertionError with the driver's reason."""
    data = json.dumps(body).encode() if method == "POST" else None
    request = Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with _opener.open(request, timeout=LIMIT_S * 2) as response:
            return json.load(response)["value"]
    except OSError as error:
        answer = getattr(error, "read", lambda: b"")()
        reason = json.loads(answer)["value"] if answer else {"error": str(error), "message": ""}
    raise AssertionError(f"{method} {url.rpartition('/')[2]}: {reason['error']}: {reason['message']}")


def until(ask: Callable[[], Any], *, what: str, limit_s: float = LIMIT_S) -> Any:
    """Ask until the answer is true; an AssertionError after the limit."""
    ends_at = time.monotonic() + limit_s
    while not (answer := ask()):
        assert time.monotonic() < ends_at, f"waited {limit_s} s for {what}"
        time.sleep(0.05)
    return answer


def _is_up(base: str) -> bool:
    try:
        with _opener.open(f"{base}/status", timeout=5) as response:
            return bool(json.load(response)["value"]["ready"])
    except OSError:
        return False
