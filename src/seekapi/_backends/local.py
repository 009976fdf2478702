"""Local mode: the platform as a folder on this disk, `<SEEKAPI_LOCAL_DIR>/<job>/`.

    data_pushes.jsonl    one row per push_data       response_json.json   the data of the last one
    file_pushes.jsonl    one row per push_file       files/               the files themselves
    charges.jsonl        one row per idempotency key of charge

What was acknowledged is there, whole, also after kill -9 at any moment, on a full disk, and with many processes at
once; what failed has left nothing. Names beginning with a dot are ours: `.response_json.json.tmp` (being written),
`.incoming-*` (a file being copied, where the system has no nameless files), `.charged/` (one empty file per charged
key), `.folded/` (one empty file per stored name with capitals). Folders are 0700 and files 0600, because every row
holds the job's execution token.
"""

from __future__ import annotations

import errno
import os
import time

from .._protocol import json_text
from ..errors import LocalWriteError, SeekApiError, TransportTimeout
from . import fixtures, local_names
from .local_files import Folder, Incoming, copy
from .local_rows import RowFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import IO, Any, TypeVar

    from .._protocol.messages import FileSegment
    from .._settings import Settings
    from .port import Context, Reply

    Result = TypeVar("Result")
    Fsync = Callable[[int], object]

DATA_ROWS = "data_pushes.jsonl"
FILE_ROWS = "file_pushes.jsonl"
CHARGE_ROWS = "charges.jsonl"
RESPONSE_JSON = "response_json.json"
FILES = "files"
_RESPONSE_TEMPORARY = f".{RESPONSE_JSON}.tmp"
_CHARGED = ".charged"
_FOLDED = ".folded"

_WHAT_IS_WRONG = {
    errno.ENOSPC: "the disk is full; make room there, or",
    errno.EDQUOT: "the disk quota is used up; make room there, or",
    errno.EFBIG: "the file-size limit of this process (ulimit -f) is reached; raise it, or",
    errno.EROFS: "the file system is read-only;",
    errno.EACCES: "this user may not write there; give it the right to, or",
    errno.EPERM: "this user may not write there; give it the right to, or",
    errno.ENOTDIR: "a file or a symbolic link is where a folder should be; remove it, or",
    errno.EEXIST: "something else is where a folder or file should be; remove it, or",
    errno.ELOOP: "a symbolic link is where a file should be; remove it, or",
    errno.EISDIR: "a folder is where a file should be; remove it, or",
    errno.ENOLCK: "the file system has no locks;",
    errno.EOPNOTSUPP: "the file system has no locks;",
}


class LocalBackend:
    """Keeps what a worker pushes in files; implements the port.

    Without `fsync` (the default) everything acknowledged survives the death of any process, and of all of them: the
    system holds it. A loss of power may cost the last seconds. With `fsync=os.fsync` it survives that too, at the price
    of some disk flushes per push.
    """

    is_remote = False

    def __init__(
        self,
        settings: Settings,
        *,
        fsync: Fsync | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        # Where a job's first push went the others go, though its handler goes to another folder meanwhile (os.chdir).
        self._base = _pinned(settings.local_dir)
        self._shown_base = settings.local_dir
        self._fixtures = _pinned(settings.local_fixtures)
        self._fsync = fsync
        self._clock = clock
        self._wall_clock_ns = wall_clock_ns
        self._sleep = sleep

    def push_data(
        self, context: Context, data: object, type: str, *, text: str = "", idempotency_key: str, deadline: float
    ) -> Reply:
        """Append one row and make `data` the response, in this order, both or neither.

        A repeat of `idempotency_key` is a push of its own: nothing is lost on the way to a disk, so nothing asks again.
        """
        # What dates, models and odd keys are in JSON was found out once, which may have taken long.
        data = json_text.parse(text) if text else data
        # Only a text with escapes reads differently when it need not be ASCII.
        compact = json_text.encode(data, what="data", ascii_only=False) if "\\u" in text else text
        readable = json_text.encode(data, what="data", ascii_only=False, indent=2).encode()
        row = self._row("pushed_at", context, {"type": type})

        def keep() -> None:
            with self._job_folder(context) as job:
                with self._rows(job, DATA_ROWS, deadline) as rows:
                    response = None
                    try:
                        response = job.write_temporary(_RESPONSE_TEMPORARY, readable, self._fsync)
                        rows.append(f'{row[:-1]}, "data": {compact}}}', self._fsync)
                        job.replace(_RESPONSE_TEMPORARY, RESPONSE_JSON, lasting=self._fsync is not None)
                    except BaseException:
                        # A signal's exception may strike after the response got there; then the row stays, too.
                        rows.takes_back = response is None or not job.has_file(RESPONSE_JSON, response)
                        job.remove(_RESPONSE_TEMPORARY)
                        raise
                self._sync(job)

        self._attempt(keep, context, deadline)
        return {"ok": True}

    def push_file(
        self,
        context: Context,
        name: str,
        source: FileSegment,
        content_type: str,
        *,
        idempotency_key: str,
        deadline: float,
    ) -> Reply:
        """Store a copy in `files/`, under a name of its own, then append its row; both or neither."""
        with source.open() as file:

            def keep() -> None:
                self._keep_file(context, name, file, source.size_bytes, content_type, deadline)

            self._attempt(keep, context, deadline)
        return {"ok": True}

    def charge(
        self,
        context: Context,
        idempotency_key: str,
        count: int,
        justification: Mapping[str, Any] | None,
        *,
        deadline: float,
    ) -> Reply:
        """Record the charge, once per key, and answer with the fixture, or with the documented reply.

        That reply meters nothing (`metered_event_count` is 0): what a job was charged is the sum over charges.jsonl.
        """
        reply = fixtures.charge_reply(self._fixtures)
        details: dict[str, object] = {"idempotency_key": idempotency_key, "count": count}
        if justification is not None:
            details["justification"] = dict(justification)
        row = self._row("charged_at", context, details)
        self._attempt(lambda: self._keep_charge(context, idempotency_key, row, deadline), context, deadline)
        return {"ok": True, "metered_event_count": 0, "limit_reached": False} if reply is None else reply

    def register_request_id(self, context: Context, request_id: object, *, deadline: float) -> None:
        """Nothing: the logs are on this machine already."""

    def begin_registration(self, context: Context, request_id: object, *, deadline: float) -> None:
        """Nothing: the logs are on this machine already."""

    def settle(self) -> None:
        """Nothing: every call has ended when it returns."""

    def _keep_file(
        self, context: Context, name: str, file: IO[bytes], size_bytes: int, content_type: str, deadline: float
    ) -> None:
        with self._job_folder(context) as job, Incoming(job) as incoming:
            copied_bytes = copy(file, incoming.fd, size_bytes, lambda: self._check_time(deadline))
            if copied_bytes != size_bytes:
                raise LocalWriteError(f"the file changed while it was pushed as {name!r}: it had {size_bytes} bytes")
            if self._fsync:
                self._fsync(incoming.fd)
            with _made_folder(job, FILES) as files, self._rows(job, FILE_ROWS, deadline) as rows:
                preferred = local_names.stored_name(name)
                last = str((rows.last() or {}).get("stored_name"))
                try:
                    stored = _publish(incoming, job, files, preferred, local_names.number_of(preferred, last))
                    details = {
                        "name": name,
                        "stored_name": stored,
                        "stored_path": os.path.join(self._shown_base, os.path.basename(job.path), FILES, stored),
                        "content_type": content_type,
                        "size_bytes": size_bytes,
                    }
                    self._sync(files)
                    rows.append(self._row("pushed_at", context, details), self._fsync)
                except BaseException:
                    incoming.withdraw()
                    raise
            self._sync(job)

    def _keep_charge(self, context: Context, idempotency_key: str, row: str, deadline: float) -> None:
        """Append the row unless its key is marked as charged; the mark follows the row, under the same lock.

        A process killed in between leaves the one row that can lack its mark, the last one: it is marked first.
        """
        with self._job_folder(context) as job:
            with _made_folder(job, _CHARGED) as charged, self._rows(job, CHARGE_ROWS, deadline) as rows:
                last = rows.last()
                if last is not None:
                    _mark(charged, str(last.get("idempotency_key")))
                if charged.has(_mark_of(idempotency_key)):
                    return
                rows.append(row, self._fsync)
                try:
                    _mark(charged, idempotency_key)
                    self._sync(charged)
                except BaseException:
                    # A mark without its row would have the retry say ok to a charge that nobody recorded: if the
                    # mark cannot go, the row stays.
                    rows.takes_back = False
                    charged.remove(_mark_of(idempotency_key))
                    rows.takes_back = True
                    raise
            self._sync(job)

    def _job_folder(self, context: Context) -> Folder:
        """The folder of this job and no other, made if missing."""
        job_uuid = context["job_uuid"]
        name = local_names.job_folder_name(job_uuid)
        try:
            job = Folder.at(self._base, name)
        except OSError:
            # Not there yet, or not a plain folder; the long way says which, and does what can be done.
            with Folder.at(self._base, make=True) as base:
                job = _open_job_folder(base, name)
        try:
            if not job.is_spelled_otherwise():
                job.make_private()
                return job
        except BaseException:
            job.close()
            raise
        # On a file system that ignores case, `Job1` and `job1` would share a folder: the second one moves out.
        job.close()
        with Folder.at(self._base) as base:
            return _open_job_folder(base, local_names.marked_job_folder_name(job_uuid))

    def _rows(self, job: Folder, name: str, deadline: float) -> RowFile:
        def wait(seconds: float) -> None:
            self._check_time(deadline)
            self._sleep(seconds)

        return RowFile(job, name, wait)

    def _row(self, when: str, context: Context, details: Mapping[str, object]) -> str:
        head = {
            when: timestamp(self._wall_clock_ns()),
            "job_uuid": context["job_uuid"],
            "execution_token": context["execution_token"],
        }
        return json_text.encode({**head, **details}, what="row", ascii_only=False)

    def _sync(self, folder: Folder) -> None:
        if self._fsync:
            folder.sync(self._fsync)

    def _check_time(self, deadline: float) -> None:
        if self._clock() >= deadline:
            raise TransportTimeout("local mode: the time of the call was up; nothing was kept", outcome="not_sent")

    def _attempt(self, work: Callable[[], Result], context: Context, deadline: float) -> Result:
        """The result of `work`; an OSError becomes a LocalWriteError that says what to do."""
        self._check_time(deadline)
        try:
            return work()
        except SeekApiError:
            raise
        except OSError as error:
            reason = _WHAT_IS_WRONG.get(error.errno or 0, f"{error.strerror or type(error).__name__};")
            number = error.errno
        place = os.path.join(self._base, local_names.job_folder_name(context["job_uuid"]))
        # Raised out here, so that no context carries on.
        raise LocalWriteError(
            f"local mode cannot write to {place}: {reason} set SEEKAPI_LOCAL_DIR to a folder that can be written",
            errno=number,
        )


def _pinned(path: str) -> str:
    """`path` as it is meant now; "" stays."""
    if not path or os.path.isabs(path):
        return path
    try:
        return os.path.join(os.getcwd(), path)
    except OSError:
        return path  # the current folder is gone: whatever is done with the path says so


def timestamp(nanoseconds: int) -> str:
    """UTC as ISO 8601 with Z and microseconds, which are left out when zero."""
    seconds, rest = divmod(nanoseconds // 1000, 1_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{rest:06d}Z" if rest else f"{text}Z"


def _open_job_folder(base: Folder, name: str) -> Folder:
    """Open or make the folder. A symbolic link in its place is followed only to a folder under `base`."""
    try:
        return base.folder(name)
    except FileNotFoundError:
        if base.make_folder(name):
            with base.folder(name) as made:
                made.make_folder(FILES)
        return base.folder(name)
    except OSError:
        target = base.link_target(name)
        root = os.path.realpath(base.path)
        if target is None or not target.startswith(os.path.join(root, "")):
            raise
    # The target is free of links, so each of its parts is opened without following any.
    folder = base
    for part in os.path.relpath(target, root).split(os.sep):
        above = folder
        try:
            folder = above.folder(part)
        finally:
            if above is not base:
                above.close()
    folder.path = os.path.join(base.path, name)
    return folder


def _made_folder(job: Folder, name: str) -> Folder:
    try:
        return job.folder(name)
    except FileNotFoundError:
        job.make_folder(name)
        return job.folder(name)


def _publish(incoming: Incoming, job: Folder, files: Folder, preferred: str, given_before: int) -> str:
    """Give the file the first free name. Names that differ in case only count as the same.

    So the folder survives a copy to a file system that does not tell them apart. Small letters name what they
    occupy themselves; names with capitals leave an empty file, spelled small, in `.folded`.
    """
    folded = None
    try:
        if preferred != preferred.lower():
            folded = _made_folder(job, _FOLDED)
        elif job.has(_FOLDED):
            folded = job.folder(_FOLDED)

        def is_taken(candidate: str) -> bool:
            small = candidate.lower()
            if files.has(small) or (folded is not None and folded.has(small)):
                return True
            return candidate != small and files.has(candidate)

        stored = local_names.first_free(preferred, is_taken, given_before)
        if folded is not None and stored != stored.lower():
            os.close(folded.create(stored.lower()))
        incoming.publish(files, stored)
        return stored
    finally:
        if folded is not None:
            folded.close()


def _mark(charged: Folder, idempotency_key: str) -> None:
    try:
        os.close(charged.create(_mark_of(idempotency_key)))
    except FileExistsError:
        pass


def _mark_of(idempotency_key: str) -> str:
    return local_names.digest(idempotency_key)[:32]
