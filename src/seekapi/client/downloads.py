"""A file from the platform onto this disk: complete under its name, or not there at all.

It grows under a hidden name in the same folder, and is moved into place once it is whole and on the disk. The name of a
job's file is whatever a worker chose: in a folder it becomes one plain component.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from ..errors import ArgumentError, LocalWriteError, ProtocolError, SeekApiError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from .._protocol.messages import Request, Response
    from .calling import Caller
    from .records import JobFile

LONGEST_NAME_BYTES = 200
MOST_TRIES = 100
_SLASHES = tuple(filter(None, (os.sep, os.altsep)))
# Names that Windows keeps for devices, whatever follows the first dot.
_DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10)))
)


def fetch(caller: Caller, request: Request, wanted: JobFile, to: str | os.PathLike[str], deadline: float) -> Path:
    """The path of the file, complete. `to` is a folder if it is one or ends with a slash; that is made if need be.

    Raises ArgumentError, LocalWriteError, and what every call raises.
    """
    if not isinstance(to, (str, os.PathLike)) or not os.fspath(to):
        raise ArgumentError(f"to must be a path, not {type(to).__name__ if to else repr(to)}")
    target = Path(to)
    problem = ""
    try:
        if os.fspath(to).endswith(_SLASHES):
            target.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            target = target / safe_name(wanted.name)
        elif target.is_symlink():
            # As whatever writes to a file does. In a folder, under a name that a worker chose, a link is replaced.
            target = Path(os.path.realpath(target))
        if target.exists() and not target.is_file():
            raise LocalWriteError(f"{target} is no file, and what it is would be replaced: choose another path")
        return _fetch(caller, request, wanted, target, deadline)
    except SeekApiError:
        raise
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except ValueError as error:
        problem = str(error)  # of the path: a null byte, half a character
    raise LocalWriteError(f"{target} cannot be written: {problem}")


def safe_name(name: str) -> str:
    """`name` as one component that is no other file's, no device's and no hidden one's, on any system."""
    plain = "".join("_" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in name)
    plain = plain.encode("utf-8", "replace")[:LONGEST_NAME_BYTES].decode("utf-8", "ignore")
    plain = plain.lstrip(". ").rstrip(". ") or "file"
    return f"_{plain}" if plain.partition(".")[0].strip().lower() in _DEVICES else plain


def _fetch(caller: Caller, request: Request, wanted: JobFile, target: Path, deadline: float) -> Path:
    file, hidden = _fresh_file(target)
    try:
        with file:
            intake = _Intake(file, target)
            caller.download(request, deadline, intake.begin)
            intake.check(wanted)
            file.flush()
            os.fsync(file.fileno())
        os.replace(hidden, target)
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise
    return target


def _fresh_file(target: Path) -> tuple[BinaryIO, Path]:
    """A new file beside `target`, with the rights that a new file of this user has."""
    for _ in range(MOST_TRIES):
        # As many bytes of the name as leave room for the rest: a file system counts them, and not characters.
        start = target.name.encode("utf-8", "ignore")[:100].decode("utf-8", "ignore")
        hidden = target.with_name(f".{start}.{os.urandom(6).hex()}.part")
        try:
            return open(hidden, "xb"), hidden
        except FileExistsError:
            continue
    raise FileExistsError(f"no free name beside {target}")


class _Intake:
    """Takes the body of an answer, from the start in each attempt."""

    def __init__(self, file: BinaryIO, target: Path) -> None:
        self._file = file
        self._target = target
        self._size_bytes = 0
        self._digest = sha256()

    def begin(self, response: Response) -> Callable[[bytes], object] | None:
        """What keeps a piece of the file; None for an answer that is none."""
        if response.status != 200:
            return None
        if "Content-Length" not in response.headers and "Transfer-Encoding" not in response.headers:
            raise ProtocolError("the answer does not say where the file ends: half of it would look like all of it")
        self._size_bytes, self._digest = 0, sha256()
        self._on_disk(lambda: (self._file.seek(0), self._file.truncate()))
        return self._keep

    def check(self, wanted: JobFile) -> None:
        """Raise ProtocolError if this is not what was announced."""
        announced = wanted.raw.get("size_bytes")
        if isinstance(announced, int) and announced != self._size_bytes:
            raise ProtocolError(f"the file has {self._size_bytes} bytes, and {announced} were announced")
        if wanted.sha256 and wanted.sha256.lower() != self._digest.hexdigest():
            raise ProtocolError("the file is not the one that was announced: its SHA-256 is another")

    def _keep(self, piece: bytes) -> None:
        self._size_bytes += len(piece)
        self._digest.update(piece)
        self._on_disk(lambda: self._file.write(piece))

    def _on_disk(self, act: Callable[[], object]) -> None:
        # Told apart from a trouble with the network, which would be tried again.
        problem = ""
        try:
            act()
        except OSError as error:
            problem = error.strerror or type(error).__name__
        if problem:
            raise LocalWriteError(f"{self._target} cannot be written: {problem}")
