"""A platform on a real socket and the settings that lead to it, for tests of one invocation."""

from __future__ import annotations

import json

import pytest
from faults.ledger import Ledger
from faults.server import FaultyServer

SECRET = "internal-secret-for-tests"
TOKEN = "execution-token-for-tests"
SIGNATURE = "0123456789abcdef0123456789abcdef"


class LambdaContext:
    """What AWS hands to a handler, with a fixed remaining time."""

    def __init__(self, remaining_ms: object = 30_000, request_id: object = "req-1") -> None:
        self.aws_request_id = request_id
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> object:
        return self._remaining_ms


class Platform:
    """The worker API of one job, and what it has received."""

    def __init__(self, server: FaultyServer) -> None:
        self.server = server

    @property
    def event(self) -> dict[str, object]:
        url = f"{self.server.url}/input.json?X-Amz-Signature={SIGNATURE}"
        return {"job_uuid": "job-1", "execution_token": TOKEN, "input_presigned_url": url}

    def serve(self, value: object) -> None:
        self.server.input_body = value if isinstance(value, bytes) else json.dumps(value).encode()

    def details(self, kind: str) -> list[object]:
        return [effect.detail for effect in self.server.ledger.effects if effect.kind == kind]

    @property
    def pushes(self) -> list[object]:
        return self.details("push")


@pytest.fixture
def platform(monkeypatch):
    """A platform that works, and an environment that leads to it."""
    with FaultyServer(Ledger(SECRET, TOKEN)) as server:
        monkeypatch.setenv("WORKER_API_BASE_URL", server.url)
        monkeypatch.setenv("WORKER_INTERNAL_SECRET", SECRET)
        for name in ("SEEKAPI_LOCAL_MODE", "SEEKAPI_LOCAL_DIR", "SEEKAPI_LOCAL_FIXTURES", "AWS_LAMBDA_FUNCTION_NAME"):
            monkeypatch.delenv(name, raising=False)
        yield Platform(server)


@pytest.fixture
def lambda_context():
    return LambdaContext()
