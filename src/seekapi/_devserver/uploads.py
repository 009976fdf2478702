"""A file that a worker pushes, on its way from the connection to the disk.

The form is read as it comes: small fields into memory, the file straight into the folder where it will stay, under a
name that says it is not there yet. It gets its id once all of it is on the disk, and it stays if its row was committed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import contextmanager

from .._protocol import multipart_reader
from .._protocol.multipart_reader import PART_END, BadForm, FormReader, PartHead
from . import database, records
from .database import RecordGone
from .exchange import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from .exchange import Incoming
    from .platform import Platform

TOKEN, NAME, FILE = "execution_token", "name", "file"
LONGEST_FIELD = 16 * 1024


class Upload:
    """One form of `push/file`. A Receiver: fed on the loop, finished on a thread, discarded whatever happened."""

    __slots__ = (
        "_digest",
        "_field",
        "_file",
        "_folder",
        "_is_kept",
        "_path",
        "_reader",
        "content_type",
        "fields",
        "id",
        "size_bytes",
    )

    def __init__(self, folder: Path, content_type: str) -> None:
        self._folder = folder
        self._reader = FormReader(_boundary_of(content_type))
        self._field = ""
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._is_kept = False
        self._digest = hashlib.sha256()
        self.fields: dict[str, bytearray] = {}
        self.content_type = ""
        self.size_bytes = 0
        self.id = secrets.token_hex(16)

    def feed(self, data: bytes) -> None:
        """Take the next piece. Raises Refusal (400), NotStored, OSError."""
        try:
            events = self._reader.feed(data)
        except BadForm as error:
            raise _invalid(str(error)) from None
        for event in events:
            if isinstance(event, PartHead):
                self._begin(event)
            elif event is PART_END:
                self._field = ""
            else:
                assert isinstance(event, bytes)
                self._take(event)

    def finish(self) -> Upload:
        """All of it is on the disk under its id. Raises Refusal (400) if a part is missing, NotStored, OSError."""
        try:
            self._reader.finish()
        except BadForm as error:
            raise _invalid(str(error)) from None
        missing = [part for part in (TOKEN, NAME, FILE) if part not in self.fields]
        if missing or self._file is None:
            raise _invalid(f"the form has no part {missing[0]}")
        os.fsync(self._file.fileno())
        self._file.close()
        assert self._path is not None
        final_path = self._folder / self.id
        with _gone_is_gone():
            os.replace(self._path, final_path)
            self._path = final_path
            database.sync_folder(self._folder)
        return self

    def discard(self) -> None:
        """It goes, unless its row was committed."""
        if self._file is not None:
            self._file.close()
        if self._path is not None and not self._is_kept:
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass
            self._path = None

    def keep(self) -> None:
        """Its row was committed."""
        self._is_kept = True

    def text(self, field: str) -> str:
        """A small field. Raises Refusal (400) if it is not UTF-8."""
        try:
            return self.fields[field].decode("utf-8")
        except UnicodeDecodeError:
            pass
        raise _invalid(f"the part {field} is not UTF-8")

    @property
    def sha256(self) -> str:
        """Of the file's content."""
        return self._digest.hexdigest()

    def _begin(self, part: PartHead) -> None:
        self._field = part.name
        if part.name not in (TOKEN, NAME, FILE):
            return
        if part.name in self.fields:
            raise _invalid(f"the part {part.name} is there twice")
        self.fields[part.name] = bytearray()
        if part.name == FILE:
            self.content_type = part.content_type
            self._path = self._folder / f"{database.INCOMING}{self.id}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with _gone_is_gone():
                self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb", buffering=0)

    def _take(self, content: bytes) -> None:
        if self._field == FILE:
            assert self._file is not None
            self._digest.update(content)
            self.size_bytes += len(content)
            view = memoryview(content)
            while view:
                view = view[self._file.write(view) :]
        elif self._field in self.fields:
            field = self.fields[self._field]
            field += content
            if len(field) > LONGEST_FIELD:
                raise _invalid(f"the part {self._field} is larger than {LONGEST_FIELD} bytes")


def receive(platform: Platform, request: Incoming) -> Upload:
    """The receiver of `push/file`. Raises Refusal: 400, or 404 before a byte of a file that nobody waits for."""
    with platform.store.read() as reader:
        if records.job_of(reader, request.params["job_id"]) is None:
            raise Refusal(404, "JOB_NOT_FOUND", "there is no such job")
    return Upload(platform.store.files, request.headers.get("Content-Type"))


@contextmanager
def _gone_is_gone() -> Iterator[None]:
    """The folder was made at the start of the server; if it is not there, somebody has removed it."""
    is_gone = False
    try:
        yield
    except FileNotFoundError:
        is_gone = True
    if is_gone:
        raise RecordGone(database.GONE)


def _boundary_of(content_type: str) -> str:
    try:
        return multipart_reader.boundary_of(content_type)
    except BadForm as error:
        reason = str(error)
    raise _invalid(reason)


def _invalid(reason: str) -> Refusal:
    return Refusal(400, "INVALID_REQUEST", reason)
