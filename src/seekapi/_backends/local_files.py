"""Folders and files of local mode: everything is done relative to an open folder, and no symbolic link is followed.

A `Folder` is a directory that stays the same one, whatever happens to its path meanwhile (on Windows, which cannot
open directories, it is the path). Files come into being complete: under a hidden name or none, then moved or linked
into place. All errors here are plain OSErrors; `local.py` turns them into LocalWriteError.
"""

from __future__ import annotations

import errno
import io
import os
import stat

from .local_exchange import exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import IO

FOLDER_MODE = 0o700
FILE_MODE = 0o600
# How much is copied between two looks at the clock.
COPY_CHUNK_BYTES = 8 * 1024 * 1024
READ_CHUNK_BYTES = 256 * 1024

_HAS_FOLDER_FDS = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY") and hasattr(os, "O_NOFOLLOW")
_HAS_OWNERS = hasattr(os, "geteuid")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_ANY_FILE = _NOFOLLOW | getattr(os, "O_BINARY", 0)
_NAMELESS = getattr(os, "O_TMPFILE", 0)
_NO_NAMELESS_FILES = (errno.EOPNOTSUPP, errno.ENOTSUP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_NO_KERNEL_COPY = (
    errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM, errno.EBADF, errno.ETXTBSY
)  # fmt: skip


class Folder:
    """An open directory. Names given to its methods are single components."""

    __slots__ = ("_fd", "path")

    def __init__(self, path: str, fd: int | None) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def at(cls, base: str, name: str = "", *, make: bool = False) -> Folder:
        """The directory `base`, or `name` in it, which must not be a symbolic link; those in `base` are the user's."""
        path = os.path.join(base, name) if name else base
        if make:
            os.makedirs(path, FOLDER_MODE, exist_ok=True)
        if _HAS_FOLDER_FDS:
            return cls(path, os.open(path, _FOLDER | (_NOFOLLOW if name else 0)))
        if not stat.S_ISDIR((os.lstat if name else os.stat)(path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return cls(path, None)

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        # Forgotten first: a descriptor that is closed twice may by then be somebody else's. No __del__ helps an
        # exception of a signal that strikes here: it would swallow those that strike in it, a deadline among them.
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def folder(self, name: str) -> Folder:
        """The directory `name` in this one. A symbolic link is NotADirectoryError, a missing one FileNotFoundError."""
        path = os.path.join(self.path, name)
        if self._fd is not None:
            return type(self)(path, os.open(self._at(name), _FOLDER | _NOFOLLOW, dir_fd=self._fd))
        found = os.lstat(self._at(name))
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
        return type(self)(path, None)

    def make_folder(self, name: str) -> bool:
        """Make the directory `name`; False if something of that name is there."""
        try:
            os.mkdir(self._at(name), FOLDER_MODE, dir_fd=self._fd)
        except FileExistsError:
            return False
        return True

    def open(self, name: str, flags: int) -> int:
        """A descriptor of the file `name`, made with mode 0600 if `flags` say so."""
        return os.open(self._at(name), flags | _ANY_FILE, FILE_MODE, dir_fd=self._fd)

    def create(self, name: str) -> int:
        """A descriptor of a new file, open for writing. FileExistsError if anything of that name is there."""
        return self.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def has(self, name: str) -> bool:
        """Whether anything of that name is there, a dangling link included."""
        return self._mode(name) != 0

    def has_file(self, name: str, status: os.stat_result) -> bool:
        """Whether `name` is the file that `status` describes, and no other."""
        try:
            return os.path.samestat(os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False), status)
        except FileNotFoundError:
            return False

    def make_private(self) -> None:
        """Let nobody else look into this folder, if it is ours."""
        if self._fd is not None:
            make_private(self._fd, FOLDER_MODE)

    def is_spelled_otherwise(self) -> bool:
        """Whether this folder was found although its name on disk has other capitals."""
        above, name = os.path.split(self.path)
        swapped = os.path.join(above, name.swapcase())
        # One question tells on nearly every system: where case counts, there is no such folder, or another one.
        return name != name.swapcase() and _is_same(swapped, self.path) and name not in os.listdir(above)

    def link_target(self, name: str) -> str | None:
        """Where the symbolic link `name` leads in the end, None if `name` is no link."""
        path = os.path.join(self.path, name)
        return os.path.realpath(path) if os.path.islink(path) else None

    def replace(self, source: str, target: str, *, lasting: bool) -> None:
        """Put the file `source` in the place of `target`, in one step.

        With `lasting` the file system may take it for a wish to have the data on disk; without, it is not asked to.
        """
        if (
            not lasting
            and self._fd is not None
            and stat.S_ISREG(self._mode(target))
            and exchange(self._fd, source, target)
        ):
            try:
                self.remove(source)
            except OSError:
                # What is left is the old content under a name of ours, which the next one removes.
                pass
            return
        os.replace(self._at(source), self._at(target), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        """Remove the file `name` if it is there."""
        try:
            os.unlink(self._at(name), dir_fd=self._fd)
        except FileNotFoundError:
            pass

    def sync(self, fsync: Callable[[int], object]) -> None:
        """Have the names in this folder survive a loss of power, where a folder can be synced."""
        if self._fd is not None:
            fsync(self._fd)

    def _mode(self, name: str) -> int:
        """What kind of thing `name` is, as stat says it; 0 if there is none."""
        try:
            return os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return 0

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name) if self._fd is None else name

    def write_temporary(self, name: str, content: bytes, fsync: Callable[[int], object] | None) -> os.stat_result:
        """Write a whole file under a name that only the caller uses, in place of what a killed process left there.

        Returns what tells the file from all others; if that fails, part of it may remain.
        """
        try:
            fd = self.create(name)
        except FileExistsError:
            self.remove(name)
            fd = self.create(name)
        try:
            write_all(fd, content)
            if fsync:
                fsync(fd)
            return os.fstat(fd)
        finally:
            os.close(fd)


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except FileNotFoundError:
        return False


class Incoming:
    """A file on its way into a folder: nobody sees it before `publish`, and without it nothing remains.

    Where the system can (Linux), it has no name until then, so that even kill -9 leaves nothing behind; elsewhere
    it is a hidden file of the job folder.
    """

    __slots__ = ("_file", "_folder", "_name", "_published", "fd")

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._name = ""
        self._published: tuple[Folder, str] | None = None
        fd = self._open_nameless()
        if fd < 0:
            self._name = f".incoming-{os.getpid()}-{os.urandom(6).hex()}"
            fd = folder.create(self._name)
        # It closes itself when nobody holds it.
        self._file = io.FileIO(fd, "w")
        self.fd = fd

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if self._name:
                self._folder.remove(self._name)

    def publish(self, folder: Folder, name: str) -> None:
        """Appear as `name` in `folder`, complete. FileExistsError if anything of that name is there."""
        self._published = folder, name
        try:
            self._link(folder, name)
        except FileExistsError:
            # That one is somebody else's.
            self._published = None
            raise

    def withdraw(self) -> None:
        """Undo `publish`, however far it got."""
        if self._published is not None:
            folder, name = self._published
            folder.remove(name)

    def _link(self, folder: Folder, name: str) -> None:
        source = self._folder._at(self._name) if self._name else f"/proc/self/fd/{self.fd}"
        source_fd = self._folder._fd if self._name else None
        try:
            os.link(source, folder._at(name), src_dir_fd=source_fd, dst_dir_fd=folder._fd)
            return
        except OSError as error:
            if not self._name or error.errno not in _NO_HARD_LINKS:
                raise
        # A file system without hard links (FAT): the name is reserved first, so for a moment an empty file shows.
        os.close(folder.create(name))
        os.replace(source, folder._at(name), src_dir_fd=source_fd, dst_dir_fd=folder._fd)
        self._name = ""

    def _open_nameless(self) -> int:
        # /proc is the only road from a nameless file to a name.
        if not _NAMELESS or self._folder._fd is None or not os.path.exists("/proc/self/fd"):
            return -1
        try:
            return os.open(".", _NAMELESS | os.O_WRONLY, FILE_MODE, dir_fd=self._folder._fd)
        except OSError as error:
            if error.errno in _NO_NAMELESS_FILES:
                return -1
            raise


def make_private(fd: int, mode: int) -> None:
    """Take away the rights beyond `mode`, if the file or folder is ours: seekapi 1.0 made them for all to read."""
    if not _HAS_OWNERS:
        return
    status = os.fstat(fd)
    if status.st_mode & _OTHERS and status.st_uid == os.geteuid():
        try:
            os.fchmod(fd, stat.S_IMODE(status.st_mode) & mode)
        except OSError:
            # It stays as it was; a push does not fail for that.
            pass


def write_all(fd: int, content: bytes) -> None:
    """Write all of `content`, in one write() unless the system takes less (a full disk does)."""
    written = os.write(fd, content)
    if written < len(content):
        rest = memoryview(content)[written:]
        while rest:
            rest = rest[os.write(fd, rest) :]


def copy(source: IO[bytes], target_fd: int, size_bytes: int, in_time: Callable[[], object]) -> int:
    """Copy `source`, a file at its start, and return how many bytes that were; stop one byte after `size_bytes`.

    Inside the kernel where it can, else in pieces: memory does not grow with the file. `in_time` is called between
    the pieces, to raise when time is up.
    """
    copied = 0
    # Only what certainly reads the bytes of its descriptor; a reader of our own or of zlib's has one, too.
    plain_file = getattr(source, "raw", source)
    if size_bytes > READ_CHUNK_BYTES and type(plain_file) is io.FileIO:
        copied = _copy_in_kernel(plain_file.fileno(), target_fd, size_bytes, in_time)
    while copied <= size_bytes:
        in_time()
        piece = source.read(min(READ_CHUNK_BYTES, size_bytes + 1 - copied))
        if not piece:
            break
        write_all(target_fd, piece)
        copied += len(piece)
    return copied


def _copy_in_kernel(source_fd: int, target_fd: int, size_bytes: int, in_time: Callable[[], object]) -> int:
    """As far as one of the system's calls gets; both descriptors stand after what was copied."""
    copied = 0
    for call in (_copy_file_range, _sendfile):
        try:
            while copied < size_bytes:
                in_time()
                count = call(source_fd, target_fd, min(COPY_CHUNK_BYTES, size_bytes - copied))
                if not count:
                    break
                copied += count
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
    return copied


def _copy_file_range(source_fd: int, target_fd: int, count: int) -> int:
    call = getattr(os, "copy_file_range", None)
    return call(source_fd, target_fd, count) if call else 0


def _sendfile(source_fd: int, target_fd: int, count: int) -> int:
    # Only Linux sends to a file; macOS has a sendfile() that wants a socket (ENOTSOCK).
    return os.sendfile(target_fd, source_fd, None, count) if _NAMELESS else 0
