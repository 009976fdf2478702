"""Our transport as the client of HTTP servers that others wrote: nginx, uvicorn and Node, plain and over TLS."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from interop.peers import AUTHORITY

from seekapi import push_file
from seekapi._protocol.messages import FileSegment, Request, Response
from seekapi._transport import Policy, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.peers import Peer

    from seekapi.errors import SeekApiError

PATIENCE_S = 20.0
MEBIBYTE = 1024 * 1024
GREETING = {"message": "grüß dich", "n": list(range(200))}


def any_2xx(response: Response) -> SeekApiError | None:
    assert 200 <= response.status < 300, response
    return None


ANY = Policy(judge=any_2xx, response_bytes=64 * MEBIBYTE)
INFLATED = Policy(judge=any_2xx, response_bytes=64 * MEBIBYTE, inflate=True)


@pytest.fixture(params=["plain", "tls"])
def base_url(request: pytest.FixtureRequest, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The peer's address; its certificate is verified against the tests' own authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(AUTHORITY))
    return peer.plain_url if request.param == "plain" else peer.tls_url


@pytest.fixture
def transport(base_url: str) -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


def send(transport: Transport, request: Request, policy: Policy = ANY) -> Response:
    return transport.send(request, time.monotonic() + PATIENCE_S, policy)


def get(transport: Transport, url: str, policy: Policy = ANY) -> Response:
    return send(transport, Request("GET", url), policy)


def echo(transport: Transport, url: str, *body: bytes | FileSegment, **headers: str) -> dict[str, Any]:
    """POST `body` and return what the server saw of it."""
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    seen: dict[str, Any] = json.loads(send(transport, Request("POST", f"{url}/echo", fields, body)).body)
    return seen


@pytest.mark.parametrize("path", ["/length", "/chunked", "/close"])
def test_a_body_arrives_whole_however_it_is_framed(transport: Transport, base_url: str, path: str) -> None:
    """With its length, in chunks, or with the end of the connection."""
    assert json.loads(get(transport, base_url + path).body) == GREETING


def test_a_gzipped_body_is_inflated(transport: Transport, base_url: str) -> None:
    """What storage keeps compressed arrives as what was stored."""
    assert json.loads(get(transport, f"{base_url}/gzip", INFLATED).body) == GREETING


def test_no_content_is_an_empty_body(transport: Transport, base_url: str) -> None:
    """204 has no body, and the connection is good for the next request."""
    empty = get(transport, f"{base_url}/empty")
    after = get(transport, f"{base_url}/length")

    assert (empty.status, empty.body) == (204, b"")
    assert json.loads(after.body) == GREETING


def test_one_connection_serves_request_after_request(transport: Transport, base_url: str) -> None:
    """GET and POST, with and without length, all over the first connection."""
    answers = [
        get(transport, f"{base_url}/length"),
        get(transport, f"{base_url}/chunked"),
        send(transport, Request("POST", f"{base_url}/echo", body=[b"x" * 100_000])),
        get(transport, f"{base_url}/empty"),
        get(transport, f"{base_url}/gzip", INFLATED),
    ]

    assert len({answer.headers.get("X-Client-Port") for answer in answers}) == 1


def test_a_connection_that_the_server_ends_is_not_used_again(transport: Transport, base_url: str) -> None:
    """After `Connection: close` the next request goes over a new one."""
    first = get(transport, f"{base_url}/close")
    second = get(transport, f"{base_url}/length")

    assert first.headers.get("X-Client-Port") != second.headers.get("X-Client-Port")
    assert json.loads(second.body) == GREETING


def test_a_big_answer_arrives_whole(transport: Transport, base_url: str) -> None:
    """16 MiB in chunks."""
    body = get(transport, f"{base_url}/big?bytes={16 * MEBIBYTE}").body

    assert body == b'"' + b"x" * (16 * MEBIBYTE) + b'"'


def test_a_big_upload_arrives_whole(transport: Transport, base_url: str, tmp_path: Path) -> None:
    """A file of 16 MiB between two pieces of framing, streamed with its exact length."""
    content = bytes(range(256)) * (16 * MEBIBYTE // 256)
    path = tmp_path / "upload.bin"
    path.write_bytes(content)

    seen = echo(transport, base_url, b"--head--", FileSegment(lambda: path.open("rb"), len(content)), b"--tail--")

    assert seen["size"] == len(content) + 16
    assert seen["sha256"] == hashlib.sha256(b"--head--" + content + b"--tail--").hexdigest()


def test_headers_arrive_as_they_were_given(transport: Transport, base_url: str) -> None:
    """Host, length and the fields of the request, each once; no question whether to continue."""
    seen = echo(transport, base_url, b"{}", Content_Type="application/json", X_Internal_Secret="s3cret")["headers"]

    assert seen["content-type"] == "application/json"
    assert seen["x-internal-secret"] == "s3cret"
    assert seen["content-length"] == "2"
    assert "expect" not in seen and "transfer-encoding" not in seen


def test_an_expectation_is_met_by_an_interim_answer(transport: Transport, base_url: str) -> None:
    """A real server's `100 Continue` before the answer is not taken for the answer."""
    assert echo(transport, base_url, b"{}", Expect="100-continue")["size"] == 2


@pytest.mark.parametrize("peer", ["node"], indirect=True)
def test_interim_answers_that_nobody_asked_for_are_skipped(transport: Transport, base_url: str) -> None:
    """102 and 103, which only Node's server sends."""
    assert json.loads(get(transport, f"{base_url}/hints").body) == GREETING


@pytest.mark.parametrize("name", ["report.csv", "übersicht 2026.csv", 'the "final" one.csv', "50%22.csv"])
def test_an_upload_is_understood_by_a_form_parser_of_others(base_url: str, name: str, tmp_path: Path) -> None:
    """push_file() as werkzeug and undici read it: token, name, type and bytes, and nothing besides."""
    content = bytes(range(256)) * 1000
    path = tmp_path / "local.csv"
    path.write_bytes(content)
    context = {"api_base": base_url, "secret": "secret", "job_uuid": "job-1", "execution_token": "token-1"}

    reply = push_file(context, name, str(path), content_type="text/csv", timeout=PATIENCE_S)

    assert reply["fields"] == {"execution_token": "token-1", "name": name}
    assert reply["files"] == {
        "file": {"type": "text/csv", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    }
