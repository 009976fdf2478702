"""The four calls, byte for byte what the platform of 1.0.5 reads, and nothing a stranger put into a field."""

from __future__ import annotations

import io
import json

import pytest

from seekapi import ArgumentError, ConfigurationError
from seekapi._protocol import multipart, routes, worker_calls
from seekapi._protocol.messages import FileSegment

CONTEXT = {"job_uuid": "j-1", "execution_token": "tok", "api_base": "https://api.example", "secret": "s3cret"}


def joined(request) -> bytes:
    return b"".join(part if isinstance(part, bytes) else part.open().read() for part in request.body)


def test_push_data_is_what_1_0_5_sends():
    """Path, field order and separators are the published ones."""
    request = worker_calls.push_data(CONTEXT, '{"a": "\\u00e9", "n": null}', "json", idempotency_key="k")

    assert (request.method, request.url) == ("POST", "https://api.example/v1/internal/jobs/j-1/push")
    assert joined(request) == b'{"execution_token": "tok", "data": {"a": "\\u00e9", "n": null}, "type": "json"}'
    assert request.headers.get("X-Internal-Secret") == "s3cret"
    assert request.idempotency_key == "k" and request.headers.get("Idempotency-Key")
    assert request.repeatable


def test_charge_is_what_1_0_5_sends():
    """The key travels in the body, and a digest of it as a header; an empty justification is sent."""
    request = worker_calls.charge(CONTEXT, "page:1", 2, {})

    assert request.url.endswith("/v1/internal/jobs/j-1/charge")
    assert list(json.loads(joined(request)).items()) == [
        ("execution_token", "tok"),
        ("idempotency_key", "page:1"),
        ("count", 2),
        ("justification", {}),
    ]
    assert request.idempotency_key == "page:1" and request.headers.get("Idempotency-Key")


def test_registration_may_be_sent_twice():
    """It sets a value: no key, no second effect."""
    request = worker_calls.register_request_id(CONTEXT, "r-1")

    assert joined(request) == b'{"request_id": "r-1"}'
    assert request.repeatable and request.idempotency_key is None


def test_push_file_is_the_published_form():
    """Three parts in this order; the size is exact before a byte is read."""
    content = FileSegment(lambda: io.BytesIO(b"a,b\n"), 4)

    request = worker_calls.push_file(CONTEXT, "r.csv", content, "text/csv", idempotency_key="k")

    boundary = request.headers.get("Content-Type").removeprefix("multipart/form-data; boundary=")
    assert request.url.endswith("/push/file") and boundary.startswith("----WorkerSDKBoundary")
    assert joined(request).replace(boundary.encode(), b"B") == (
        b'--B\r\nContent-Disposition: form-data; name="execution_token"\r\n\r\ntok\r\n'
        b'--B\r\nContent-Disposition: form-data; name="name"\r\n\r\nr.csv\r\n'
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="r.csv"\r\nContent-Type: text/csv\r\n\r\n'
        b"a,b\n\r\n--B--\r\n"
    )
    assert request.size_bytes == len(joined(request))


def test_the_same_key_makes_the_same_bytes():
    """A platform that compares what came under a key must not see two different requests."""
    content = FileSegment(lambda: io.BytesIO(b"x"), 1)
    first, again, other = (
        joined(worker_calls.push_file({**CONTEXT, "execution_token": token}, "n", content, "a/b", idempotency_key="k"))
        for token in ("tok", "tok", "kot")
    )

    assert first == again
    assert first.replace(b"tok", b"kot") != other, "whoever knows the key alone must not know the boundary"


def test_a_file_name_cannot_leave_its_parameter():
    """Quotes and line breaks are encoded as browsers do (RFC 7578); the name part has the name itself."""
    name = 'a"b\r\nX-Evil: 1\r\n\r\né.txt'
    body = multipart.file_form("t", name, FileSegment(io.BytesIO, 0), "a/b", "B")[0]

    assert 'filename="a%22b%0D%0AX-Evil: 1%0D%0A%0D%0Aé.txt"\r\n'.encode() in body
    assert name.encode() in body


@pytest.mark.parametrize("name", [None, b"x", "a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_refused(name):
    """Before any request, and with a typed error."""
    with pytest.raises(ArgumentError, match="name"):
        multipart.checked_name(name)


@pytest.mark.parametrize("media_type", ["text", "text/csv\r\nX: 1", "té/x", "", 5, "text/csv; charset=é"])
def test_a_content_type_that_would_add_headers_is_refused(media_type):
    """Only `type/subtype` with visible ASCII parameters."""
    with pytest.raises(ArgumentError, match="content_type"):
        multipart.checked_media_type(media_type)


@pytest.mark.parametrize("name", ["contains B", "B"])
def test_the_boundary_cannot_be_forged(name):
    """A form whose boundary stands in a field would end there."""
    with pytest.raises(ArgumentError, match="boundary"):
        multipart.file_form("t", name, FileSegment(io.BytesIO, 0), "a/b", "B")


@pytest.mark.parametrize(
    "job_uuid",
    ["../../admin?x=", "a/b", "a?x=1", "a#f", "a b", "é", "", ".", "..", "a\r\nX: 1", "-a", "x" * 129, None, 7],
)
def test_a_job_id_cannot_reach_another_route(job_uuid):
    """With a valid secret in hand, a path must not be a stranger's choice; the message does not repeat it."""
    with pytest.raises(ArgumentError) as caught:
        routes.worker_url("https://h", job_uuid, routes.PUSH_DATA)

    assert not isinstance(job_uuid, str) or len(job_uuid) < 5 or job_uuid not in str(caught.value)


@pytest.mark.parametrize("job_uuid", ["j1", "0f7c-11", "a.b_c:d-e", "x" * 128])
def test_ordinary_job_ids_pass(job_uuid):
    """What platforms use as ids stays as it is."""
    assert routes.worker_url("https://h/base/", job_uuid, "push") == f"https://h/base/v1/internal/jobs/{job_uuid}/push"


@pytest.mark.parametrize(
    "base",
    [
        "api.example",
        "file:///",
        "https://u:p@h",
        "https://h?x=1",
        "https://h/#f",
        "https://h/ x",
        "ftp://h",
        "http://h:0",
        "http://h:65536",
        "",
        None,
    ],
)
def test_a_base_that_no_request_can_be_built_on_is_named(base):
    """The message names the variable, and shows none of its value."""
    with pytest.raises(ConfigurationError, match="WORKER_API_BASE_URL") as caught:
        routes.checked_api_base(base)

    assert "u:p" not in str(caught.value)


def test_a_context_of_local_mode_is_not_sent():
    """1.0.5 dialled its own placeholder host."""
    with pytest.raises(ConfigurationError, match="local mode is off now"):
        routes.checked_api_base(routes.LOCAL_API_BASE)


@pytest.mark.parametrize("secret", ["a\nb", "a\r\nX: 1", "sécret", "", "a b", None])
def test_a_secret_that_cannot_be_a_header_is_named_not_shown(secret):
    """http.client used to print it."""
    with pytest.raises(ConfigurationError, match="WORKER_INTERNAL_SECRET") as caught:
        worker_calls.checked_secret(secret)

    assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize("key", ["k", "clé", "a\nb", " k", "x" * 300, "\ud800"])
def test_any_key_has_a_header_form(key):
    """A digest, the same each time."""
    header = worker_calls.header_key(CONTEXT, "push", key)

    assert header == worker_calls.header_key(CONTEXT, "push", key)
    assert len(header) == 32 and header.isalnum() and header.isascii()


def test_a_key_is_of_one_job_and_one_call():
    """A platform that keeps all keys in one place must not take a charge for a push, or one job for another."""
    other_job = {**CONTEXT, "execution_token": "other"}
    headers = {
        worker_calls.header_key(context, action, key)
        for context in (CONTEXT, other_job)
        for action in ("push", "push/file", "charge")
        for key in ("k", "l")
    }

    assert len(headers) == 12
