"""The dev server's own APIs in this process, without a runner: the test plays the worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from seekapi._devserver import changes, serve
from seekapi._devserver.platform import Options, Platform
from seekapi._devserver.store import Store
from seekapi._devserver.workers import Description

SECRET = "secret-of-the-dev-server"
KEY = "key-of-the-dev-server"
INPUT_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer", "minimum": 0}},
    "required": ["name"],
}
SETTINGS_SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "default": "first"}, "adjust": {"type": "number", "default": 0.5}},
    "additionalProperties": False,
}


class Contract:
    """In place of a runner: what it would have learned from its worker."""

    concurrency = 1

    def __init__(self, input_schema: dict[str, Any] | None, settings_schema: dict[str, Any] | None) -> None:
        self.input_schema = input_schema
        self.settings_schema = settings_schema
        self.worker = self
        self.name = "worker"
        self.description = Description({"input_schema": input_schema, "settings_schema": settings_schema})

    def about(self) -> dict[str, Any]:
        return {"name": self.name}


class DevServer:
    """`url`, and a worker played by hand."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.url = platform.url + platform.options.prefix

    def claim(self) -> Worker:
        """Begin the oldest job that waits."""
        claimed = self.platform.store.submit(lambda tx: changes.claim(tx, 60.0)).result(10)
        assert claimed is not None
        return Worker(self.platform, claimed)


class Worker:
    """One attempt at one job, over the worker's real API."""

    def __init__(self, platform: Platform, claimed: Any) -> None:
        self._platform = platform
        self.attempt = claimed.attempt
        self.context = {
            "api_base": platform.url,
            "secret": platform.secret,
            "job_uuid": claimed.attempt.job_id,
            "execution_token": claimed.token,
        }

    def log(self, message: str, source: str = "stdout", **more: str) -> None:
        line = {"source": source, "level": "INFO", "message": message, **more}
        self._platform.store.submit(lambda tx: tx.event(self.attempt, "log", line)).result(10)

    def progress(self, done: int, total: int, message: str = "on it") -> None:
        said = {"done": done, "total": total, "message": message}
        self._platform.store.submit(lambda tx: tx.event(self.attempt, "progress", said)).result(10)

    def end(self, error: dict[str, Any] | None = None) -> None:
        ok = error is None
        self._platform.store.submit(lambda tx: changes.end_attempt(tx, self.attempt, ok=ok, error=error)).result(10)


@contextmanager
def dev_server(
    *, input_schema: dict[str, Any] | None = None, settings_schema: dict[str, Any] | None = None, **options: Any
) -> Iterator[DevServer]:
    """A dev server on a free port, its record in a temporary folder that goes with it."""
    with Store(None) as store:
        platform = Platform(
            store,
            Options(data_dir=store.folder, **options),
            secret=SECRET,
            api_key=KEY,
            now=time.time,
            clock=time.monotonic,
            runner=Contract(input_schema, settings_schema),
        )
        server = serve.Server(platform, grace_s=0.5)
        server.listen()
        with server:
            yield DevServer(platform)
