"""What a user may hand to push_file (a path, bytes, an open file), as a source that can be read again on a retry."""

from __future__ import annotations

import io
import os

from .._protocol.messages import FileSegment
from ..errors import ArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, TypeAlias, Union

    FileArgument: TypeAlias = Union[str, os.PathLike[str], bytes, bytearray, memoryview, BinaryIO]

_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# Up to here a digest of the whole content costs milliseconds; above, a regular file is known by its inode.
LARGEST_DIGESTED_BYTES = 8 * 1024 * 1024
_UNSURE = "who still writes to it, or reads it from a system that makes it up (/proc), may push its bytes instead"


def open_source(file: FileArgument) -> FileSegment:
    """`file` as a segment that opens anew for every attempt.

    An open file is read from its start position to its end, and is left where it was. It has to be a regular file
    or seekable: what cannot be read twice cannot be sent again.

    Raises FileNotFoundError (or the OSError of the system) and ArgumentError, before any request.
    """
    if isinstance(file, (bytes, bytearray, memoryview)):
        content = bytes(file)
        return FileSegment(lambda: io.BytesIO(content), len(content))
    if isinstance(file, (str, os.PathLike)):
        return _path_source(path_of(file))
    if hasattr(file, "read"):
        return _stream_source(file)
    raise ArgumentError(f"push_file: expected a path, bytes or a binary file, not {type(file).__name__}")


def path_of(file: str | os.PathLike[str]) -> str:
    """`file` as a path; one of bytes (os.scandir(b".")) is decoded. Raises ArgumentError."""
    try:
        return os.fsdecode(file)
    except (TypeError, ValueError):
        pass
    raise ArgumentError(f"push_file: {type(file).__name__} gives no path")


def content_digest(source: FileSegment) -> str:
    """What stands for the content in an idempotency key: never the same for two different contents.

    For a large file that is which file it is and when it last changed, so the same bytes written anew count as new.
    Raises ArgumentError if the file turns out to be longer or shorter than it was.
    """
    with source.open() as file:
        if source.size_bytes > LARGEST_DIGESTED_BYTES and (descriptor := _descriptor_of(file)) is not None:
            status = os.fstat(descriptor)
            # The time of the last change of the inode cannot be set by anyone, unlike that of the content.
            identity = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, file.tell())
            return f"{source.size_bytes}:{identity}"
        from hashlib import sha256

        digest, read_bytes = sha256(), 0
        while chunk := file.read(256 * 1024):
            digest.update(chunk)
            read_bytes += len(chunk)
        if read_bytes == source.size_bytes:
            return digest.hexdigest()
    raise ArgumentError(f"push_file: the file had {source.size_bytes} bytes, and {read_bytes} were read: {_UNSURE}")


def _path_source(path: str) -> FileSegment:
    try:
        opened = _open_regular(path)
    except ValueError:
        opened = None
    if opened is None:
        raise ArgumentError("push_file: the path holds a character that no path can have (NUL or a lone surrogate)")
    with opened as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if not size_bytes and file.read(1):
            raise ArgumentError(f"push_file: the file has no size, and is not empty: {_UNSURE}")
    return FileSegment(lambda: _open_regular(path), size_bytes)


def _open_regular(path: str) -> BinaryIO:
    """The file opened; without O_NONBLOCK a FIFO would block here for ever."""
    import stat

    fd = os.open(path, _READ_FLAGS)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return open(fd, "rb")
    os.close(fd)
    raise ArgumentError("push_file: only a regular file can be pushed, not a folder, pipe, socket or device")


def _stream_source(stream: BinaryIO) -> FileSegment:
    start = end = -1
    if not isinstance(stream, io.TextIOBase):
        try:
            start = stream.tell()
            # What seek() returns is not asked: that of a memory map returns nothing before 3.13.
            stream.seek(0, os.SEEK_END)
            end = stream.tell()
            stream.seek(start)
        except (OSError, AttributeError, ValueError, TypeError):
            end = -1
    if type(start) is not int or type(end) is not int or start < 0 or end < 0:
        raise ArgumentError("push_file: an open file must be binary and seekable: a retry sends it again")
    if start >= end > 0:
        from . import logs

        logs.warn("push_file: the open file stands at its end: none of its %d bytes are sent (seek(0) rewinds it)", end)
    return FileSegment(lambda: io.BufferedReader(_Borrowed(stream, start)), max(0, end - start))


class _Borrowed(io.RawIOBase):
    """A user's stream from where it stood; put back there, and not closed, when we are done with it."""

    def __init__(self, stream: BinaryIO, start: int) -> None:
        self._stream, self._start = stream, start
        stream.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        chunk: object = self._stream.read(len(buffer))
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            raise ArgumentError(f"push_file: read() of the open file must return bytes, not {type(chunk).__name__}")
        content = bytes(chunk)
        if len(content) > len(buffer):
            raise ArgumentError(f"push_file: read({len(buffer)}) of the open file returned {len(content)} bytes")
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._stream.seek(self._start)
        super().close()


def _descriptor_of(file: BinaryIO) -> int | None:
    try:
        return file.fileno()
    except OSError:
        return None
