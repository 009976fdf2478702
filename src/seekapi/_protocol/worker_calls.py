"""The four calls of a worker as requests: what 1.0.5 sends, plus `Idempotency-Key`.

Source of paths, fields and their order: the published seekapi 1.0.5. Whether the hosted platform honours
`Idempotency-Key` is unknown, so a retried push is *at least once* there, and *exactly once* where keys are kept.
"""

from __future__ import annotations

import json

from ..errors import ConfigurationError
from . import json_text, routes
from .messages import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .messages import FileSegment

    Context = Mapping[str, str]


def register_request_id(context: Context, request_id: object) -> Request:
    """Sets a value, so sending it twice is harmless and it needs no key."""
    body = json_text.encode({"request_id": request_id}, what="register_request_id")
    return _post_json(context, routes.REGISTER, body, repeatable=True)


def push_data(context: Context, data_text: str, type: str, *, idempotency_key: str) -> Request:
    """`data_text` is JSON already: a large value is encoded once."""
    token, kind = json.dumps(context["execution_token"]), json.dumps(type)
    body = f'{{"execution_token": {token}, "data": {data_text}, "type": {kind}}}'
    return _post_json(context, routes.PUSH_DATA, body, idempotency_key=idempotency_key)


def push_file(context: Context, name: str, content: FileSegment, content_type: str, *, idempotency_key: str) -> Request:
    """The same key makes the same bytes, also when the caller tries again: the boundary follows from it.

    The token goes into the boundary too, so that nobody can prepare a file that contains it.
    """
    # The one call that needs it; the others should not pay for it in a cold start.
    from . import multipart

    token = context["execution_token"]
    boundary = multipart.BOUNDARY_PREFIX + _digest(f"{token}|{idempotency_key}")[:16]
    body = multipart.file_form(token, name, content, content_type, boundary)
    return _post(context, routes.PUSH_FILE, multipart.content_type(boundary), body, idempotency_key=idempotency_key)


def charge(context: Context, idempotency_key: str, count: int, justification: Mapping[str, Any] | None) -> Request:
    """The key travels in the body, as in 1.0.5, and as a header, for whoever keeps keys there."""
    fields: dict[str, Any] = {
        "execution_token": context["execution_token"],
        "idempotency_key": idempotency_key,
        "count": count,
    }
    if justification is not None:
        fields["justification"] = justification
    return _post_json(context, routes.CHARGE, json_text.encode(fields, what="charge"), idempotency_key=idempotency_key)


def header_key(context: Context, action: str, idempotency_key: str) -> str:
    """`idempotency_key` as the header says it: of this job and this call only, whatever else has the same key.

    A platform may keep the keys of all jobs and calls in one place. Any text makes a legal header value.
    """
    return _digest(f"{context['execution_token']}|{action}|{idempotency_key}")[:32]


def checked_secret(secret: str) -> str:
    """`secret`, if it can be a header value; the message never shows it."""
    if isinstance(secret, str) and secret and secret.isascii() and secret.isprintable() and " " not in secret:
        return secret
    raise ConfigurationError("WORKER_INTERNAL_SECRET holds a character that cannot travel in a header (line break?)")


def _post_json(
    context: Context, action: str, body: str, *, repeatable: bool = False, idempotency_key: str | None = None
) -> Request:
    return _post(
        context,
        action,
        "application/json",
        (body.encode("ascii"),),
        repeatable=repeatable,
        idempotency_key=idempotency_key,
    )


def _post(
    context: Context,
    action: str,
    content_type: str,
    body: tuple[bytes | FileSegment, ...],
    *,
    repeatable: bool = False,
    idempotency_key: str | None = None,
) -> Request:
    headers = [
        ("Content-Type", content_type),
        ("Accept", "application/json"),
        ("X-Internal-Secret", checked_secret(context["secret"])),
    ]
    if idempotency_key is not None:
        headers.append(("Idempotency-Key", header_key(context, action, idempotency_key)))
    url = routes.worker_url(context["api_base"], context["job_uuid"], action)
    return Request("POST", url, headers, body, repeatable=repeatable, idempotency_key=idempotency_key)


def _digest(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
