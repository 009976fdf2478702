"""The OpenAPI document as strangers read it: it is valid, and the running server does what it says, and no more."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from client.dev_server import INPUT_SCHEMA, KEY, SECRET, SETTINGS_SCHEMA, DevServer, dev_server
from command import environ
from interop.conftest import need

from seekapi import Client

# A bound against hanging.
LIMIT_S = 300
WORKER_SCHEMAS = {"input_schema": INPUT_SCHEMA, "settings_schema": SETTINGS_SCHEMA}
OPTIONS = {
    "open": WORKER_SCHEMAS,
    "without schemas": {},
    "prefix and login": {**WORKER_SCHEMAS, "prefix": "/api/v2", "basic_auth": ("ada", "pass-word-1")},
    "strict": {**WORKER_SCHEMAS, "strict": True},
}

# A header or parameter that nobody knows is no fault: it is ignored, as HTTP and the protocol want it. And what is
# refused for its size is refused, too.
CONFIGURATION = """
[generation]
allow-extra-parameters = false
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422, 431]
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 413, 414, 431]
# Without a body it still needs its Content-Type, for which OpenAPI has no word.
[[operations]]
include-operation-id = "cancel_job"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 413, 414, 415, 431]
"""


def document_of(server: DevServer) -> dict[str, object]:
    with urllib.request.urlopen(f"{server.platform.url}/openapi/schema", timeout=30) as response:
        assert response.headers.get_content_type() == "application/json"
        document: dict[str, object] = json.load(response)
        return document


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_generic_validator_finds_no_fault(options):
    """OpenAPI 3.1, with every option that changes it."""
    need("openapi_spec_validator")
    from openapi_spec_validator import OpenAPIV31SpecValidator

    with dev_server(**options) as server:
        document = document_of(server)

    assert [str(fault.message)[:500] for fault in OpenAPIV31SpecValidator(document).iter_errors()] == []


def fill(server: DevServer) -> None:
    """Jobs of several kinds, so that there is something to find."""
    login = {"username": "ada", "password": "pass-word-1"} if server.platform.options.basic_auth else {}
    with Client(server.url, **login) as client:
        for name in ("completed", "failed", "running", "cancelled", "queued"):
            job = client.jobs.submit({"name": name})
            if name == "cancelled":
                client.jobs.cancel(job.id)
            elif name != "queued":
                worker = server.claim()
                worker.log("hello")
                if name == "completed":
                    worker.end()
                if name == "failed":
                    worker.end(
                        {"code": "WORKER_ERROR", "message": "no", "where": None, "line": None, "traceback": None}
                    )


@pytest.mark.parametrize("name", ["open", "prefix and login"])
def test_a_property_based_tester_finds_no_fault(name: str, tmp_path: Path):
    """Whatever is asked, allowed or not: a documented answer of the documented shape, and never a 5xx."""
    need("schemathesis")
    options = OPTIONS[name]
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    with dev_server(**options) as server:
        fill(server)
        login = ["--auth", "ada:pass-word-1"] if "basic_auth" in options else []
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.platform.url}/openapi/schema"),
                *("--checks", "all", "--phases", "examples,coverage,fuzzing", "--max-examples", "20"),
                *("--generation-deterministic", "--no-color", "--header", f"X-Internal-Secret: {SECRET}"),
                # The one never ends, the other makes the server break its word.
                *("--exclude-operation-id", "follow_all", "--exclude-operation-id", "arm_fault"),
                *login,
            ],
            cwd=tmp_path,
            env=environ(),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )

    summary = done.stdout[done.stdout.find("= FAILURES") :]
    assert done.returncode == 0, summary[-6000:] + done.stderr[-2000:]
    tested = re.search(r"(\d+) generated", done.stdout)
    assert tested and int(tested[1]) > 500, done.stdout[-2000:]


def test_behind_a_key_it_needs_one(tmp_path: Path):
    """--auth: the document itself, and what it describes."""
    need("openapi_spec_validator")
    from openapi_spec_validator import OpenAPIV31SpecValidator

    with dev_server(needs_token=True) as server:
        request = urllib.request.Request(f"{server.url}/openapi/schema", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            document = json.load(response)

    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    closed = {"bearer", "secret"}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            schemes = {name for entry in operation["security"] for name in entry}
            assert schemes & closed or path.startswith("/inputs/"), (method, path)
