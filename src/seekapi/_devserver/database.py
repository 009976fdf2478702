"""The folder of the record, and the database in it: made, locked, checked, cleaned. One server at a time.

    lock          held for as long as the server lives; says who has it
    record.db     all there is (with its -wal and -shm), mode 0600
    files/        what workers pushed, each under its id; `.incoming-*` is not there yet

WAL is set once, when the database is made: set per connection, it fails under load with "database is locked".
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

from ..errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

SCHEMA_VERSION = 3
DATABASE, LOCK, FILES = "record.db", "lock", "files"
INCOMING = ".incoming-"
# What we call files. A folder that was given to us by mistake may hold others, which are not ours to remove.
_OUR_NAME = re.compile(rf"({re.escape(INCOMING)})?[0-9a-f]{{32}}")
BUSY_TIMEOUT_MS = 5000
# How SQLite says that it is the disk, and not the statement (Python 3.10 knows no codes).
_DISK_WORDS = (
    "full",
    "disk i/o",
    "readonly",
    "unable to open",
    "malformed",
    "not a database",
    "locked",
    "out of memory",
)
GONE = "the folder of the record was removed while the server ran: nothing is kept any more; restart the server"
# In the head of the file: `file record.db` shows it, and a database of somebody else does not have it.
_APPLICATION_ID = 0x5EE4A91


class NotStored(Exception):
    """Nothing of this request was kept, the message says why. Answered with 507. The store raises it."""


class RecordGone(NotStored):
    """The record was removed under the running server: asking again does not help. The store has told the terminal."""


class StoreUnusable(ConfigurationError):
    """The data folder cannot be used: another server has it, or it is not one of ours."""


class FolderLock:
    """Holds the folder; the system lets go of it when the process ends, however it ends. Raises StoreUnusable."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            self._file: BinaryIO = os.fdopen(os.open(folder / LOCK, flags, 0o600), "r+b", buffering=0)
        except OSError as error:
            reason = error.strerror
        else:
            reason = ""
        if reason:
            raise StoreUnusable(f"--data-dir {folder}: cannot be written to ({reason})")
        if not _try_lock(self._file):
            owner = self._file.read(32).decode("ascii", "replace").strip()
            self._file.close()
            who = f"process {owner}" if owner.isdigit() else "another process"
            raise StoreUnusable(f"--data-dir {folder} is in use by {who}: stop it, or choose another folder")
        try:
            self._file.truncate(0)
            self._file.write(b"%d\n" % os.getpid())
        except OSError:  # Says who, that is all.
            pass

    def release(self) -> None:
        """Let others in."""
        self._file.close()


def prepare(folder: Path) -> None:
    """Make the folders, for us alone. Raises StoreUnusable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / FILES).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        reason = error.strerror or "it cannot be made"
    else:
        reason = ""
    # In the words of who looks at the folder, rather than in those of the system call that stumbled over it.
    if os.path.isfile(folder):
        raise StoreUnusable(f"--data-dir {folder} is a file, not a folder: choose another one")
    for name, is_kind, kind in ((FILES, os.path.isdir, "folder"), (DATABASE, os.path.isfile, "file")):
        path = folder / name
        if os.path.islink(path):
            raise unusable(folder, f"{name} in it is a symbolic link")
        if os.path.exists(path) and not is_kind(path):
            raise unusable(folder, f"{name} in it is not a {kind}")
    if reason:
        raise StoreUnusable(f"--data-dir {folder}: {reason}")


def identity(folder: Path) -> tuple[int, int] | None:
    """Which file the database is; None if there is none. It stays the same as long as nobody removes or replaces it."""
    try:
        found = os.stat(folder / DATABASE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def open_writer(folder: Path, *, durable: bool = True) -> sqlite3.Connection:
    """The one connection that writes, to a database that has our schema. Raises StoreUnusable."""
    path = folder / DATABASE
    connection = None
    try:
        # Before SQLite does, which would ask the umask; its other files take their mode from this one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        connection = _connect(path)
        _check_schema(connection)
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # The writer says when.
        connection.execute("PRAGMA journal_size_limit=0")  # The log begins anew after a checkpoint, and is short then.
        return connection
    except (OSError, sqlite3.Error) as error:
        reason = unreadable(error)
    except _Foreign as error:
        reason = str(error)
    if connection is not None:
        connection.close()
    raise unusable(folder, reason)


def unusable(folder: Path, reason: str) -> StoreUnusable:
    """The refusal of a folder, with what to do about it."""
    if "is full" in reason or "No space" in reason:
        advice = "make room on the disk"
    elif "locked" in reason:
        advice = "end the other program that has it open"
    else:
        advice = "move it away"
    return StoreUnusable(f"--data-dir {folder}: {reason}: {advice}, or choose another folder")


def unreadable(error: BaseException) -> str:
    """What is wrong with the database."""
    return f"{DATABASE} cannot be opened ({error})"


def is_of_disk(error: BaseException) -> bool:
    """Whether what failed is the disk: then it is for all, and not for one statement alone."""
    return isinstance(error, sqlite3.Error) and any(word in str(error).lower() for word in _DISK_WORDS)


def not_stored(error: BaseException) -> NotStored:
    """What all are told whose works were in the transaction that `error` has ended."""
    if isinstance(error, sqlite3.Error) and "locked" in str(error):
        failed = NotStored(f"another program holds {DATABASE} (it is locked): nothing was kept; end that one")
    else:
        failed = NotStored(f"the disk is full or broken: nothing was kept ({error})")
    failed.__cause__ = error
    return failed


def open_reader(folder: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = _connect(folder / DATABASE)
    connection.execute("PRAGMA query_only=ON")
    return connection


def sweep(folder: Path, connection: sqlite3.Connection) -> None:
    """Remove what a killed server left half done: uploads that ended nowhere, files without a row."""
    with os.scandir(folder / FILES) as entries:
        for entry in entries:
            if not _OUR_NAME.fullmatch(entry.name):
                continue
            known = connection.execute("SELECT 1 FROM file WHERE id = ?", (entry.name,)).fetchone()
            if known is None and not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)


def sync_folder(folder: Path) -> None:
    """The names in `folder` stay there through a loss of power."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Foreign(Exception):
    """The file is a database, and not ours."""


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.execute("PRAGMA mmap_size=0")
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def _check_schema(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    ours = connection.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION_ID
    if version == SCHEMA_VERSION and ours:
        return
    if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None:
        raise _Foreign("written by another version of seekapi" if ours else f"{DATABASE} is not a record of seekapi")
    schema = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    connection.execute("PRAGMA journal_mode=WAL")
    # One transaction: whoever is killed here leaves an empty database, which the next start takes for a new one.
    marks = f"PRAGMA user_version={SCHEMA_VERSION}; PRAGMA application_id={_APPLICATION_ID};"
    connection.executescript(f"BEGIN IMMEDIATE; {schema} {marks} COMMIT")


def _try_lock(file: BinaryIO) -> bool:
    if os.name == "nt":
        import msvcrt

        try:
            # Beyond the text, which others read to say who it is.
            file.seek(64)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        finally:
            file.seek(0)
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
