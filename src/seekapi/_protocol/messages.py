"""A request and a response as values, the same for both ends.

A body is a sequence of segments, each either bytes or a `FileSegment`, so that a file of any size travels
as a few numbers. Header names are compared without regard to case; order and spelling are kept.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO, TypeAlias, Union

    Segment: TypeAlias = Union[bytes, "FileSegment"]


class Headers:
    """Header fields in the order they came, looked up without regard to case."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = tuple(fields)

    def get(self, name: str, default: str = "") -> str:
        """The first value of `name`, or `default`."""
        wanted = name.lower()
        return next((value for key, value in self._fields if key.lower() == wanted), default)

    def get_all(self, name: str) -> list[str]:
        """Every value of `name`, in order."""
        wanted = name.lower()
        return [value for key, value in self._fields if key.lower() == wanted]

    def __contains__(self, name: str) -> bool:
        return bool(self.get_all(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class FileSegment:
    """`size_bytes` bytes of a file, opened anew by `open()` for every attempt and closed after it."""

    __slots__ = ("open", "size_bytes")

    def __init__(self, open: Callable[[], BinaryIO], size_bytes: int) -> None:
        self.open = open
        self.size_bytes = size_bytes


class Request:
    """One request, complete: sent again, it is the same bytes.

    `repeatable` says that the server may see it twice without a second effect: a GET, a POST that carries an
    idempotency key, or one that only sets a value.
    """

    __slots__ = ("body", "headers", "idempotency_key", "method", "repeatable", "url")

    def __init__(
        self,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]] = (),
        body: Iterable[Segment] = (),
        *,
        repeatable: bool = False,
        idempotency_key: str | None = None,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = Headers(headers)
        self.body = tuple(body)
        self.repeatable = repeatable or idempotency_key is not None or method in ("GET", "HEAD")
        self.idempotency_key = idempotency_key

    @property
    def size_bytes(self) -> int:
        """The exact Content-Length."""
        return sum(len(part) if isinstance(part, bytes) else part.size_bytes for part in self.body)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url.partition('?')[0]}>"


class Response:
    """One complete response; `body` is decoded from its transfer and content codings."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> None:
        self.status = status
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"
