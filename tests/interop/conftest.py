"""What the interop tests stand on: the real peers, each started on loopback and ended by its process id.

The peers are no dependency of the project. Where one is missing, its tests are skipped and the run says so at its
end; with SEEKAPI_INTEROP=1, as CI sets it, a missing peer is a failure.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from faults.ledger import Ledger
from faults.server import FaultyServer
from interop.peers import Peer, S3Server, start_nginx, start_node, start_uvicorn
from interop.runtime_api import Sandbox

SECRET = "interop-secret-7f4e1c"
TOKEN = "interop-token-93b2a8"
MUST_RUN = os.environ.get("SEEKAPI_INTEROP", "") not in ("", "0")
HOW_TO = "see tests/interop/requirements.txt"

StartSandbox = Callable[..., Sandbox]
PutInput = Callable[[str, bytes], str]


def need(*names: str) -> None:
    """Skip, loudly, unless these packages (or, with a leading `$`, programs) are there; fail if they must be."""
    absent = [name for name in names if not _is_there(name)]
    if not absent:
        return
    reason = f"needs {', '.join(absent).replace('$', '')}, {HOW_TO}"
    if MUST_RUN:
        pytest.fail(f"SEEKAPI_INTEROP is set, and this test {reason}")
    pytest.skip(reason)


def _is_there(name: str) -> bool:
    if name.startswith("$"):
        return shutil.which(name[1:]) is not None
    return importlib.util.find_spec(name) is not None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skip nobody reads is a test nobody runs."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    told = [found[1] for reason in reasons if (found := re.search(f"needs (.*), {re.escape(HOW_TO)}", reason))]
    absent = sorted({name for names in told for name in names.split(", ")})
    if absent:
        line = f"!! interop tests SKIPPED: they need {', '.join(absent)}, {HOW_TO}"
        terminalreporter.write_line(line, yellow=True)


@pytest.fixture
def ledger() -> Ledger:
    """What the platform knows and has done."""
    return Ledger(SECRET, TOKEN)


@pytest.fixture
def platform(ledger: Ledger) -> Iterator[FaultyServer]:
    """The worker API, without a fault."""
    with FaultyServer(ledger) as server:
        yield server


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[StartSandbox]:
    """Start AWS's real runtime client on a handler: `start_sandbox(source, platform_url, **options_of_Sandbox)`."""
    need("awslambdaric")
    started: list[Sandbox] = []

    def start(source: str, platform_url: str, environ: Mapping[str, str] | None = None, **options: object) -> Sandbox:
        task_root = tmp_path / f"function-{len(started)}"
        task_root.mkdir()
        (task_root / "function.py").write_text(textwrap.dedent(source), encoding="utf-8")
        settings = {"WORKER_API_BASE_URL": platform_url, "WORKER_INTERNAL_SECRET": SECRET}
        sandbox = Sandbox(task_root, "function.handler", environ=settings | dict(environ or {}), **options)  # type: ignore[arg-type]
        started.append(sandbox)
        return sandbox

    yield start
    for sandbox in started:
        sandbox.close()


@pytest.fixture(scope="session")
def put_input(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PutInput]:
    """Store bytes in an S3 bucket and get a presigned URL for them: `url = put_input("job-1.json", b"{}")`."""
    need("boto3", "moto", "flask", "flask_cors")
    with S3Server(tmp_path_factory.mktemp("s3")) as storage:
        yield storage.put


@pytest.fixture(scope="session", params=["nginx", "uvicorn", "node"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """Each real HTTP server in turn, plain and TLS on two ports, with the same few resources behind it."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "uvicorn":
        need("uvicorn", "h11", "werkzeug")
        starting = start_uvicorn(folder)
    elif request.param == "node":
        need("$node")
        starting = start_node(folder)
    else:
        need("$nginx", "uvicorn", "h11", "werkzeug")
        starting = start_nginx(folder)
    with starting as peer:
        yield peer
