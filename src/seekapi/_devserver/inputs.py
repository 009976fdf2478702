"""The input of a job at a URL that carries its own permission, as object stores hand them out.

The signature covers which attempt may read and until when; nobody can make one without the server's keys. A refusal
has the words and the XML of S3, because that is what workers meet in production.
"""

from __future__ import annotations

import hmac
from functools import partial

from . import records
from .exchange import JSON, Answer, Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .exchange import Incoming
    from .platform import Platform
    from .transactions import Transaction

PATH = "/inputs/"


def url_of(platform: Platform, attempt_id: str, expires_at: float) -> str:
    """The presigned URL of an attempt's input; good until `expires_at`, whole seconds since 1970."""
    expires = str(int(expires_at))
    return f"{platform.url}{PATH}{attempt_id}?expires={expires}&sig={_signature(platform, attempt_id, expires)}"


def read(platform: Platform, request: Incoming) -> Answer:
    """GET of the input. That the worker came for it is an event; the answer does not wait until that is written."""
    attempt_id = request.params["attempt"]
    expires, signature = request.query.first("expires"), request.query.first("sig")
    if not expires or not signature:
        return _refused("AccessDenied", "Access Denied")
    expected = _signature(platform, attempt_id, expires)
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode("ascii")):
        return _refused("SignatureDoesNotMatch", "The request signature we calculated does not match the one provided")
    # Signed by us: so it is a number.
    if platform.now() >= int(expires):
        return _refused("AccessDenied", "Request has expired")
    with platform.store.read() as reader:
        attempt = records.attempt_of(reader, attempt_id)
        job = None if attempt is None else records.job_of(reader, attempt.job_id)
    if job is None:
        return _refused("NoSuchKey", "The specified key does not exist.", 404)
    body = job.request_json.encode("utf-8")
    if request.method == "GET":
        platform.store.post(partial(_note, attempt_id, len(body)))
    return Answer(200, body, JSON)


def _note(attempt_id: str, size_bytes: int, tx: Transaction) -> None:
    attempt = records.attempt_of(tx, attempt_id)
    if attempt is not None and attempt.ended_at is None:
        tx.event(attempt, "input", {"size_bytes": size_bytes})


def _signature(platform: Platform, attempt_id: str, expires: str) -> str:
    # Of both, each with its length in front: the worker knows the first, and must not be able to sign.
    key = f"{len(platform.secret)}:{platform.secret}:{platform.api_key}".encode()
    return hmac.new(key, f"GET {attempt_id} until {expires}".encode("utf-8", "replace"), "sha256").hexdigest()


def _refused(code: str, message: str, status: int = 403) -> Answer:
    xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status, xml.encode("ascii"), "application/xml")


ROUTES = (Route("GET", PATH + "{attempt}", read, auth="signed"),)
