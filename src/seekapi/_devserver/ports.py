"""Opening the port, and saying who has it if it is taken."""

from __future__ import annotations

import errno
import os
import socket

from ..errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Enough for all the servers that one forgets; then something else is wrong.
TRIES = 20
BACKLOG = 256
_LISTENING = "0A"


def open_port(host: str, port: int, tell: Callable[[str], None]) -> socket.socket:
    """A listening socket on `port`, or on the next free one; 0 is any. `tell` hears who has a port that is taken.

    Raises ConfigurationError if none of them can be had.
    """
    address = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    reason = "no port number can be that large"
    for candidate in range(port, min(port + TRIES, 65536)) if port else (0,):
        try:
            return _listening(family, address, candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                reason = error.strerror or type(error).__name__
                break
            reason = "all of them are taken"
            tell(f"port {candidate} is taken by {holder_of(candidate) or 'another program'}; trying the next")
    raise ConfigurationError(f"no port to listen on from {host}:{port} on: {reason}")


def _listening(family: int, address: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # Elsewhere it would let two servers share a port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def holder_of(port: int) -> str:
    """Who listens on `port`, as "python (pid 1234)"; "" where the system does not say, or not to us. Linux only."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for pid in _names_in("/proc"):
        if pid.isdigit() and any(_link(f"/proc/{pid}/fd/{fd}") in wanted for fd in _names_in(f"/proc/{pid}/fd")):
            name = _text(f"/proc/{pid}/comm").strip()
            return f"{''.join(c if c.isprintable() else '?' for c in name)} (pid {pid})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _text(table).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
