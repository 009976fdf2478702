"""What local mode leaves on disk: the documented layout, on every kind of system."""

from __future__ import annotations

import functools
import gc
import io
import os
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from seekapi._backends import local_files
from seekapi._backends.local_files import Folder
from seekapi._protocol.messages import FileSegment
from seekapi._redaction import Secret
from seekapi.errors import ArgumentError, LocalWriteError, SerializationError, TransportTimeout


def _without_hard_links(*args, **kwargs):
    raise PermissionError(1, "Operation not permitted")


@pytest.fixture(params=["as it is", "fsync", "no nameless files", "no hard links", "no open folders"])
def somewhere(request, local_with, monkeypatch):
    """Local mode on this system, and as it works where the system offers less."""
    if request.param in ("no nameless files", "no hard links", "no open folders"):
        monkeypatch.setattr(local_files, "_NAMELESS", 0)
    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", _without_hard_links)
    if request.param == "no open folders":
        monkeypatch.setattr(local_files, "_HAS_FOLDER_FDS", False)
    return local_with(fsync=os.fsync if request.param == "fsync" else None)


def test_a_push_is_a_row_and_the_response(somewhere):
    """data_pushes.jsonl keeps every push in order, response_json.json the last one, readable."""
    assert somewhere.push({"b": 1, "a": "é"}) == {"ok": True}
    assert somewhere.push([None, "日本", 1.5]) == {"ok": True}

    rows = somewhere.rows("data_pushes.jsonl")
    assert [list(row) for row in rows] == [["pushed_at", "job_uuid", "execution_token", "type", "data"]] * 2
    assert [row["data"] for row in rows] == [{"b": 1, "a": "é"}, [None, "日本", 1.5]]
    assert {(row["job_uuid"], row["execution_token"], row["type"]) for row in rows} == {("j1", "tok", "json")}
    response = (somewhere.job() / "response_json.json").read_text(encoding="utf-8")
    assert response == '[\n  null,\n  "日本",\n  1.5\n]'
    assert '"a": "é"}}\n' in (somewhere.job() / "data_pushes.jsonl").read_text(encoding="utf-8")


def test_a_pushed_file_is_stored_and_has_a_row(somewhere):
    """files/ holds the bytes and nothing else; the row says under which name."""
    assert somewhere.file("dir/hello.txt", b"hello") == {"ok": True}

    assert os.listdir(somewhere.job() / "files") == ["hello.txt"]
    assert somewhere.stored() == {"hello.txt": b"hello"}
    (row,) = somewhere.rows("file_pushes.jsonl")
    assert row.pop("pushed_at").endswith("Z")
    assert list(row.items()) == [
        ("job_uuid", "j1"),
        ("execution_token", "tok"),
        ("name", "dir/hello.txt"),
        ("stored_name", "hello.txt"),
        ("stored_path", str(somewhere.job() / "files" / "hello.txt")),
        ("content_type", "text/plain"),
        ("size_bytes", 5),
    ]


def test_a_name_that_is_taken_gets_a_number(somewhere):
    """The same name again and again is a file of its own each time."""
    for content in (b"1", b"2", b"3", b"4", b"5"):
        somewhere.file("p.txt", content)

    assert somewhere.stored() == {
        "p.txt": b"1",
        "p-2.txt": b"2",
        "p-3.txt": b"3",
        "p-4.txt": b"4",
        "p-5.txt": b"5",
    }


def test_files_of_any_size_arrive_whole(somewhere, tmp_path):
    """Small ones, large ones, empty ones, from memory and from disk."""
    large = os.urandom(3_000_001)
    (tmp_path / "large.bin").write_bytes(large)

    somewhere.file("empty", b"")
    somewhere.file("memory", large)
    somewhere.file("disk", tmp_path / "large.bin")

    assert somewhere.stored() == {"disk": large, "empty": b"", "memory": large}
    assert [row["size_bytes"] for row in somewhere.rows("file_pushes.jsonl")] == [0, len(large), len(large)]


def test_nothing_is_left_over(somewhere):
    """Neither temporary files, nor descriptors."""
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

    for number in range(3):
        somewhere.push(number)
        somewhere.file("a.txt", b"a")
        somewhere.charge(f"k{number}")

    gc.collect()
    # Fewer, if a thread of an earlier test has closed something meanwhile.
    assert before >= (len(os.listdir("/proc/self/fd")) if before else 0)
    assert set(os.listdir(somewhere.job())) == {
        "data_pushes.jsonl",
        "response_json.json",
        "file_pushes.jsonl",
        "files",
        "charges.jsonl",
        ".charged",
    }


def test_names_that_differ_in_case_only_are_kept_apart(somewhere):
    """So that the folder can be copied to a file system that ignores case."""
    for content, name in enumerate(["a.txt", "A.txt", "A.TXT", "a.txt", "B.txt", "b.txt"]):
        somewhere.file(name, b"%d" % content)

    assert {name.lower(): content for name, content in somewhere.stored().items()} == {
        "a.txt": b"0",
        "a-2.txt": b"1",
        "a-3.txt": b"2",
        "a-4.txt": b"3",
        "b.txt": b"4",
        "b-2.txt": b"5",
    }


def test_folders_and_files_are_for_this_user_only(local, tmp_path):
    """Every row holds the execution token: 0700 and 0600, whatever the umask allows."""
    old_umask = os.umask(0)
    try:
        local.push(1)
        local.push(2)
        local.file("F.txt", b"x")
        local.charge("k")
    finally:
        os.umask(old_umask)

    for path in [local.base, *local.base.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_what_1_0_left_open_to_all_is_closed_before_a_token_is_added(local):
    """1.0 made its rows and folders with the modes of the umask; rights that we do not need stay away."""
    names = ("data_pushes.jsonl", "file_pushes.jsonl", "charges.jsonl")
    local.job().mkdir(parents=True)
    for name in names:
        (local.job() / name).touch()
        (local.job() / name).chmod(0o664)
    local.job().chmod(0o755)

    local.push(1)
    local.file("f.txt", b"x")
    local.charge("k")

    assert stat.S_IMODE(local.job().stat().st_mode) == 0o700
    assert {stat.S_IMODE((local.job() / name).stat().st_mode) for name in names} == {0o600}


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give a file away")
def test_the_mode_of_what_belongs_to_somebody_else_is_left_alone(local):
    """A shared folder is its owner's arrangement."""
    local.push(1)
    for path, mode in ((local.job() / "data_pushes.jsonl", 0o664), (local.job(), 0o775)):
        os.chown(path, 65534, -1)
        path.chmod(mode)

    local.push(2)

    assert stat.S_IMODE((local.job() / "data_pushes.jsonl").stat().st_mode) == 0o664
    assert stat.S_IMODE(local.job().stat().st_mode) == 0o775


def test_data_that_has_no_json_form_touches_no_disk(local):
    """NaN, bytes and circles are refused before the first byte is written."""
    circle: list = []
    circle.append(circle)

    for data in (float("nan"), object(), circle, b"bytes"):
        with pytest.raises(SerializationError):
            local.backend.push_data(
                {"job_uuid": "j1", "execution_token": "t"}, data, "json", text="", idempotency_key="", deadline=1e12
            )

    assert not local.base.exists()


def test_a_lone_surrogate_is_kept_as_an_escape(local):
    """It has no UTF-8 form, and a push must not fail for it."""
    local.push({"name": "\ud800é"})
    local.file("\ud800.txt", b"x")

    assert local.rows("data_pushes.jsonl")[0]["data"] == local.response() == {"name": "\ud800é"}
    assert local.rows("file_pushes.jsonl")[0]["name"] == "\ud800.txt"


def test_a_secret_token_is_written_as_it_is(local):
    """The documented field stays the token, also when it prints as ***."""
    context = {"job_uuid": "j1", "execution_token": Secret("tok-1")}
    local.backend.push_data(context, 1, "json", text="1", idempotency_key="", deadline=1e12)

    assert local.rows("data_pushes.jsonl")[0]["execution_token"] == "tok-1"


@pytest.mark.parametrize(
    "nanoseconds, text",
    [
        (1_795_359_888_218_214_000, "2026-11-22T15:04:48.218214Z"),
        (1_795_359_888_000_000_999, "2026-11-22T15:04:48Z"),
        (0, "1970-01-01T00:00:00Z"),
    ],
)
def test_times_are_utc_with_microseconds(local_with, nanoseconds, text):
    """As datetime.isoformat() has it, with Z: no fraction when it is zero."""
    local = local_with(wall_clock_ns=lambda: nanoseconds)

    local.push(1)

    assert local.rows("data_pushes.jsonl")[0]["pushed_at"] == text


def test_after_the_deadline_nothing_is_begun(local):
    """Zero left means fail at once."""
    for call in (lambda: local.push(1, timeout_s=0), lambda: local.file("a", b"x", timeout_s=0)):
        with pytest.raises(TransportTimeout):
            call()

    assert not local.base.exists()


class Endless(io.RawIOBase):
    """Zeros without a descriptor."""

    def read(self, count=-1):
        return bytes(count)


@pytest.mark.parametrize("in_kernel", [True, False])
def test_a_copy_stops_at_the_deadline(local_with, in_kernel):
    """Time is looked at between pieces, and what was copied by then goes."""
    endless = functools.partial(open, "/dev/zero", "rb") if in_kernel else Endless
    now_s = iter([0.0] + [float(n) for n in range(100)])
    local = local_with(clock=lambda: next(now_s))

    with pytest.raises(TransportTimeout):
        local.backend.push_file(
            {"job_uuid": "j1", "execution_token": "t"},
            "a",
            FileSegment(endless, 10**8),
            "x/y",
            idempotency_key="",
            deadline=5.0,
        )

    assert local.tree() == {"j1": "folder", "j1/files": "folder"}


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
def test_a_lock_that_another_process_keeps_ends_the_call_at_its_deadline(local_with):
    """A stopped process must not hang this one."""
    import fcntl

    now_s = [0.0]
    local = local_with(clock=lambda: now_s[0], sleep=lambda seconds: now_s.__setitem__(0, now_s[0] + seconds))
    local.base.joinpath("j1").mkdir(parents=True)
    with open(local.job() / "data_pushes.jsonl", "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        with pytest.raises(TransportTimeout):
            local.backend.push_data(
                {"job_uuid": "j1", "execution_token": "t"}, 1, "json", text="1", idempotency_key="", deadline=8.0
            )

    assert 8.0 <= now_s[0] < 8.1
    assert os.listdir(local.job()) == ["data_pushes.jsonl"]


def test_memory_does_not_grow_with_the_file(local, tmp_path):
    """A large file is copied in the kernel, or in pieces."""
    (tmp_path / "large").write_bytes(bytes(40_000_000))
    with open(tmp_path / "large", "rb") as file:
        unseen = FileSegment(lambda: NotAFile(file), 40_000_000)
        context = {"job_uuid": "j1", "execution_token": "t"}
        tracemalloc.start()
        local.file("a", tmp_path / "large")
        local.backend.push_file(context, "b", unseen, "x/y", idempotency_key="", deadline=1e12)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak_bytes < 2_000_000
    assert [len(content) for content in local.stored().values()] == [40_000_000, 40_000_000]


class NotAFile:
    """Something with read() whose descriptor does not show."""

    def __init__(self, file) -> None:
        self.read = file.read

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


@pytest.mark.parametrize("by", [-1, 1, 400_000, -400_000])
def test_a_file_that_changes_while_it_is_pushed_is_refused(local, tmp_path, by):
    """Shorter or longer than it was: nothing is stored, and the error says why."""
    (tmp_path / "f").write_bytes(bytes(500_000))

    with pytest.raises(OSError, match="changed while it was pushed as 'f'"):
        local.file("f", tmp_path / "f", size=500_000 - by)

    assert local.stored() == {}
    assert local.rows("file_pushes.jsonl") == []


def test_a_missing_source_is_the_callers_file_not_found(local, tmp_path):
    """FileNotFoundError, as documented, and nothing on disk."""
    missing = FileSegment(functools.partial(open, tmp_path / "no", "rb"), 1)

    with pytest.raises(FileNotFoundError, match="no"):
        local.backend.push_file({"job_uuid": "j1"}, "a", missing, "x/y", idempotency_key="", deadline=1e12)

    assert not local.base.exists()


@pytest.mark.parametrize("job", ["", ".", ".."])
def test_ids_that_lead_out_of_the_folder_are_refused(local, job):
    """`..` is above the base, `.` the base itself."""
    with pytest.raises(ArgumentError, match="job_uuid"):
        local.push(1, job=job)

    assert not local.base.exists()


def test_ids_that_look_alike_have_folders_of_their_own(local):
    """Each job reads back what it pushed, on disk too."""
    ids = ["j_1", "j:1", "j*1", "j/1", "j 1", "j\\1", "é", "你", "../j_1", "j_1~0", "J_1", "a" * 300, "a" * 301, "con"]

    for job in ids:
        local.push(job, job=job)

    pushed = {rows[0]["data"] for rows in (local.rows("data_pushes.jsonl", name) for name in os.listdir(local.base))}
    assert pushed == set(ids)
    assert len(os.listdir(local.base)) == len(ids)
    assert {"j_1", "J_1"} <= set(os.listdir(local.base))


def spelled(folder: str, name: str) -> str:
    """The name as it is on disk, for one that may have other capitals."""
    found = os.listdir(folder) if os.path.isdir(folder) else []
    return next((other for other in found if other.lower() == name.lower()), name)


class CaseBlindFolder(Folder):
    """A folder of a file system that ignores case: a name finds whatever is spelled like it."""

    @classmethod
    def at(cls, base, name="", *, make=False):
        found = super().at(base, spelled(base, name) if name else "", make=make)
        found.path = os.path.join(base, name) if name else base
        return found

    def _at(self, name):
        return spelled(self.path, name)


def test_ids_that_differ_in_case_only_do_not_meet_where_case_is_ignored(local, monkeypatch):
    """The first keeps its plain name; the second one moves out, and stays there."""
    monkeypatch.setattr("seekapi._backends.local.Folder", CaseBlindFolder)
    monkeypatch.setattr(local_files, "_is_same", lambda one, other: one.lower() == other.lower())

    for job in ("Job1", "job1", "JOB1", "Job1", "job1"):
        local.push(job, job=job)

    names = sorted(os.listdir(local.base))
    assert [name.partition("~")[0] for name in names] == ["JOB1", "Job1", "job1"]
    assert "Job1" in names
    for name in names:
        assert len({row["data"] for row in local.rows("data_pushes.jsonl", name)}) == 1


def test_one_push_does_not_load_ctypes():
    """The swap is for those who push again and again; a worker's only push does not pay for finding it."""
    program = (
        "import sys, tempfile\n"
        "from seekapi._settings import Settings\n"
        "from seekapi._backends.local import LocalBackend\n"
        "local = LocalBackend(Settings(local_mode=True, local_dir=tempfile.mkdtemp()))\n"
        "context = {'job_uuid': 'j', 'execution_token': 't'}\n"
        "local.push_data(context, 1, 'json', text='1', idempotency_key='', deadline=1e12)\n"
        "print('ctypes' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "False\n"


def test_what_is_handed_to_fsync_comes_before_what_it_protects(local_with):
    """The temporary file before its move, the row before the answer, the folder last."""
    seen: list[str] = []

    def fsync(fd: int) -> None:
        seen.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")).partition(" ")[0])
        os.fsync(fd)

    local = local_with(fsync=fsync)
    local.push(1)
    assert seen == [".response_json.json.tmp", "data_pushes.jsonl", "j1"]
    seen.clear()

    local.file("a.txt", b"a")
    assert seen[1:] == ["files", "file_pushes.jsonl", "j1"]


def test_informing_the_platform_is_nothing_here(local):
    """The logs are on this machine already."""
    local.backend.register_request_id({}, "r", deadline=0)
    local.backend.begin_registration({}, "r", deadline=0)
    local.backend.settle()

    assert not local.base.exists()


def test_a_relative_folder_is_the_one_of_the_start(tmp_path, monkeypatch, local_with):
    """A handler that goes to another folder takes its results and its fixtures along to none; rows keep the path."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "fixtures.json").write_text('{"charge": {"limit_reached": true}}')
    monkeypatch.chdir(tmp_path)
    local = local_with(Path("out"), fixtures="fixtures.json")
    local.push("first")

    monkeypatch.chdir("elsewhere")
    local.push("second")
    local.file("a.txt", b"a")

    assert local.charge("k") == {"limit_reached": True}
    assert os.listdir() == []
    monkeypatch.chdir(tmp_path)
    assert [row["data"] for row in local.rows("data_pushes.jsonl")] == ["first", "second"]
    assert local.stored() == {"a.txt": b"a"}
    assert local.rows("file_pushes.jsonl")[0]["stored_path"] == os.path.join("out", "j1", "files", "a.txt")


def test_a_folder_that_is_gone_is_no_start(tmp_path, monkeypatch, local_with):
    """A relative folder then leads nowhere; the push says so."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    with pytest.raises(LocalWriteError):
        local_with(Path("out")).push(1)
