"""What a view of the platform is written against: a request, an answer, a refusal, a row of the route table.

No sockets here, and no loop: a handler is a plain function, and a test calls it as one.

    reads    handler(platform, request) -> Answer | Later       on the loop's thread; must be quick
    writes   handler(platform, request, tx) -> Answer | Later   on the store's writer thread, inside a savepoint of the
                                                                group's transaction; what it raises rolls that back, and
                                                                what it returns is sent, or asked, after the commit
"""

from __future__ import annotations

import re
from functools import partial

from .._protocol import json_text
from .._protocol.messages import FileSegment, Headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any, BinaryIO, Protocol, TypeAlias, Union

    from .platform import Platform
    from .streams import LiveEvents

    Fields: TypeAlias = tuple[tuple[str, str], ...]
    Body: TypeAlias = Union[bytes, FileSegment, LiveEvents]
    Reading: TypeAlias = Callable[[Platform, "Incoming"], Union["Answer", "Later"]]
    Writing: TypeAlias = Callable[[Platform, "Incoming", Any], Union["Answer", "Later"]]
    Receiving: TypeAlias = Callable[[Platform, "Incoming"], "Receiver"]

    class Receiver(Protocol):
        """Takes a body that is too large for memory, piece by piece: a parser of forms is one."""

        def feed(self, data: bytes) -> None:
            """Take the next piece; on the loop's thread, so no fsync here. Raises Refusal, or OSError of the disk."""

        def finish(self) -> object:
            """The body is complete; what is returned becomes `request.body`. On a thread of its own: may fsync."""

        def discard(self) -> None:
            """Called once at the end, also if the body broke off: what is still here goes."""


JSON = "application/json"
JSON_BYTES = 10 * 1024 * 1024
LONGEST_KEY = 255
UPLOAD_BYTES = 4 * 1024 * 1024 * 1024
# What a browser may show in its own window: types that cannot carry a script. All others are downloads.
IMAGES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"))
UNKNOWN_TYPE = "application/octet-stream"

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(;[\x20-\x7e]*[\x21-\x7e])?")
_UNESCAPED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_PLAIN = _UNESCAPED | frozenset(" ()+,=@")
_HEX = frozenset(b"0123456789ABCDEFabcdef")


class Refusal(Exception):
    """The answer is no: `status`, a code of capitals, and a message that may be shown.

    The app gives it the shape of its route's family: `{"ok": false, "error": {"code", "message"}}` for the worker API,
    `{"message"}` for all others. Raised by a writing handler, it undoes what the handler did.
    """

    def __init__(self, status: int, code: str, message: str, headers: Fields = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


class Query:
    """The fields behind the `?`, decoded, in order. A field may come more than once."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple(fields)

    def first(self, name: str, default: str = "") -> str:
        """The first value of `name`, or `default`."""
        return next((value for key, value in self._fields if key == name), default)

    def all(self, name: str) -> list[str]:
        """Every value of `name`."""
        return [value for key, value in self._fields if key == name]

    def __iter__(self) -> Any:
        return iter(self._fields)


class Incoming:
    """One request whose head was checked and whose body is complete.

    `params` are the decoded `{names}` of the route's path. `body` is bytes, or what the route's receiver made of it.
    """

    __slots__ = ("_query", "body", "headers", "method", "params", "path", "query_text")

    def __init__(
        self,
        method: str,
        path: str,
        query_text: str = "",
        headers: Headers | None = None,
        body: Any = b"",
        params: dict[str, str] | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.query_text = query_text
        self.headers = headers if headers is not None else Headers()
        self.body: Any = body
        self.params: dict[str, str] = params if params is not None else {}
        self._query: Query | None = None

    @property
    def query(self) -> Query:
        """The fields behind the `?`. Raises Refusal (400) if they are malformed."""
        if self._query is None:
            self._query = Query(_query_fields(self.query_text))
        return self._query

    def json(self) -> Any:
        """The body as a JSON value. Raises Refusal (400, INVALID_REQUEST)."""
        try:
            return json_text.decode(self.body, is_kept=True)
        except json_text.JsonError as error:
            reason = str(error)
        raise Refusal(400, "INVALID_REQUEST", f"the body is not JSON: {reason}")

    def idempotency_key(self) -> str:
        """The Idempotency-Key, "" if there is none. Raises Refusal (400)."""
        key = self.headers.get("Idempotency-Key").strip()
        if len(key) <= LONGEST_KEY and key.isascii() and (key.isprintable() or not key):
            return key
        what = f"Idempotency-Key is not a text of at most {LONGEST_KEY} printable characters"
        raise Refusal(400, "INVALID_REQUEST", what)

    def __repr__(self) -> str:
        return f"<Incoming {self.method} {self.path}>"


class Answer:
    """A status, headers and a body: bytes, a file, or live events.

    `headers` are those beside Content-Type, length, Date and the security headers, which the server adds; one of the
    latter that is given here replaces the server's own. `delay_s` and `cut_after` are for faults on purpose: the answer
    waits so long, and the connection is cut after so many bytes of the body (0: before the head). With `drip_s` a body
    of bytes goes out one by one, each after so many seconds.
    """

    __slots__ = ("body", "content_type", "cut_after", "delay_s", "drip_s", "headers", "status")

    def __init__(self, status: int = 200, body: Body = b"", content_type: str = "", headers: Fields = ()) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.delay_s = self.drip_s = 0.0
        self.cut_after: int | None = None

    @classmethod
    def json(cls, value: object, status: int = 200, headers: Fields = ()) -> Answer:
        """`value` as JSON."""
        text = json_text.encode(value, what="answer", ascii_only=False, wrapping=json_text.WRAPPING)
        return cls(status, text.encode("utf-8"), JSON, headers)

    @classmethod
    def file(cls, path: Path, size_bytes: int, name: str, content_type: str, *, inline: bool = False) -> Answer:
        """A file, sent from the disk as it is read: a download, unless it is a picture to be shown `inline`.

        A `content_type` that is none is not repeated: whoever pushed the file chose it.
        """
        segment = FileSegment(partial(_open, path), size_bytes)
        kind = "inline" if inline and content_type in IMAGES else "attachment"
        checked_type = content_type if _MEDIA_TYPE.fullmatch(content_type) else UNKNOWN_TYPE
        return cls(200, segment, checked_type, (("Content-Disposition", f"{kind}; {_filename(name)}"),))

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"


class Later:
    """An answer that waits for something to happen (a long poll).

    `ask(is_last)` is called on the loop's thread: now, after every commit, and once more with True after `timeout_s`
    seconds, when it has to answer. None means not yet.
    """

    __slots__ = ("ask", "timeout_s")

    def __init__(self, ask: Callable[[bool], Answer | None], timeout_s: float) -> None:
        self.ask = ask
        self.timeout_s = timeout_s


class Route:
    """A row of the route table.

    `path` has `{names}` for whole segments. `body` is "none", "json" (at most 10 MiB, Content-Type application/json),
    or "file" (a form, streamed to what `receiver` makes). `auth` says who may come in:

        secret   a worker: X-Internal-Secret
        jobs     a submitter: Basic or Bearer, if the platform was started with basic auth; else open
        page     a browser: the same
        key      Authorization: Bearer with the api key, always
        signed   the URL carries its own signature, which the handler checks
        open     anybody; but under --auth the token is needed, as everywhere

    `prefixed`: the path stands behind the prefix that the jobs API was given.
    """

    __slots__ = (
        "auth",
        "body",
        "handler",
        "limit_bytes",
        "media",
        "method",
        "names",
        "path",
        "prefixed",
        "receiver",
        "writes",
    )

    def __init__(
        self,
        method: str,
        path: str,
        handler: Reading | Writing,
        *,
        writes: bool = False,
        body: str = "none",
        auth: str = "page",
        prefixed: bool = False,
        receiver: Receiving | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.names = tuple(segment[1:-1] for segment in path.split("/") if segment.startswith("{"))
        self.handler: Any = handler
        self.writes = writes
        self.body = body
        self.auth = auth
        self.prefixed = prefixed
        self.media = {"json": JSON, "file": "multipart/form-data"}.get(body, "")
        self.receiver = receiver
        self.limit_bytes = limit_bytes or {"json": JSON_BYTES, "file": UPLOAD_BYTES}.get(body, 0)

    def __repr__(self) -> str:
        return f"<Route {self.method} {self.path}>"


def percent_decoded(text: str) -> str:
    """`text` with its escapes undone, strictly. Raises Refusal (400) for half an escape, what is not UTF-8, and NUL."""
    if "%" in text:
        first, *rest = text.encode("latin-1", "replace").split(b"%")
        try:
            text = b"".join([first, *(_unescaped(piece) for piece in rest)]).decode("utf-8")
        except ValueError:
            text = "\0"
    if "\0" in text:
        raise Refusal(400, "INVALID_REQUEST", "the URL holds a malformed escape, or a NUL")
    return text


def _unescaped(piece: bytes) -> bytes:
    digits = piece[:2]
    if len(digits) < 2 or not _HEX.issuperset(digits):
        raise ValueError("not an escape")
    return bytes((int(digits, 16),)) + piece[2:]


def _query_fields(text: str) -> list[tuple[str, str]]:
    fields = []
    for field in text.split("&") if text else ():
        name, _, value = field.partition("=")
        if field:
            fields.append((percent_decoded(name.replace("+", " ")), percent_decoded(value.replace("+", " "))))
    return fields


def _open(path: Path) -> BinaryIO:
    return open(path, "rb")


def _filename(name: str) -> str:
    """The parameters of a Content-Disposition (RFC 6266): a plain name for all, the true one in UTF-8 beside it."""
    plain = "".join(character if character in _PLAIN else "_" for character in name)
    true = name.encode("utf-8", "replace")
    encoded = "".join(chr(byte) if chr(byte) in _UNESCAPED else f"%{byte:02X}" for byte in true)
    return f"filename=\"{plain}\"; filename*=UTF-8''{encoded}"
