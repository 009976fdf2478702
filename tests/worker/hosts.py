"""A job on each host that a handler can meet, to be run and looked at afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import seekapi


class Host:
    """`run(fn)` runs one job with `value` as its input; `pushes` and `files` are what the host has of it."""

    def __init__(self, event: dict[str, Any], read: Callable[[str], list[Any]]) -> None:
        self.event = event
        self._read = read

    def run(self, fn: Any, context: object = None) -> dict[str, Any]:
        return seekapi.run(self.event, context, fn)

    @property
    def pushes(self) -> list[Any]:
        return self._read("push")

    @property
    def files(self) -> list[Any]:
        return self._read("file")

    @property
    def charges(self) -> list[Any]:
        return self._read("charge")


def local_host(folder: Path, value: object, monkeypatch: Any) -> Host:
    """A folder on this disk."""
    (folder / "input.json").write_text(json.dumps(value))
    monkeypatch.setenv("SEEKAPI_LOCAL_MODE", "1")
    monkeypatch.setenv("SEEKAPI_LOCAL_DIR", str(folder / "out"))
    monkeypatch.delenv("SEEKAPI_LOCAL_FIXTURES", raising=False)
    event = {"job_uuid": "job-1", "execution_token": "t", "input_presigned_url": str(folder / "input.json")}
    names = {"push": ("data_pushes.jsonl", "data"), "file": ("file_pushes.jsonl", "name")}

    def read(kind: str) -> list[Any]:
        name, field = names.get(kind, ("charges.jsonl", "idempotency_key"))
        path = folder / "out" / "job-1" / name
        return [json.loads(line)[field] for line in path.read_text().splitlines()] if path.exists() else []

    return Host(event, read)


def remote_host(platform: Any, value: object) -> Host:
    """A platform over real sockets."""
    platform.serve(value)
    names = {"file": "name", "charge": "idempotency_key"}

    def read(kind: str) -> list[Any]:
        return [detail[names[kind]] if kind in names else detail for detail in platform.details(kind)]

    return Host(platform.event, read)
