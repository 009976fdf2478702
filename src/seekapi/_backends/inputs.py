"""Where the job's input comes from: a presigned URL, or in local mode also a path or the fixtures.

The URL comes with the event, so it is a stranger's word: http(s) only, no host that only the machine itself
should reach, a cap on the size, and its query, which gives access, in no message.
"""

from __future__ import annotations

import os
import stat

from .._protocol import json_text, problems
from .._protocol.messages import Request, Response
from ..errors import InputExpired, InputFetchError, MissingInputError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._settings import Settings

MAX_REDIRECTS = 3
# S3 answers these when it is busy; the status alone (400, 403) would make them final.
_RETRYABLE_CODES = frozenset(
    ("SlowDown", "InternalError", "RequestTimeout", "ServiceUnavailable", "RequestTimeTooSlow")
)


def read_input(url: str, settings: Settings, deadline: float) -> Any:
    """The job's input, parsed. `url` may be empty; `deadline` is in seconds of the monotonic clock.

    Raises MissingInputError, InputFetchError.
    """
    if settings.local_mode and not url:
        return _from_fixtures(settings)
    if not url:
        raise MissingInputError("the event carries no input_presigned_url")
    scheme = url.partition(":")[0].lower() if "://" in url or url.lower().startswith(("file:", "data:")) else ""
    if scheme in ("http", "https"):
        return _parsed(*_download(url, settings, deadline))
    if settings.local_mode and scheme in ("", "file"):
        return _parsed(_text_of(_read_file(url, settings.max_input_bytes)))
    raise InputFetchError(
        "input_presigned_url must be an http or https URL; "
        "files and plain paths are for local mode (SEEKAPI_LOCAL_MODE=1)"
    )


def _text_of(body: bytes, described: str = "") -> str:
    """A step of its own, so that the bytes are gone before the parsed value is there."""
    try:
        return json_text.text_of(body)
    except json_text.JsonError as error:
        reason = str(error)
    raise InputFetchError(f"the job input is not JSON{described}: {reason}")


def _parsed(text: str, described: str = "") -> Any:
    try:
        return json_text.parse(text)
    except json_text.JsonError as error:
        reason = str(error)
    raise InputFetchError(f"the job input is not JSON{described}: {reason}")


def _from_fixtures(settings: Settings) -> Any:
    from . import fixtures

    if fixtures.has_input(settings.local_fixtures):
        return fixtures.job_input(settings.local_fixtures)
    raise MissingInputError(
        'the event carries no input_presigned_url, and the fixtures (SEEKAPI_LOCAL_FIXTURES) have no "input"'
    )


def _read_file(url: str, max_bytes: int) -> bytes:
    """A regular file, whole. Local mode only."""
    path = _path_of(url)
    problem = ""
    try:
        # A pipe without a writer would hold a plain open() for ever.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size <= max_bytes:
                return file.read()
        problem = f"larger than {_limit(max_bytes)}" if stat.S_ISREG(status.st_mode) else "not a regular file"
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "not a path"
    raise InputFetchError(f"the input file {path!r} cannot be read: {problem}")


def _path_of(url: str) -> str:
    if not url.lower().startswith("file:"):
        return os.path.expanduser(url)
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise InputFetchError("a file:// input must name a file of this machine: file:///path/to/input.json")
    return url2pathname(parts.path)


def _download(url: str, settings: Settings, deadline: float) -> tuple[str, str]:
    """The text at `url`, and what its sender called it: a page of HTML explains itself so."""
    from .._transport import Policy
    from .remote import shared_transport

    policy = Policy(
        judge=_judge,
        response_bytes=settings.max_input_bytes,
        redirects=MAX_REDIRECTS,
        inflate=True,
        guard=True,
        allowed_hosts=settings.input_hosts,
    )
    _warn_of_plain_http(url)
    request = Request("GET", url, [("Accept", "application/json, */*;q=0.5")])
    try:
        response = shared_transport(settings).send(request, deadline, policy)
        described = f" ({problems.media_type_of(response)})"
        return _text_of(response.body, described), described
    except TransportError as error:
        # The promise of 1.0 around the input is ValueError, and the fault is the input's, not a delivery's.
        text, retryable = str(error), error.retryable
        if getattr(error, "limit_bytes", None):
            text = f"it is larger than {_limit(settings.max_input_bytes)}"
    raise InputFetchError(f"the job input could not be fetched: {text}", retryable=retryable)


def _limit(max_bytes: int) -> str:
    return f"{max_bytes} bytes, which SEEKAPI_MAX_INPUT_BYTES can raise"


def _warn_of_plain_http(url: str) -> None:
    authority = url[7:].partition("/")[0].rpartition("@")[2] if url[:7].lower() == "http://" else ""
    if authority and not authority.startswith(("127.", "localhost", "[::1]")):
        from . import warn

        warn("the job input is fetched over plain http: all on the way can read it")


def _judge(response: Response) -> InputFetchError | None:
    if response.status == 200:
        # Not strip(): of a large input with a line break at its end that would be a copy.
        is_empty = not response.body or response.body.isspace()
        return InputFetchError("the job input is empty (HTTP 200)", status=200) if is_empty else None
    code, message = _storage_error(response.body)
    status = response.status
    described = f"HTTP {status}" + (f" {code}" if code else "")
    retry_after = None
    if status in problems.RETRYABLE_STATUSES:
        import time

        retry_after = problems.retry_after_of(response, time.time())
    if code == "AccessDenied" and "expired" in message.lower():
        return InputExpired(
            f"the job input could not be fetched: {described}: the presigned URL has expired", status=status, code=code
        )
    hint = {
        "RequestTimeTooSkewed": "clock skew between this machine and the storage",
        "SignatureDoesNotMatch": "the presigned URL was altered on its way, or signed with another key",
        "NoSuchKey": "there is nothing at this address",
    }.get(code, "presigned URL expired?" if status == 403 else "")
    return InputFetchError(
        f"the job input could not be fetched: {described}" + (f" ({hint})" if hint else ""),
        status=status,
        code=code or None,
        retryable=status in problems.RETRYABLE_STATUSES or code in _RETRYABLE_CODES,
        retry_after=retry_after,
    )


def _storage_error(body: bytes) -> tuple[str, str]:
    """`Code` and `Message` of an S3 error document. The rest of it may hold keys and signatures, and stays unread."""
    import re

    text = body[:16384].decode("utf-8", "replace")
    code = re.search(r"<Code>\s*([A-Za-z0-9]{1,64})\s*</Code>", text)
    message = re.search(r"<Message>([^<]{0,200})</Message>", text)
    return (code.group(1) if code else "", message.group(1) if message else "")
