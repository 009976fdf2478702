"""The store: what is acknowledged is on the disk, what failed has left nothing, and one server has the folder."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager

import pytest

from devserver.platforms import LIMIT_S, Clock, threads_of
from seekapi._devserver import changes, database, records
from seekapi._devserver.database import NotStored, RecordGone, StoreUnusable
from seekapi._devserver.store import CHECKPOINT_BYTES, Store
from seekapi._devserver.transactions import KINDS

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="modes, limits of file sizes")


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "data", now=Clock()) as store:
        yield store


def put(name, value="1"):
    return lambda tx: tx.execute(
        "INSERT INTO setting (name, value_json, updated_at) VALUES (?, ?, ?)", (name, value, tx.now)
    )


def names(store):
    with store.read() as reader:
        return [name for (name,) in reader.rows("SELECT name FROM setting ORDER BY name")]


def submit(tx):
    return changes.submit(tx, "{}")


@contextmanager
def held(store):
    """The writer stands still, so that what is posted meanwhile becomes one group."""
    is_in, may_go = threading.Event(), threading.Event()
    store.post(lambda tx: (is_in.set(), may_go.wait(LIMIT_S)), lambda value, error: None)
    assert is_in.wait(LIMIT_S)
    try:
        yield
    finally:
        may_go.set()


@contextmanager
def largest_file(size_bytes):
    """No file of this process may grow beyond that: what a full disk does to a write."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Works and their answers


def test_a_work_answers_after_its_commit(store):
    """What a future or a reply gives is in the record already, for every other reader."""
    seen = []

    assert store.submit(lambda tx: put("a")(tx) and "value").result(LIMIT_S) == "value"
    assert names(store) == ["a"]
    replied = threading.Event()
    store.post(put("b"), lambda value, error: (seen.append((names(store), error)), replied.set()))

    assert replied.wait(LIMIT_S)
    assert seen == [(["a", "b"], None)]


def test_many_works_share_a_commit_and_not_their_failures(store):
    """One transaction for all that waited; the one that raises is undone alone, and only it hears of it."""
    commits = []
    store._connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    def fail(tx):
        put("half")(tx)
        tx.event(submit(tx), "fault", {})
        raise ZeroDivisionError("a bug")

    with held(store):
        futures = [store.submit(work) for work in (put("a"), fail, put("b"), put("a"), put("c"))]
    errors = [type(future.exception(LIMIT_S)) for future in futures]

    assert errors == [type(None), ZeroDivisionError, type(None), sqlite3.IntegrityError, type(None)]
    assert names(store) == ["a", "b", "c"]
    assert len(commits) == 2
    with store.read() as reader:
        assert reader.rows("SELECT * FROM event") == reader.rows("SELECT * FROM job") == []


def test_whatever_a_work_or_a_reply_raises_the_next_one_runs(store):
    """SystemExit in a work, an error in a reply, in a subscriber, in an action: the writer goes on."""

    def leave(tx):
        raise SystemExit(3)

    def broken(*arguments):
        raise ValueError("of somebody else")

    store.subscribe(broken)
    store.post(lambda tx: (submit(tx), tx.on_commit(broken)), broken)

    assert isinstance(store.submit(leave).exception(LIMIT_S), SystemExit)
    assert store.submit(put("a")).exception(LIMIT_S) is None
    assert names(store) == ["a"]


def test_a_reader_sees_one_moment(store):
    """All that is read through one Reader is of the time of its first question, and it cannot write."""
    with store.read() as reader:
        before = reader.rows("SELECT * FROM setting")
        store.submit(put("a")).result(LIMIT_S)
        assert reader.rows("SELECT * FROM setting") == before == []
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.rows("DELETE FROM setting")
    assert names(store) == ["a"]


def test_readers_are_used_again_by_any_thread(store):
    """A connection is opened when all others are in use, and then kept."""
    with store.read(), store.read():
        pass
    threads = [threading.Thread(target=names, args=(store,)) for _ in range(8)]
    for thread in threads:
        thread.start()
        thread.join()

    assert len(store._readers) == 2


# Events


def test_subscribers_hear_what_was_committed_in_order(store):
    """After the answers, with the numbers of the record; nothing of a work that was undone; not after the end."""
    heard, order = [], []
    unsubscribe = store.subscribe(lambda events: (heard.extend(events), order.append("event")))

    def undone(tx):
        submit(tx)
        raise KeyError

    with held(store):
        works = [submit, undone, submit]
        for work in works:
            store.post(work, lambda value, error: order.append("reply"))
    first, second = (store.submit(submit).result(LIMIT_S) for _ in range(2))
    store.submit(lambda tx: None).result(LIMIT_S)
    unsubscribe()
    store.submit(submit).result(LIMIT_S)

    with store.read() as reader:
        record = records.events_after(reader, 0)
    assert [(event.seq, event.job_id, event.kind, event.data) for event in heard] == [
        (event.seq, event.job_id, event.kind, event.data) for event in record[:4]
    ]
    assert [event.seq for event in record] == [1, 2, 3, 4, 5]
    assert [event.job_id for event in heard[2:]] == [first.job_id, second.job_id]
    assert order[:4] == ["reply", "reply", "reply", "event"]


def test_actions_run_after_the_commit_only(store):
    """on_commit: once it is on the disk and before anybody is told; never for what was undone."""
    done = []

    def undone(tx):
        tx.on_commit(lambda: done.append("undone"))
        raise KeyError

    with held(store):
        store.post(undone, lambda value, error: None)
        kept = store.submit(lambda tx: tx.on_commit(lambda: done.append(names(store))) or put("a")(tx))
    kept.result(LIMIT_S)

    assert done == [["a"]]


def test_every_kind_of_event_is_known():
    """What is said in the record is in the list that the views know."""
    source = "".join(
        (database.Path(changes.__file__).with_name(name)).read_text(encoding="utf-8")
        for name in ("changes.py", "worker_api.py", "inputs.py", "jobs.py", "job_views.py")
    )
    said = set(re.findall(r'tx\.event(?:_text)?\(\s*\w+, "(\w+)"', source))

    assert said - {"input"} >= {"submitted", "started", "ended", "push", "file", "charge", "status", "lost"}
    assert said <= set(KINDS)


# The folder


def test_the_record_is_there_at_the_next_start(tmp_path):
    """Closed and opened again: the same rows, and a log that was tidied up."""
    with Store(tmp_path) as store:
        job = store.submit(submit).result(LIMIT_S)
    assert not (tmp_path / "record.db-wal").exists()
    with Store(tmp_path) as store, store.read() as reader:
        found = records.job_of(reader, job.job_id)
        assert found is not None and found.status == "queued"
        assert [event.kind for event in records.events_after(reader, 0)] == ["submitted"]


@posix_only
def test_nobody_else_can_read_it(tmp_path):
    """Folders 0700, files 0600, whatever the umask says."""
    before = os.umask(0)
    try:
        with Store(tmp_path / "a" / "data") as store:
            store.submit(submit).result(LIMIT_S)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [store.folder, *store.folder.iterdir()]}
    finally:
        os.umask(before)

    folders = {"data", "files"}
    assert {"record.db", "record.db-wal", "lock", "files"} <= set(modes)
    assert all(mode == (0o700 if name in folders else 0o600) for name, mode in modes.items()), modes


def test_one_server_has_the_folder(tmp_path):
    """The second one is told who has it, in this process or in another; after the end it is free."""
    with Store(tmp_path):
        with pytest.raises(StoreUnusable, match=f"in use by process {os.getpid()}: stop it"):
            Store(tmp_path)
        program = f"from seekapi._devserver.store import Store; Store({str(tmp_path)!r})"
        other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert f"in use by process {os.getpid()}" in other.stderr
    Store(tmp_path).close()


@posix_only
def test_a_record_that_is_not_kept_leaves_nothing_behind(tmp_path):
    """Nor does one that could not be opened."""
    program = """
        import resource
        from seekapi._devserver.store import Store

        Store(None).close()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        Store(None)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    assert "StoreUnusable" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_wal_is_set_once(tmp_path):
    """When the database is made. Per connection it fails under load, with "database is locked"."""
    with Store(tmp_path):
        pass
    spoken = []
    real = sqlite3.connect

    def listening(*arguments, **options):
        connection = real(*arguments, **options)
        connection.set_trace_callback(spoken.append)
        return connection

    sqlite3.connect = listening
    try:
        with Store(tmp_path) as store:
            names(store)
            settings = {
                name: store._connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "busy_timeout", "wal_autocheckpoint", "mmap_size")
            }
    finally:
        sqlite3.connect = real

    assert not [sql for sql in spoken if "journal_mode=" in sql]
    expected = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000, "wal_autocheckpoint": 0, "mmap_size": 0}
    assert settings == expected


@pytest.mark.parametrize(
    "spoil, reason",
    [
        (lambda path: path.write_bytes(b"not a database at all, but long enough for a head" * 20), "cannot be opened"),
        (
            lambda path: sqlite3.connect(path).execute("CREATE TABLE t (x)").connection.close(),
            "not a record of seekapi",
        ),
        (lambda path: _with_version(path, 99), "another version"),
    ],
)
def test_a_database_that_is_not_ours_is_left_alone(tmp_path, spoil, reason):
    """Not opened, not changed, and the message says what to do; the lock is let go."""
    path = tmp_path / "record.db"
    spoil(path)
    before = path.read_bytes()

    for _ in range(2):
        with pytest.raises(StoreUnusable, match=f"{reason}.*move it away, or choose another folder"):
            Store(tmp_path)
    assert path.read_bytes() == before


def _with_version(path, version):
    Store(path.parent).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={version}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def test_a_folder_that_cannot_be_one_is_refused(tmp_path):
    """A file in its place, a link in the place of files/: nothing is written through it."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnusable, match="file"):
        Store(tmp_path / "file")
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "files").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnusable, match="symbolic link"):
        Store(tmp_path / "data")
    (tmp_path / "data" / "files").unlink()
    (tmp_path / "data" / "record.db").symlink_to(tmp_path / "target")
    with pytest.raises(StoreUnusable):
        Store(tmp_path / "data")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda folder: folder.write_bytes(b""), "data is a file, not a folder"),
        (lambda folder: (folder.mkdir(), (folder / "files").write_bytes(b"")), "files in it is not a folder: move it"),
        (lambda folder: (folder / "record.db").mkdir(parents=True), "record.db in it is not a file: move it away"),
        (
            lambda folder: (folder.mkdir(), (folder / "record.db").symlink_to("x")),
            "record.db in it is a symbolic link: move it away",
        ),
    ],
    ids=["file", "files", "record", "link"],
)
def test_a_folder_that_cannot_be_one_says_why(tmp_path, make, told):
    """What is wrong and what to do, and not which system call has stumbled over it."""
    make(tmp_path / "data")

    with pytest.raises(StoreUnusable, match=told):
        Store(tmp_path / "data")


def _spoil(folder):
    path = folder / "record.db"
    content = bytearray(path.read_bytes())
    content[8192:-8192] = os.urandom(len(content) - 16384)
    path.write_bytes(content)


@pytest.mark.parametrize("left", ["a job that ran", "a file"])
def test_a_record_that_cannot_be_read_is_refused_at_the_start(tmp_path, left):
    """Pages in its middle are broken: the sentence of every other bad folder; the lock is let go, no thread is left."""
    with Store(tmp_path) as store:
        store.submit(lambda tx: [changes.submit(tx, '"x"' * 500) for _ in range(100)]).result(LIMIT_S)
        if left == "a job that ran":
            store.submit(lambda tx: changes.claim(tx, 60)).result(LIMIT_S)
        else:
            (store.files / ("a" * 32)).write_bytes(b"x")
    _spoil(tmp_path)

    for _ in range(2):
        with pytest.raises(StoreUnusable, match=r"record.db cannot be opened .*malformed.*move it away, or choose"):
            Store(tmp_path)
    assert not threads_of("seekapi-store")


@posix_only
def test_a_disk_without_room_for_what_was_lost_is_refused_at_the_start(tmp_path):
    """A job ran when the last server died, and that it is lost cannot be written; with room again it is."""
    with Store(tmp_path) as store:
        store.submit(lambda tx: changes.submit(tx, '"' + "x" * 200_000 + '"')).result(LIMIT_S)
        claimed = store.submit(lambda tx: changes.claim(tx, 60)).result(LIMIT_S)

    with largest_file(100_000), pytest.raises(StoreUnusable, match=r"record.db cannot be opened .*choose another"):
        Store(tmp_path)

    with Store(tmp_path) as again:
        assert [one.job_id for one in again.lost] == [claimed.attempt.job_id]


# The record is taken away


def _replace(folder):
    (folder / "record.db").rename(folder / "moved.db")
    shutil.copy(folder / "moved.db", folder / "record.db")


@posix_only
@pytest.mark.parametrize(
    "remove",
    [
        shutil.rmtree,
        lambda folder: (folder / "record.db").unlink(),
        lambda folder: folder.rename(f"{folder}-2"),
        _replace,
    ],
    ids=["folder", "database", "moved", "replaced"],
)
def test_a_record_that_was_removed_keeps_nothing_and_says_so_once(tmp_path, caplog, remove):
    """Not even the first work after it is acknowledged, nothing is told of it, and nothing is read any more."""
    heard, done = [], []
    with Store(tmp_path / "data") as store:
        store.submit(submit).result(LIMIT_S)
        assert names(store) == []
        store.subscribe(heard.extend)
        remove(tmp_path / "data")

        works = [lambda tx: (submit(tx), tx.on_commit(lambda: done.append(1))), submit]
        for work in works:
            with pytest.raises(RecordGone, match=r"was removed while the server ran.*restart the server"):
                store.submit(work).result(LIMIT_S)
        with pytest.raises(RecordGone), store.read():
            pass

    assert heard == done == []
    assert [record.getMessage().count("restart the server") for record in caplog.records] == [1]


@posix_only
def test_whoever_only_reads_notices_a_removed_record_too(tmp_path):
    """A reader that opens the file now would read, or make, another one."""
    with Store(tmp_path / "data") as store:
        (tmp_path / "data" / "record.db").unlink()

        with pytest.raises(RecordGone), store.read():
            pass
        assert not (tmp_path / "data" / "record.db").exists()


@posix_only
def test_the_server_of_a_removed_record_does_no_harm_to_the_next_one(tmp_path):
    """It goes on in memory of a folder that is another's now: what that one keeps is kept, also when the first ends."""
    first = Store(tmp_path / "data")
    shutil.rmtree(tmp_path / "data")
    with Store(tmp_path / "data") as second:
        job = second.submit(submit).result(LIMIT_S)
        assert isinstance(first.submit(submit).exception(LIMIT_S), RecordGone)
        first.close()
        assert second.submit(submit).exception(LIMIT_S) is None
        # As a kill would leave it: the log has not been copied yet.
        shutil.copytree(tmp_path / "data", tmp_path / "copy")

    with Store(tmp_path / "copy") as again, again.read() as reader:
        assert records.job_of(reader, job.job_id) is not None
        assert reader.row("SELECT count(*) FROM job") == (2,)


def test_a_record_that_another_program_holds_is_said(tmp_path, monkeypatch):
    """Locked is not broken; when the other one has ended, all works."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 10)
    with Store(tmp_path) as store:
        other = sqlite3.connect(tmp_path / "record.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotStored, match=r"another program holds record.db .*locked"):
            store.submit(submit).result(LIMIT_S)
        other.close()

        assert store.submit(submit).exception(LIMIT_S) is None


def test_a_start_that_was_cut_short_is_a_start(tmp_path):
    """An empty file is what a kill during the making of the database leaves."""
    (tmp_path / "record.db").write_bytes(b"")

    with Store(tmp_path) as store:
        assert store.submit(submit).result(LIMIT_S).status == "queued"


def test_what_a_killed_server_left_behind_is_removed(tmp_path):
    """Uploads that never ended, files whose row was never committed; what has a row stays, and what is not ours."""
    kept, orphan, half = "a" * 32, "b" * 32, f".incoming-{'c' * 32}"
    others = {"somebody-elses", "files/letter.txt", "files/.incoming-mail", ".incoming-mail"}
    with Store(tmp_path) as store:
        store.submit(lambda tx: tx.execute("INSERT INTO file VALUES (?, 1, 1, 'x')", (kept,))).result(LIMIT_S)
    for name in (f"files/{kept}", f"files/{orphan}", f"files/{half}", *others):
        (tmp_path / name).write_bytes(b"x")

    Store(tmp_path).close()

    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"record.db", "lock", f"files/{kept}", *others}


def test_an_ephemeral_record_leaves_nothing(tmp_path):
    """A folder of its own that goes with it."""
    with Store(None) as store:
        store.submit(submit).result(LIMIT_S)
        folder = store.folder
        assert (folder / "record.db").exists()
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (0,)
    assert not folder.exists()


def test_closing_writes_what_is_queued_and_refuses_the_rest(tmp_path):
    """Nothing hangs: each work gets its answer; the thread ends, and closing twice is closing."""
    store = Store(tmp_path)
    with held(store):
        queued = [store.submit(put(str(number))) for number in range(5)]
    store.close()
    store.close()

    assert [future.exception(LIMIT_S) for future in queued] == [None] * 5
    assert isinstance(store.submit(put("late")).exception(LIMIT_S), NotStored)
    assert not [thread for thread in threads_of("seekapi-store") if thread is store._thread]
    with Store(tmp_path) as again:
        assert len(names(again)) == 5


def test_a_caller_during_the_close_is_answered(tmp_path):
    """Works that arrive behind the end of the queue are refused, not forgotten."""
    for _ in range(5):
        store = Store(None)
        futures, stop = [], threading.Event()

        def submit_all(store=store, futures=futures, stop=stop):
            while not stop.is_set() and len(futures) < 2_000:
                futures.append(store.submit(lambda tx: None))

        thread = threading.Thread(target=submit_all)
        thread.start()
        store.close()
        stop.set()
        thread.join()
        assert {type(future.exception(LIMIT_S)) for future in futures} <= {type(None), NotStored}


def test_nobody_gets_behind_the_end(tmp_path):
    """A work that is being queued while the store closes is in front of the end, or refused; its future has an end."""
    store, is_in, may_go = Store(tmp_path), threading.Event(), threading.Event()

    class Slow:
        def __init__(self, works):
            self.get, self.empty, self._put = works.get, works.empty, works.put

        def put(self, item):
            if item is not None:
                is_in.set()
                assert may_go.wait(LIMIT_S)
            self._put(item)

    store._works = Slow(store._works)
    futures = []
    submitting = threading.Thread(target=lambda: futures.append(store.submit(put("a"))))
    submitting.start()
    assert is_in.wait(LIMIT_S)
    closing = threading.Thread(target=store.close)
    closing.start()
    closing.join(0.2)  # As far as it gets.
    may_go.set()
    submitting.join(LIMIT_S)
    closing.join(LIMIT_S)

    assert futures[0].exception(10) is None
    with Store(tmp_path) as again:
        assert names(again) == ["a"]


# The disk


@posix_only
@pytest.mark.parametrize("size_bytes", [3_000_000, 600_000], ids=["in the work", "in the commit"])
def test_a_full_disk_fails_the_whole_group_and_keeps_nothing_of_it(tmp_path, size_bytes):
    """Every future of the group is NotStored, no event is told, no action runs; with room again, all works."""
    heard, done = [], []
    store = Store(tmp_path)
    store.subscribe(heard.extend)
    store.submit(put("before")).result(LIMIT_S)

    def large(tx):
        tx.event(submit(tx), "fault", {})
        tx.on_commit(lambda: done.append(1))
        # What the cache holds is written in the commit, what it cannot hold before.
        put("large", "x" * size_bytes)(tx)

    with largest_file(400_000):
        with held(store):
            futures = [store.submit(work) for work in (put("a"), large, put("b"))]
        errors = [future.exception(LIMIT_S) for future in futures]
        assert [type(error) for error in errors] == [NotStored] * 3
        assert names(store) == ["before"]
        assert store.submit(put("small")).exception(LIMIT_S) is None
    store.submit(put("after")).result(LIMIT_S)
    store.close()

    assert heard == [] and done == []
    with Store(tmp_path) as again:
        assert names(again) == ["after", "before", "small"]
        assert again._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_statement_that_finds_no_room_fails_the_group_too(store):
    """Also where the database would go on: what is full for one is full for all, and the error is NotStored."""
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages}")

    with held(store):
        futures = [store.submit(work) for work in (put("a"), put("large", "x" * 100_000))]
    assert [type(future.exception(LIMIT_S)) for future in futures] == [NotStored] * 2
    store._connection.execute("PRAGMA max_page_count=1000000")

    assert store.submit(put("large", "x" * 100_000)).exception(LIMIT_S) is None
    assert names(store) == ["large"]


def test_a_disk_that_takes_no_writes_is_no_bug(store):
    """A database that became read-only: NotStored, the answer of a disk, and not the error of a statement."""
    with held(store):
        futures = [store.submit(work) for work in (lambda tx: tx.execute("PRAGMA query_only=ON"), put("a"))]
    assert [type(future.exception(LIMIT_S)) for future in futures] == [NotStored] * 2
    store._connection.execute("PRAGMA query_only=OFF")

    assert store.submit(put("a")).exception(LIMIT_S) is None


@posix_only
def test_file_size_limits_at_random_points(tmp_path):
    """Whatever the write was that did not fit: what was acknowledged is there, nothing else, and the next one works."""
    import random

    chance = random.Random(3)
    store, acknowledged, refused = Store(tmp_path), [], 0
    for number in range(120):
        name = f"{number:04}"
        size = (tmp_path / "record.db-wal").stat().st_size if (tmp_path / "record.db-wal").exists() else 0
        with largest_file(max(8192, size + chance.randrange(0, 60_000))):
            error = store.submit(put(name, "v" * chance.randrange(0, 80_000))).exception(LIMIT_S)
        assert error is None or isinstance(error, NotStored), error
        if error is None:
            acknowledged.append(name)
        refused += error is not None
    store.close()

    assert refused > 10 and len(acknowledged) > 10
    with Store(tmp_path) as again:
        assert names(again) == acknowledged
        assert again._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_log_of_the_database_does_not_grow_for_ever(tmp_path):
    """It is copied by the writer after the answers, and begins anew; a reader in between does no harm."""
    with Store(tmp_path) as store:
        sizes = []
        for number in range(60):
            with store.read() as reader:
                reader.rows("SELECT count(*) FROM setting")
            store.submit(put(str(number), "x" * 300_000)).result(LIMIT_S)
            sizes.append(store._log_bytes())

    assert max(sizes) < CHECKPOINT_BYTES + 1_500_000
    assert sum(later < size for size, later in itertools.pairwise(sizes)) >= 3


# What runs when the server dies


def test_what_ran_when_the_server_died_is_lost_and_says_so(tmp_path):
    """A job with an open attempt is an error with the code LOST; what waits still waits; what clients run is theirs."""
    with Store(tmp_path, now=Clock(100.0)) as store:
        running = store.submit(lambda tx: (submit(tx), changes.claim(tx, 60))[1]).result(LIMIT_S)
        waiting = store.submit(submit).result(LIMIT_S)
        theirs = store.submit(lambda tx: changes.change(tx, submit(tx), "processing")).result(LIMIT_S)
        assert store.lost == []

    for start in range(2):
        with Store(tmp_path, now=Clock(200.0)) as store, store.read() as reader:
            assert [one.job_id for one in store.lost] == ([running.attempt.job_id] if start == 0 else [])
            lost = records.job_of(reader, running.attempt.job_id)
            assert (lost.status, lost.updated_at) == ("error", 200.0)
            assert lost.errors_json == '["LOST: the server ended while the job was running"]'
            events = records.events_after(reader, 0, job_number=lost.job_number)
            assert [event.kind for event in events] == ["submitted", "started", "lost"]
            assert events[-1].data["status"] == "error" and events[-1].data["error"]["code"] == "LOST"
            (attempt,) = records.attempts_of(reader, lost.job_number)
            assert (attempt.outcome, attempt.ended_at) == ("lost", 200.0)
            assert records.job_of(reader, waiting.job_id).status == "queued"
            assert records.job_of(reader, theirs.job_id).status == "processing"
