"""Plays a row for an operation: servers here, the SDK in a child, and everything both saw in one `Observation`."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import answer_faults, wire_faults
from .expect import GETS, Expect, Row
from .ledger import Ledger
from .server import CERTIFICATES, FAULTS, FaultyServer, OtherOrigin

TESTS = Path(__file__).resolve().parent.parent
SECRETS = {
    "secret": "iS/3cr+9fD2=kLm7Qw",
    "token": "tok/7Yx+ab93KdPz0w",
    "signature": answer_faults.SIGNATURE,
    "access key": answer_faults.ACCESS_KEY,
    "private query": "PRIVATE-QUERY",
    "password of the URL": "pa55-word-zz",
    "body": wire_faults.MARKER.decode(),
}
QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
    f"{answer_faults.ACCESS_KEY}%2F20261122%2Feu-central-1%2Fs3%2Faws4_request&X-Amz-Expires=900"
    f"&X-Amz-Signature={answer_faults.SIGNATURE}"
)
JOB = "job-7f3a"
INPUT_BODY = json.dumps({"name": "Zoë", "items": [1, 2.5, None, True]}).encode()
# How long after its own deadline a child may take before it is killed as hung.
HUNG_AFTER_S = 15.0
PARALLEL_CASES = 32


@dataclass
class Observation:
    """What came of one case: the child's story and what the servers saw."""

    row: Row
    op: str
    expect: Expect
    ledger: Ledger
    result: dict[str, Any] = field(default_factory=dict)
    broken: str = ""
    api: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    other: list[bytes] = field(default_factory=list)
    proxy: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def name(self) -> str:
        """The test id."""
        return f"{self.row.name}-{self.op}"

    @property
    def call(self) -> dict[str, Any]:
        """The last call."""
        return dict(self.result["calls"][-1])

    @property
    def deadline_s(self) -> float:
        """When the call had to be over."""
        return self.row.remaining_ms / 1000 if self.op.startswith("run") else self.row.timeout_s


class Sdk:
    """A process that has imported the SDK and forks a child per scene. `path` puts another version of it in front."""

    def __init__(self, python: str = sys.executable, path: str = "") -> None:
        self._python = python
        self._path = path or _sdk_directory()

    def __enter__(self) -> Sdk:
        self._folder = tempfile.TemporaryDirectory(prefix="seekapi-faults-")
        self._socket = os.path.join(self._folder.name, "sdk")
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join((self._path, str(TESTS)))
        self._process = subprocess.Popen(
            [self._python, "-m", "faults.child", self._socket], env=environment, stdout=subprocess.PIPE
        )
        assert self._process.stdout
        if self._process.stdout.readline() != b"ready\n":
            self.__exit__()
            raise RuntimeError("the SDK process did not start")
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._folder.cleanup()

    def play(
        self, scene: dict[str, Any], patience_s: float, on_pid: Callable[[int], None], on_ask: Callable[[str], None]
    ) -> dict[str, Any]:
        """`{"result": ...}` or `{"broken": why}`; a child that hangs is killed."""
        pid = 0
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(patience_s)
            connection.connect(self._socket)
            connection.sendall(json.dumps(scene).encode() + b"\n")
            try:
                for line in connection.makefile("rb"):
                    message: dict[str, Any] = json.loads(line)
                    if "pid" in message:
                        pid = message["pid"]
                        on_pid(pid)
                    elif "ask" in message:
                        on_ask(message["ask"])
                    else:
                        return message
                    connection.sendall(b"go\n")
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                return {"broken": "hung: killed"}
            return {"broken": "the child died without a word"}


def _sdk_directory() -> str:
    """Where this process would take seekapi from: the checkout, or the wheel that is installed."""
    spec = importlib.util.find_spec("seekapi")
    return str(Path(spec.origin).parent.parent) if spec and spec.origin else str(TESTS.parent / "src")


def observe_all(sdk: Sdk, wanted: list[tuple[Row, str, Expect]], parallel: int = PARALLEL_CASES) -> list[Observation]:
    """Play all of them, many at once: most only wait. The long ones first, so that none is last and alone."""
    longest_first = sorted(wanted, key=lambda case: -_length_of(case[0], case[1]))
    with ThreadPoolExecutor(parallel) as pool:
        return list(pool.map(lambda case: observe(sdk, *case), longest_first))


def _length_of(row: Row, op: str) -> float:
    return row.remaining_ms / 1000 if op.startswith("run") else row.timeout_s


@dataclass
class Stage:
    """The servers of one case. `faulty` is one of the next two; `proxy` is there only if the row wants one."""

    faulty: FaultyServer
    api: FaultyServer
    inputs: FaultyServer
    other: FaultyServer
    proxy: FaultyServer | None

    def on_ask(self, what: str) -> None:
        """What the child wants to be done at this very moment."""
        if what == "listen":
            self.faulty.listen()
        elif what == "heal":
            self.faulty.state["healed"] = True
        elif what == "settled":
            self.faulty.settled.wait(2.0)

    def on_pid(self, pid: int) -> None:
        """Who the client is, for the fault that freezes it."""
        self.faulty.client_pid = pid


def observe(sdk: Sdk, row: Row, op: str, expect: Expect) -> Observation:
    """Play one case."""
    ledger = Ledger(SECRETS["secret"], SECRETS["token"])
    seen = Observation(row, op, expect, ledger)
    with _staged(row, op, ledger) as stage:
        with _scene(row, op, stage) as scene:
            answer = sdk.play(scene, seen.deadline_s * 2 + HUNG_AFTER_S, stage.on_pid, stage.on_ask)
        seen.result = answer.get("result", {})
        seen.broken = answer.get("broken", "")
        seen.api, seen.inputs = list(stage.api.requests), list(stage.inputs.requests)
        seen.other = [request.head for request in stage.other.requests] + stage.other.bodies
        seen.proxy = [b"".join(heard) for heard in stage.proxy.heard] if stage.proxy else []
        seen.connections = stage.faulty.connections
    return seen


@contextlib.contextmanager
def _staged(row: Row, op: str, ledger: Ledger) -> Iterator[Stage]:
    name = row.name if row.fault is None else row.fault
    host_name = {"name": row.stage["name"]} if "name" in row.stage else {}
    certificate = {"certificate": row.stage["certificate"], "name": "localhost"} if "certificate" in row.stage else {}
    with OtherOrigin(row.stage.get("other_host", "127.0.0.2")) as other, contextlib.ExitStack() as stack:
        given: dict[str, Any] = {"other": other.url, "input_body": INPUT_BODY, **host_name, **certificate}
        bad = stack.enter_context(FaultyServer(ledger, fault=name, endpoint=_endpoint(op, name), **given))
        good = bad
        if op.startswith("run"):
            good = stack.enter_context(FaultyServer(ledger, input_body=INPUT_BODY))
        proxy = None
        if "proxy" in row.stage:
            proxy = stack.enter_context(FaultyServer(ledger, fault=row.stage["proxy"]))
        yield Stage(bad, good, bad, other, proxy) if op in GETS else Stage(bad, bad, good, other, proxy)


def _endpoint(op: str, fault: str) -> str:
    """Inside run() only one call is hit: the registration goes first and would use up a fault that comes once."""
    if not op.startswith("run") or not fault or FAULTS[fault].moment != "request":
        return ""
    return {"run_api": "push", "run_register": "register"}.get(op, "input")


@contextlib.contextmanager
def _scene(row: Row, op: str, stage: Stage) -> Iterator[dict[str, Any]]:
    """What the child is told."""
    inputs = stage.inputs
    fill = {"query": QUERY, "base": inputs.url, "host": inputs.url.partition("://")[2], **SECRETS}
    url = str(row.scene.get("url", "{base}/input.json?{query}")).format(**fill)
    event: Any = {
        "job_uuid": row.scene.get("job", JOB),
        "execution_token": SECRETS["token"],
        "input_presigned_url": url,
        **row.scene.get("event_change", {}),
    }
    event = row.scene.get("event", event)
    environment = {
        "WORKER_API_BASE_URL": stage.api.url,
        "WORKER_INTERNAL_SECRET": SECRETS["secret"],
        "SSL_CERT_FILE": str(CERTIFICATES / "authority.pem"),
        "AWS_LAMBDA_FUNCTION_NAME": "faults",
    }
    if stage.proxy:
        environment["HTTPS_PROXY"] = f"http://user:{SECRETS['password of the URL']}@127.0.0.1:{stage.proxy.port}"
    environment.update({name: value.format(**fill) for name, value in row.scene.get("env", {}).items()})
    scene = {
        **row.scene,
        "op": op,
        "event": event,
        "env": environment,
        "timeout_s": row.timeout_s,
        "remaining_ms": row.remaining_ms,
        "secrets": SECRETS,
    }
    # The registration shares the connection with the push; where connections are what fails, it stays away.
    if op.startswith("run") and _endpoint(op, row.name if row.fault is None else row.fault):
        scene["request_id"] = "request-1"
    with tempfile.TemporaryDirectory() as folder:
        if op == "push_file":
            scene["file"] = _file(Path(folder), row.scene)
        yield scene


def _file(folder: Path, scene: dict[str, Any]) -> dict[str, Any]:
    """The file to push, made as the row wants it."""
    file = dict(scene.get("file", {"name": "report.csv"}))
    path = folder / "source.csv"
    made = file.pop("make", "plain")
    if made == "fifo":
        os.mkfifo(path)
    elif made == "sparse":
        with open(path, "wb") as sparse:
            sparse.truncate(100 * 1024**2)
    else:
        path.write_bytes(bytes(range(256)) * (scene.get("file_bytes", 2560) // 256))
    return {"path": str(path), **file}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds, result)."""
    start = time.monotonic()
    result = work()
    return time.monotonic() - start, result
