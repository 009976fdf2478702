"""The record: one SQLite database, one thread that writes, and whoever wants to know what happened.

Works (functions of a Transaction) are queued. The writer takes all that are waiting, runs them in one transaction, a
savepoint around each, and commits; only then does anybody get an answer. So many callers share one fsync, and nothing
is acknowledged that is not on the disk. If the commit fails, every work of the group has failed with NotStored.

What a work changes it also says, with `tx.event(...)`. After the commit the subscribers get these events in order.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue

from . import changes, database
from .database import NotStored, RecordGone
from .transactions import Reader, Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias, TypeVar

    from .records import AttemptRow
    from .transactions import Event

    Value = TypeVar("Value")
    Work: TypeAlias = Callable[[Transaction], Any]
    Reply: TypeAlias = Callable[[Any, "BaseException | None"], None]
    Subscriber: TypeAlias = Callable[[list[Event]], None]

log = logging.getLogger("seekapi.dev")

MOST_IN_A_GROUP = 512
# From this size on, the log of the database is copied into it after a commit, when everybody has their answer.
CHECKPOINT_BYTES = 4 * 1024 * 1024


def _nobody_waits(value: object, error: BaseException | None) -> None:
    """A work that may be lost with the disk."""


class Store:
    """The record in `folder`. One per folder: another one, in any process, raises StoreUnusable.

    `now` is the wall clock, in seconds since 1970. With `folder=None` the record is in a folder of its own that is
    removed on `close()`, and the disk is not waited for. `lost` are the attempts that the last server died over.
    """

    def __init__(self, folder: Path | str | None, *, now: Callable[[], float] = time.time) -> None:
        self.is_ephemeral = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="seekapi-dev-") if folder is None else folder).absolute()
        self.files = self.folder / database.FILES
        self._now = now
        with ExitStack() as undo:
            if self.is_ephemeral:
                undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
            database.prepare(self.folder)
            self._lock = database.FolderLock(self.folder)
            undo.callback(self._lock.release)
            self._connection = database.open_writer(self.folder, durable=not self.is_ephemeral)
            undo.pop_all()
        self._identity = database.identity(self.folder)
        self._is_gone = False
        self._works: SimpleQueue[tuple[Work, Reply] | None] = SimpleQueue()
        self._subscribers: tuple[Subscriber, ...] = ()
        self._readers: list[sqlite3.Connection] = []
        self._is_closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._write, name="seekapi-store", daemon=True)
        self._thread.start()
        try:
            database.sweep(self.folder, self._connection)
            # What ran when the last server died runs no more.
            self.lost: list[AttemptRow] = self.submit(changes.lose_running).result()
            return
        except (OSError, sqlite3.Error) as error:
            reason = database.unreadable(error)
        except NotStored as error:
            reason = database.unreadable(error.__cause__ or error)
        self.close()
        raise database.unusable(self.folder, reason)

    def submit(self, work: Callable[[Transaction], Value]) -> Future[Value]:
        """Queue a work. The future has what it returned, after the commit; or what it raised; or NotStored."""
        future: Future[Value] = Future()
        future.set_running_or_notify_cancel()

        def reply(value: Value, error: BaseException | None) -> None:
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)

        self.post(work, reply)
        return future

    def post(self, work: Work, reply: Reply = _nobody_waits) -> None:
        """Queue a work without a future: `reply(value, error)` is called on the writer's thread, and must be quick."""
        with self._closing:  # What was queued is in front of the end, and so it has an answer.
            is_late = self._is_closed
            if not is_late:
                self._works.put((work, reply))
        if is_late:
            reply(None, NotStored("the server is ending: nothing was kept"))

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """What the record holds at this moment. On any thread; nothing waits for it, and it waits for nothing.

        Raises RecordGone.
        """
        if self._is_gone:
            raise RecordGone(database.GONE)
        try:
            connection = self._readers.pop()
        except IndexError:
            self._check_place()
            connection = database.open_reader(self.folder)
        try:
            connection.execute("BEGIN")
            try:
                yield Reader(connection)
            finally:
                connection.execute("ROLLBACK")
        finally:
            if self._is_closed:
                connection.close()
            else:
                self._readers.append(connection)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """After each commit `subscriber(events)` is called on the writer's thread, with those that it added, in order.

        It must be quick, and never wait for the store. What is returned ends the subscription.
        """
        with self._closing:
            self._subscribers += (subscriber,)

        def unsubscribe() -> None:
            with self._closing:
                self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)

        return unsubscribe

    def close(self) -> None:
        """What is queued is still written; what comes later is refused."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
            self._works.put(None)
        self._thread.join()
        while self._readers:
            self._readers.pop().close()
        self._connection.close()
        self._lock.release()
        if self.is_ephemeral:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # The writer's thread

    def _write(self) -> None:
        is_open = True
        while is_open:
            group, is_open = self._next_group()
            if group:
                self._commit(group)
            if not is_open or self._log_bytes() > CHECKPOINT_BYTES:
                self._checkpoint("PASSIVE" if is_open else "TRUNCATE")

    def _next_group(self) -> tuple[list[tuple[Work, Reply]], bool]:
        """What is waiting; at least one work, or else the end."""
        group: list[tuple[Work, Reply]] = []
        item = self._works.get()
        while item is not None:
            group.append(item)
            if len(group) == MOST_IN_A_GROUP or self._works.empty():
                return group, True
            item = self._works.get()
        return group, False

    def _commit(self, group: list[tuple[Work, Reply]]) -> None:
        tx = Transaction(self._connection, self._now())
        try:
            outcomes = self._run_all(tx, group)
            # After the commit: what was removed until now is told to nobody as kept.
            self._check_place()
        except BaseException as error:
            self._undo_all()
            if not isinstance(error, (sqlite3.Error, NotStored)):
                log.exception("the store")
            failed = error if isinstance(error, NotStored) else database.not_stored(error)
            outcomes = [(None, failed)] * len(group)
            tx._events, tx._after_commit = [], []
        for action in tx._after_commit:
            _quietly(action)
        for (_, reply), (value, failure) in zip(group, outcomes, strict=True):
            _quietly(reply, value, failure)
        if tx._events:
            for subscriber in self._subscribers:
                _quietly(subscriber, tx._events)

    def _run_all(self, tx: Transaction, group: list[tuple[Work, Reply]]) -> list[tuple[Any, BaseException | None]]:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        outcomes = [self._run(tx, work) for work, _ in group]
        execute("COMMIT")
        return outcomes

    def _run(self, tx: Transaction, work: Work) -> tuple[Any, BaseException | None]:
        """One work, in a savepoint. Raises sqlite3.Error if it is the disk that failed: then all have."""
        execute = self._connection.execute
        event_count, action_count = len(tx._events), len(tx._after_commit)
        execute("SAVEPOINT work")
        try:
            value = work(tx)
        except BaseException as error:
            if database.is_of_disk(error) or not self._connection.in_transaction:
                raise
            execute("ROLLBACK TO work")
            execute("RELEASE work")
            del tx._events[event_count:], tx._after_commit[action_count:]
            return None, error
        execute("RELEASE work")
        return value, None

    def _check_place(self) -> None:
        """Whoever starts here next must find what is written now. Raises RecordGone, for good; one stat."""
        if not self._is_gone:
            if database.identity(self.folder) == self._identity:
                return
            self._is_gone = True
            log.error("%s: %s", self.folder, database.GONE)
        raise RecordGone(database.GONE)

    def _undo_all(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("the store could not undo")

    def _log_bytes(self) -> int:
        try:
            return os.stat(f"{self.folder / database.DATABASE}-wal").st_size
        except OSError:
            return 0

    def _checkpoint(self, how: str) -> None:
        try:
            self._connection.execute(f"PRAGMA wal_checkpoint({how})").fetchall()
        except sqlite3.Error as error:  # The log stays as it is, and nothing is lost.
            log.warning("the store could not be tidied up: %s", error)


def _quietly(call: Callable[..., object], *arguments: object) -> None:
    """Others of the group must get their answers, whatever one of them does with its own."""
    try:
        call(*arguments)
    except Exception:
        log.exception("after a commit")
