"""What a view of the platform is written against: a request, an answer, a refusal, a row of the route table.

No sockets here, and no loop: a handler is a plain function, and a test calls it as one.

    reads    handler(platform, request) -> Answer | Later       on the loop's thread; must be quick
    writes   handler(platform, request, tx) -> Answer           on the store's writer thread, inside a savepoint of the
                                                                group's transaction; what it raises rolls that back, and
                                                                what it returns is sent after the commit
"""

from __future__ import annotations

import os
import re
from functools import partial

from .._protocol import json_text
from .._protocol.messages import FileSegment, Headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any, BinaryIO, Protocol, TypeAlias, Union

    from .app import Platform
    from .streams import LiveEvents

    Fields: TypeAlias = tuple[tuple[str, str], ...]
    Body: TypeAlias = Union[bytes, FileSegment, LiveEvents]
    Reading: TypeAlias = Callable[[Platform, "Incoming"], Union["Answer", "Later"]]
    Writing: TypeAlias = Callable[[Platform, "Incoming", Any], "Answer"]
    Receiving: TypeAlias = Callable[[Platform, "Incoming"], "Receiver"]

    class Receiver(Protocol):
        """Takes a body that is too large for memory, piece by piece. `Spool` is one; a parser of forms is another."""

        def feed(self, data: bytes) -> None:
            """Take the next piece; on the loop's thread, so no fsync here. Raises Refusal, or OSError of the disk."""

        def finish(self) -> object:
            """The body is complete; what is returned becomes `request.body`. On a thread of its own: may fsync."""

        def discard(self) -> None:
            """Called once at the end, also if the body broke off: what is still here goes."""


JSON = "application/json"
JSON_BYTES = 10 * 1024 * 1024
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


class NotStored(Exception):
    """Nothing of this request was kept, the message says why. Answered with 507. The store raises it."""


class RecordGone(NotStored):
    """The record was removed under the running server: asking again does not help. The store has told the terminal."""


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

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self._fields)

    def __iter__(self) -> Any:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


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
    def json(cls, value: object, status: int = 200, headers: Fields = (), *, indent: int | None = None) -> Answer:
        """`value` as JSON."""
        text = json_text.encode(value, what="answer", ascii_only=False, indent=indent, wrapping=json_text.WRAPPING)
        return cls(status, text.encode("utf-8"), JSON, headers)

    @classmethod
    def text(cls, text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Answer:
        """`text` in UTF-8."""
        return cls(status, text.encode("utf-8", "replace"), content_type)

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
    or "file" (streamed to `receiver`, by default a Spool of at most `limit_bytes`; multipart/form-data unless `media`
    says otherwise). `auth` says who may come in:

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
        media: str = "",
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
        self.media = media or {"json": JSON, "file": "multipart/form-data"}.get(body, "")
        self.receiver = receiver
        self.limit_bytes = limit_bytes or {"json": JSON_BYTES, "file": UPLOAD_BYTES}.get(body, 0)

    def __repr__(self) -> str:
        return f"<Route {self.method} {self.path}>"


class Spool:
    """A body on disk: counted as it comes, never trusted, gone after the answer unless `keep()` moved it.

    Mode 0600, in `folder`, under a name that nobody can guess.
    """

    __slots__ = ("_file", "_limit_bytes", "path", "size_bytes")

    def __init__(self, folder: Path | str, limit_bytes: int = UPLOAD_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self.path = os.path.join(folder, f".incoming-{os.urandom(16).hex()}")
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file: BinaryIO | None = os.fdopen(descriptor, "wb", buffering=0)
        self.size_bytes = 0

    def feed(self, data: bytes) -> None:
        """Write the next piece. Raises Refusal (413) beyond the limit."""
        self.size_bytes += len(data)
        if self.size_bytes > self._limit_bytes:
            raise Refusal(413, "PAYLOAD_TOO_LARGE", f"the body is larger than {self._limit_bytes} bytes")
        assert self._file is not None
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def finish(self) -> Spool:
        """All of it is on the disk, and stays there through a loss of power."""
        assert self._file is not None
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        return self

    def open(self) -> BinaryIO:
        """The body, from its beginning."""
        return open(self.path, "rb")

    def keep(self, path: Path | str) -> None:
        """Make it the file `path`, on the same disk, in one step."""
        os.replace(self.path, path)
        self.path = ""

    def discard(self) -> None:
        """Remove it, unless it was kept."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self.path:
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass
            self.path = ""


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
