"""Rows of JSON in a file, one a line: appended whole or not at all, by any number of processes.

Whoever appends holds the file's lock, first mends what a killed writer left at its end, and takes its row back if
what belongs to the row fails. Readers need no lock: `read_rows` skips what is not a row, and says how many.
"""

from __future__ import annotations

import io
import os
import sys

from .._protocol import json_text
from .local_files import FILE_MODE, make_private, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from .local_files import Folder

# The first look back from the end of a file; most rows are shorter. Each further look is twice as far.
READ_BACK_BYTES = 4096
# The lock is held for a fraction of a millisecond, except by a process that is stopped or copies to a slow disk.
FIRST_WAIT_S = 0.0001
LONGEST_WAIT_S = 0.005


class RowFile:
    """The file `name` in `folder`, open, locked and ending in a whole row for as long as the `with` lasts."""

    __slots__ = ("_end", "_file", "takes_back")

    def __init__(self, folder: Folder, name: str, wait: Callable[[float], None]) -> None:
        """`wait(seconds)` sleeps while another process writes, and raises when that took too long."""
        # Whether a block that fails takes back what it appended.
        self.takes_back = True
        # A FileIO closes itself when nobody holds it. The exception of a signal can strike where no `finally` is in
        # force yet or any more, and a lock that outlived its call would stop every process.
        self._file = io.FileIO(folder.open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT), "r+")
        try:
            _lock(self._file.fileno(), wait)
            self._end = _mend(self._file.fileno())
            make_private(self._file.fileno(), FILE_MODE)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> RowFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whatever was appended in a block that fails is taken back, unless `takes_back` says otherwise."""
        with self._file:
            try:
                if error is not None and self.takes_back:
                    os.ftruncate(self._file.fileno(), self._end)
            finally:
                _unlock(self._file.fileno())

    def append(self, row: str, fsync: Callable[[int], object] | None) -> None:
        """Write one row, in one write()."""
        write_all(self._file.fileno(), row.encode() + b"\n")
        if fsync:
            fsync(self._file.fileno())

    def last(self) -> dict[str, Any] | None:
        """The last row, None if there is none."""
        if not self._end:
            return None
        return _as_row(_tail(self._file.fileno(), self._end - 1)[1])


def read_rows(path: str) -> tuple[list[dict[str, Any]], int]:
    """All rows of a file of local mode, and the number of lines that are none (torn by a kill, or edited).

    A file that is not there has no rows.
    """
    rows: list[dict[str, Any]] = []
    bad_count = 0
    try:
        with open(path, "rb") as file:
            for line in file:
                row = _as_row(line) if line.endswith(b"\n") else None
                if row is not None:
                    rows.append(row)
                elif line.strip():
                    bad_count += 1
    except FileNotFoundError:
        pass
    return rows, bad_count


def _as_row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json_text.decode(line)
    except json_text.JsonError:
        return None
    return row if isinstance(row, dict) else None


def _mend(fd: int) -> int:
    """Make the file end in a whole line and return its size.

    A writer that was killed leaves part of a row that was never acknowledged: it goes. A whole row that only lacks
    its newline (someone's editor) gets one.
    """
    size_bytes = os.lseek(fd, 0, os.SEEK_END)
    if not size_bytes:
        return 0
    os.lseek(fd, size_bytes - 1, os.SEEK_SET)
    if os.read(fd, 1) == b"\n":
        return size_bytes
    start, tail = _tail(fd, size_bytes)
    if _as_row(tail) is None:
        os.ftruncate(fd, start)
        return start
    write_all(fd, b"\n")
    return size_bytes + 1


def _tail(fd: int, end: int) -> tuple[int, bytes]:
    """The last line before `end`, without its newline, and where it starts."""
    pieces: list[bytes] = []
    start = end
    step = READ_BACK_BYTES
    while start:
        step = min(step, start)
        os.lseek(fd, start - step, os.SEEK_SET)
        piece = _read(fd, step)
        newline = piece.rfind(b"\n")
        pieces.append(piece[newline + 1 :])
        start -= len(piece) - (newline + 1)
        if newline >= 0 or not piece:
            break
        step *= 2
    return start, b"".join(reversed(pieces))


def _read(fd: int, count: int) -> bytes:
    pieces: list[bytes] = []
    while count:
        piece = os.read(fd, count)
        if not piece:
            break
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def _lock(fd: int, wait: Callable[[float], None]) -> None:
    """Have the file to ourselves. A kernel drops the lock of whoever dies, so that nobody finds a stale one."""
    pause_s = FIRST_WAIT_S
    while not _try_lock(fd):
        wait(pause_s)
        pause_s = min(pause_s * 2, LONGEST_WAIT_S)


if sys.platform == "win32":
    import msvcrt

    # One byte far behind the end: Windows refuses to read or write what another process has locked.
    _LOCKED_BYTE = 0x7FFFFFFE

    def _try_lock(fd: int) -> bool:
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(fd: int) -> None:
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        # Closing would do, were it not for a child that was forked meanwhile and holds the same open file.
        fcntl.flock(fd, fcntl.LOCK_UN)
