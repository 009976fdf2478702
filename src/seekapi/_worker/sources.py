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
        return _path_source(os.fspath(file))
    if hasattr(file, "read"):
        return _stream_source(file)
    raise ArgumentError(f"push_file: expected a path, bytes or a binary file, not {type(file).__name__}")


def content_digest(source: FileSegment) -> str:
    """What stands for the content in an idempotency key: never the same for two different contents.

    For a large file that is which file it is and when it last changed, so the same bytes written anew count as new.
    """
    with source.open() as file:
        if source.size_bytes > LARGEST_DIGESTED_BYTES and (descriptor := _descriptor_of(file)) is not None:
            status = os.fstat(descriptor)
            # The time of the last change of the inode cannot be set by anyone, unlike that of the content.
            identity = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, file.tell())
            return f"{source.size_bytes}:{identity}"
        from hashlib import sha256

        digest = sha256()
        while chunk := file.read(256 * 1024):
            digest.update(chunk)
        return digest.hexdigest()


def _path_source(path: str) -> FileSegment:
    with _open_regular(path) as file:
        size_bytes = os.fstat(file.fileno()).st_size
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
    try:
        start = stream.tell()
        size_bytes = stream.seek(0, os.SEEK_END) - start
        stream.seek(start)
    except (OSError, AttributeError, ValueError):
        start = size_bytes = -1
    if start < 0 or isinstance(stream, io.TextIOBase):
        raise ArgumentError("push_file: an open file must be binary and seekable: a retry sends it again")
    return FileSegment(lambda: io.BufferedReader(_Borrowed(stream, start)), size_bytes)


class _Borrowed(io.RawIOBase):
    """A user's stream from where it stood; put back there, and not closed, when we are done with it."""

    def __init__(self, stream: BinaryIO, start: int) -> None:
        self._stream, self._start = stream, start
        stream.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._stream.seek(self._start)
        super().close()


def _descriptor_of(file: BinaryIO) -> int | None:
    try:
        return file.fileno()
    except OSError:
        return None
