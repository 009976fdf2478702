"""The real `seekapi dev` as a process, and a client of it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from command import LIMIT_S, environ

import seekapi as package
from seekapi import Client

PARENT = str(Path(package.__file__).resolve().parents[1])
# As the installed command does it, wherever this seekapi lies: with PYTHONPATH, the worker would find it, too.
COMMAND = f"import sys; sys.path.insert(0, {PARENT!r}); from seekapi._cli import main; sys.exit(main())"


class Left:
    """What one job left on a host, in the same form for each of them."""

    def __init__(self, envelope: Any, pushes: list[Any], files: list[Any], charges: list[dict[str, Any]]) -> None:
        self.ok: bool = envelope["ok"]
        # Code and message; the log of a host may know more.
        self.error = None if self.ok else {name: envelope["error"][name] for name in ("code", "message")}
        self.pushes = pushes
        self.files = files
        self.charges = [(charge["idempotency_key"], charge["count"], charge["justification"]) for charge in charges]


@contextlib.contextmanager
def dev_command(folder: Path, *arguments: str, **variables: str) -> Iterator[Client]:
    """`seekapi dev ARGUMENTS...` in `folder`, on a free port, from when it is ready to Ctrl-C."""
    ready, said = folder / "ready.json", folder / "said.txt"
    options = ["--port", "0", "--ready-file", str(ready), "--ephemeral", "--no-reload"]
    line = [sys.executable, "-c", COMMAND, "dev", *arguments, *options]
    with said.open("wb") as output:
        process = subprocess.Popen(
            line, cwd=folder, env=environ(**variables), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        ends_at = time.monotonic() + LIMIT_S
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < ends_at, said.read_text("utf-8")
            time.sleep(0.01)
        where = json.loads(ready.read_text("utf-8"))
        with Client(where["url"], api_key=where["api_key"]) as client:
            yield client
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 130, said.read_text("utf-8")
    finally:
        process.kill()
        process.wait()


def left_by(client: Client, job_input: object, folder: Path) -> Left:
    """Submit a job and wait for its end; its files are fetched into `folder`."""
    job = client.jobs.wait(client.jobs.submit(job_input).id, timeout=LIMIT_S)
    result = client.jobs.result(job.id)
    envelope = {"ok": result.ok, "error": result.error and result.error.raw}
    files = [
        (file.name, file.content_type, client.jobs.download(job.id, file, folder).read_bytes()) for file in result.files
    ]
    return Left(envelope, result.values, files, result.charges)
