"""Local mode over a folder of the test's own."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path

import pytest

from seekapi._backends.local import LocalBackend
from seekapi._backends.local_rows import read_rows
from seekapi._protocol import json_text
from seekapi._protocol.messages import FileSegment
from seekapi._settings import Settings


class Local:
    """A backend, what it is told, and what it has left on disk."""

    def __init__(self, base: Path, fixtures: str = "", **handed_in: object) -> None:
        self.base = base
        self.backend = LocalBackend(
            Settings(local_mode=True, local_dir=str(base), local_fixtures=fixtures), **handed_in
        )

    def push(self, data: object, job: str = "j1", timeout_s: float = 30) -> dict:
        at = time.monotonic() + timeout_s
        text = json_text.encode(data)
        return self.backend.push_data(_context(job), data, "json", text=text, idempotency_key="k", deadline=at)

    def file(self, name: str, content: bytes | Path, job: str = "j1", timeout_s: float = 30, size: int = -1) -> dict:
        if isinstance(content, bytes):
            source = FileSegment(lambda: io.BytesIO(content), len(content) if size < 0 else size)
        else:
            source = FileSegment(lambda: content.open("rb"), content.stat().st_size if size < 0 else size)
        at = time.monotonic() + timeout_s
        return self.backend.push_file(_context(job), name, source, "text/plain", idempotency_key="k", deadline=at)

    def charge(self, key: str, count: int = 1, justification: dict | None = None, job: str = "j1") -> dict:
        return self.backend.charge(_context(job), key, count, justification, deadline=time.monotonic() + 30)

    def job(self, job: str = "j1") -> Path:
        return self.base / job

    def rows(self, name: str, job: str = "j1") -> list[dict]:
        rows, bad_count = read_rows(str(self.job(job) / name))
        assert bad_count == 0
        return rows

    def response(self, job: str = "j1") -> object:
        return json.loads((self.job(job) / "response_json.json").read_bytes())

    def stored(self, job: str = "j1") -> dict[str, bytes]:
        files = self.job(job) / "files"
        return {name: (files / name).read_bytes() for name in sorted(os.listdir(files))}

    def tree(self) -> dict[str, bytes | str]:
        """Everything below the base: contents of files, targets of links. A row file without a row says nothing."""
        found: dict[str, bytes | str] = {}
        for path in sorted(self.base.rglob("*")):
            name = str(path.relative_to(self.base))
            if path.is_symlink():
                found[name] = str(path.readlink())
            else:
                found[name] = "folder" if path.is_dir() else path.read_bytes()
        return {name: content for name, content in found.items() if content or not name.endswith(".jsonl")}


def _context(job: str) -> dict[str, str]:
    return {"job_uuid": job, "execution_token": "tok", "api_base": "", "secret": ""}


@pytest.fixture
def local(tmp_path):
    """Local mode in a folder that does not exist yet."""
    return Local(tmp_path / "out")


@pytest.fixture
def local_with(tmp_path):
    """The same with something handed in."""
    return lambda base=tmp_path / "out", **handed_in: Local(base, **handed_in)
