"""A connected, non-blocking socket, plain or TLS, behind the same three calls.

Each returns at once: None (or 0) means "not now", and `wants` then says what to wait for, which under TLS may be
the other direction.
"""

from __future__ import annotations

import os

from .driver import READ, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from ssl import SSLContext, SSLSocket
    from typing import IO

    from .targets import Target

# A file goes through user space only under TLS, or where the system has no sendfile for it.
FILE_CHUNK_BYTES = 256 * 1024
SENDFILE_BYTES = 4 * 1024 * 1024


class PlainStream:
    """A TCP socket as it is."""

    __slots__ = ("_socket", "wants")

    secure = False

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.wants = READ

    def receive(self, size_bytes: int) -> bytes | None:
        """What is there, at most `size_bytes`; b"" at the end of the stream."""
        try:
            return self._socket.recv(size_bytes)
        except (BlockingIOError, InterruptedError):
            self.wants = READ
            return None

    def send(self, data: bytes | memoryview) -> int:
        """How much of `data` the system took."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            self.wants = WRITE
            return 0

    def send_file(self, file: IO[bytes], offset: int, size_bytes: int) -> int | None:
        """How much of the file the system took; None at its end. Raises the system's OSError if it cannot."""
        try:
            sent = os.sendfile(self._socket.fileno(), file.fileno(), offset, min(size_bytes, SENDFILE_BYTES))
        except (BlockingIOError, InterruptedError):
            self.wants = WRITE
            return 0
        return sent or None

    @property
    def can_send_files(self) -> bool:
        """Whether the system copies from file to socket by itself."""
        return hasattr(os, "sendfile")

    def secured(self, context: SSLContext, host: str, session: object) -> TlsStream:
        """The same socket with TLS around it; this stream is used up. The handshake is still to be done."""
        return TlsStream(
            context.wrap_socket(
                self._socket,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
                # As bytes: for a str Python would first load its IDNA codec, and targets are ASCII by now.
                server_hostname=host.encode("ascii"),
                session=session,  # type: ignore[arg-type]
            )
        )

    def has_unread(self) -> bool:
        """Whether bytes, or the end, are there without asking the system."""
        return False

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the descriptor back. No goodbye is sent: the peer may be a copy of this process's parent."""
        self._socket.close()


class TlsStream:
    """A TLS session over a TCP socket. An end without close_notify is an error, not an end."""

    __slots__ = ("_socket", "_wants_read", "_wants_write", "wants")

    secure = True
    can_send_files = False

    def __init__(self, connected: SSLSocket) -> None:
        import ssl

        self._socket = connected
        self._wants_read = ssl.SSLWantReadError
        self._wants_write = ssl.SSLWantWriteError
        self.wants = READ

    @property
    def session(self) -> object:
        """The session to resume later. Slow to read: once per connection."""
        return self._socket.session

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is done and the peer is verified."""
        try:
            self._socket.do_handshake()
            return True
        except self._wants_read:
            self.wants = READ
        except self._wants_write:
            self.wants = WRITE
        return False

    def receive(self, size_bytes: int) -> bytes | None:
        """What is there, at most `size_bytes`; b"" at the authenticated end of the stream."""
        try:
            return self._socket.recv(size_bytes)
        except self._wants_read:
            self.wants = READ
        except self._wants_write:
            self.wants = WRITE
        return None

    def send(self, data: bytes | memoryview) -> int:
        """How much of `data` was taken; after a 0 the same data has to be offered again."""
        try:
            return self._socket.send(data)
        except self._wants_read:
            self.wants = READ
        except self._wants_write:
            self.wants = WRITE
        return 0

    def send_file(self, file: IO[bytes], offset: int, size_bytes: int) -> int | None:
        """Not under TLS: the bytes have to be encrypted here."""
        raise NotImplementedError

    def has_unread(self) -> bool:
        """Whether decrypted bytes wait here, of which the system knows nothing."""
        return self._socket.pending() > 0

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the descriptor back, without close_notify."""
        self._socket.close()


class Route:
    """Which connections are interchangeable: same origin, same way there, same guard. `key` says it in one value."""

    __slots__ = ("guarded", "key", "target", "via")

    def __init__(self, target: Target, via: tuple[str, int, str] | None, *, guarded: bool) -> None:
        self.target = target
        self.via = via
        self.guarded = guarded
        self.key = (target.secure, target.host, target.port, via, guarded)


class Connection:
    """A stream to one route, and how old it is. It belongs to one exchange at a time, or to the pool."""

    __slots__ = (
        "born",
        "idle_since",
        "idle_since_wall",
        "is_reused",
        "pid",
        "route",
        "session_saved",
        "setup_s",
        "stream",
    )

    def __init__(self, route: Route, stream: PlainStream | TlsStream, born: float, setup_s: float) -> None:
        self.route = route
        self.stream = stream
        self.born = born
        self.setup_s = setup_s
        self.pid = os.getpid()
        self.is_reused = False
        self.idle_since = 0.0
        self.idle_since_wall = 0.0
        self.session_saved = False

    def close(self) -> None:
        """Give the descriptor back."""
        self.stream.close()

    def __del__(self) -> None:
        # Forgotten with the pool at the end of the process, or by an exception out of a signal handler: no warning. A
        # copy that could not be made (copy.deepcopy of a job) has no stream.
        stream = getattr(self, "stream", None)
        if stream is not None:
            stream.close()
