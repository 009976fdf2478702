"""Disks that are full, limited, read-only, or hold something else where ours should be: all with real faults.

200 points of file-size limits and of a full disk instead of 40: SEEKAPI_LONG=1. The full disk needs a mount
namespace (`unshare`), which Linux gives to most users; elsewhere that test is skipped.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from seekapi._backends.local_rows import read_rows
from seekapi.errors import LocalWriteError

POINTS = 200 if os.environ.get("SEEKAPI_LONG") else 40
ROOT_UID = 0
NOBODY_UID = 65534

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and links")


@contextlib.contextmanager
def file_size_limit(size_bytes: int):
    """No file may grow beyond `size_bytes`: what lies beyond is EFBIG."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def ordinary_user():
    """Permissions count: whoever is root here is nobody for a while."""
    if os.geteuid() != ROOT_UID:
        yield
        return
    os.seteuid(NOBODY_UID)
    try:
        yield
    finally:
        os.seteuid(ROOT_UID)


@pytest.fixture
def open_folder():
    """A folder that every user can reach (pytest's own are for one user only)."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@posix_only
def test_a_push_over_the_file_size_limit_leaves_what_was_there(local, tmp_path):
    """At any limit: typed, nothing partial, nothing lost, and the next push works."""
    chance = random.Random(5)
    (tmp_path / "large").write_bytes(os.urandom(400_000))
    (tmp_path / "small").write_bytes(os.urandom(3_000))
    refused = {"data": 0, "file": 0, "charge": 0}
    acknowledged = 0
    local.charge("the first one makes the folder of marks")
    for point in range(POINTS):
        local.push({"n": point})
        before = local.tree()
        operation = chance.choice(list(refused))
        size = chance.choice([100, 20_000, 300_000])
        try:
            with file_size_limit(chance.randrange(0, 300_000)):
                if operation == "data":
                    local.push({"pad": "é" * size})
                elif operation == "file":
                    local.file("f.bin", tmp_path / chance.choice(["large", "small"]))
                else:
                    local.charge(f"k{point}", justification={"pad": "x" * size})
        except LocalWriteError as error:
            assert error.errno == errno.EFBIG
            assert "file-size limit" in str(error) and "SEEKAPI_LOCAL_DIR" in str(error)
            refused[operation] += 1
            assert local.tree() == before
        else:
            acknowledged += operation == "data"

        local.push({"n": point})
        assert local.rows("data_pushes.jsonl")[-1]["data"] == local.response() == {"n": point}

    assert len(local.rows("data_pushes.jsonl")) == 2 * POINTS + acknowledged
    assert all(refused.values()), refused


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare (Linux)")
def test_a_full_disk_leaves_what_was_there(tmp_path):
    """A disk of 512 KiB that is full at every kind of moment, and then read-only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    inside = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*inside, "mount", "-t", "tmpfs", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("this user gets no mount namespace here")

    child = [sys.executable, str(Path(__file__).parent / "crash" / "full_disk.py"), str(disk), str(POINTS)]
    done = subprocess.run([*inside, *child], capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["broken"] == []
    assert report["full"] >= POINTS // 4
    assert "read-only" in report["read_only"] and "SEEKAPI_LOCAL_DIR" in report["read_only"]


@posix_only
def test_a_folder_that_may_not_be_written_is_named(local_with, open_folder):
    """The error names the variable, and is an OSError as in 1.0."""
    local = local_with(open_folder / "out")
    open_folder.chmod(0o555)

    with ordinary_user(), pytest.raises(LocalWriteError, match=r"may not write there.*SEEKAPI_LOCAL_DIR") as caught:
        local.push(1)
    assert isinstance(caught.value, OSError) and caught.value.errno == errno.EACCES
    assert caught.value.__context__ is None


@posix_only
def test_a_job_folder_that_became_read_only_keeps_its_state(local_with, open_folder):
    """A response that cannot be replaced takes its row with it."""
    open_folder.chmod(0o777)
    with ordinary_user():
        local = local_with(open_folder / "out")
        local.push("before")
        local.job().chmod(0o500)
        before = local.tree()

        with pytest.raises(LocalWriteError, match="may not write there"):
            local.push("after")
        with pytest.raises(LocalWriteError, match="may not write there"):
            local.charge("k")
        assert local.tree() == before

        local.job().chmod(0o700)
        local.push("after")
        assert local.response() == "after"


@pytest.mark.parametrize("level", ["base", "job", "above"])
def test_a_file_where_a_folder_should_be_is_named(local_with, tmp_path, level):
    """The file stays as it is, and the error says what to do."""
    in_the_way = tmp_path / "in-the-way"
    local = local_with(in_the_way / "out" if level == "above" else in_the_way)
    if level == "job":
        in_the_way.mkdir()
        in_the_way = local.job()
    in_the_way.write_text("mine")

    for call in (lambda: local.push(1), lambda: local.file("a", b"x"), lambda: local.charge("k")):
        with pytest.raises(LocalWriteError, match=r"is where a folder .*SEEKAPI_LOCAL_DIR"):
            call()
    assert in_the_way.read_text() == "mine"


def test_files_being_a_file_stops_push_file_alone(local):
    """Nothing of the pushed file remains; data is still kept."""
    local.push(1)
    (local.job() / "files").rmdir()
    (local.job() / "files").write_text("mine")
    before = local.tree()

    with pytest.raises(LocalWriteError, match="where a folder should be"):
        local.file("a.txt", b"x")

    assert local.tree() == before
    local.push(2)


def test_a_folder_in_the_place_of_the_response_takes_the_row_back(local):
    """The row goes again: a push is both, or neither."""
    local.push(1)
    (local.job() / "response_json.json").unlink()
    (local.job() / "response_json.json").mkdir()
    before = local.tree()

    with pytest.raises(LocalWriteError, match="a folder is where a file should be"):
        local.push(2)

    assert local.tree() == before


@pytest.mark.parametrize("name", ["data_pushes.jsonl", "file_pushes.jsonl", "charges.jsonl"])
@pytest.mark.parametrize("kind", ["folder", "link", "dangling link", "fifo"])
@posix_only
def test_something_else_in_the_place_of_a_row_file_is_refused(local, tmp_path, name, kind):
    """No link is followed, no FIFO hangs, nothing is half done."""
    target = tmp_path / "target"
    local.job().mkdir(parents=True)
    in_the_way = local.job() / name
    if kind == "folder":
        in_the_way.mkdir()
    elif kind == "fifo":
        os.mkfifo(in_the_way)
    else:
        in_the_way.symlink_to(target)
    if kind == "link":
        target.write_text("mine")

    with pytest.raises(LocalWriteError, match="SEEKAPI_LOCAL_DIR"):
        {"d": lambda: local.push(1), "f": lambda: local.file("a", b"x"), "c": lambda: local.charge("k")}[name[0]]()

    assert target.exists() == (kind == "link")
    assert not target.exists() or target.read_text() == "mine"
    assert not any((local.job() / "files").glob("*"))
    assert not (local.job() / "response_json.json").exists()


@posix_only
def test_a_link_in_the_place_of_the_response_is_replaced_and_not_followed(local, tmp_path):
    """What it led to stays as it is; so does what the temporary name led to."""
    local.push(1)
    for name in ("response_json.json", ".response_json.json.tmp"):
        target = tmp_path / f"target-{name}"
        target.write_text("mine")
        (local.job() / name).unlink(missing_ok=True)
        (local.job() / name).symlink_to(target)

    local.push(2)

    assert local.response() == 2
    assert not (local.job() / "response_json.json").is_symlink()
    assert {path.read_text() for path in tmp_path.glob("target-*")} == {"mine"}


@posix_only
def test_links_in_the_folder_of_files_are_neither_followed_nor_overwritten(local, tmp_path):
    """A dangling one counts as taken."""
    local.push(1)
    (local.job() / "files" / "a.txt").symlink_to(tmp_path / "outside")
    (local.job() / "files" / "a-2.txt").symlink_to(tmp_path)

    local.file("a.txt", b"x")

    assert (local.job() / "files" / "a-3.txt").read_bytes() == b"x"
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("name", ["files", ".charged", ".folded"])
@posix_only
def test_a_link_in_the_place_of_a_folder_of_ours_is_refused(local, tmp_path, name):
    """It could lead anywhere."""
    (tmp_path / "elsewhere").mkdir()
    local.push(1)
    shutil.rmtree(local.job() / name, ignore_errors=True)
    (local.job() / name).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(LocalWriteError, match="symbolic link"):
        local.charge("k") if name == ".charged" else local.file("A.txt", b"x")

    assert os.listdir(tmp_path / "elsewhere") == []


@posix_only
def test_a_job_folder_may_be_a_link_only_to_a_folder_below_the_base(local, tmp_path):
    """Inside it is the user's arrangement, outside it is an escape."""
    (tmp_path / "outside").mkdir()
    local.push(1, job="real")
    (local.base / "deep" / "er").mkdir(parents=True)
    for job, target in {
        "inside": "real",
        "deeper": "deep/er",
        "outside": str(tmp_path / "outside"),
        "above": "..",
        "base": ".",
        "dangling": "nothing",
        "circle": "circle",
        "twin": str(tmp_path / "out-twin"),
    }.items():
        (local.base / job).symlink_to(target)
    (tmp_path / "out-twin").mkdir()

    local.push(2, job="inside")
    local.push(3, job="deeper")
    for job in ("outside", "above", "base", "dangling", "circle", "twin"):
        with pytest.raises(LocalWriteError):
            local.push(4, job=job)

    assert [row["data"] for row in local.rows("data_pushes.jsonl", "real")] == [1, 2]
    assert (local.base / "deep" / "er" / "response_json.json").read_text() == "3"
    assert os.listdir(tmp_path / "outside") == os.listdir(tmp_path / "out-twin") == []
    assert set(os.listdir(tmp_path)) == {"out", "outside", "out-twin"}


@posix_only
def test_the_base_itself_may_be_a_link(local_with, tmp_path):
    """SEEKAPI_LOCAL_DIR is the user's own word."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    local_with(tmp_path / "link").push(1)

    assert (tmp_path / "real" / "j1" / "response_json.json").exists()


@pytest.mark.parametrize(
    "tail, kept_lines",
    [
        (b'{"pushed_at": "2026', 1),
        (b"\0\0\0\0", 1),
        (b"x" * 200_000, 1),
        ('{"data": "é'.encode()[:-1], 1),
        (b"[1]", 1),
        (b'{"data": "whole, only its newline is missing"}', 2),
    ],
)
def test_a_torn_tail_is_mended_before_the_next_row(local, tail, kept_lines):
    """What a killed writer left was never acknowledged: it goes, unless it is a whole row."""
    local.push("first")
    with open(local.job() / "data_pushes.jsonl", "ab") as file:
        file.write(tail)
    torn_rows, torn_count = read_rows(str(local.job() / "data_pushes.jsonl"))

    local.push("next")

    rows = local.rows("data_pushes.jsonl")
    assert len(rows) == kept_lines + 1
    assert (rows[0]["data"], rows[-1]["data"]) == ("first", "next")
    assert (len(torn_rows), torn_count) == (1, 1)


def test_a_file_that_is_nothing_but_a_torn_row_starts_anew(local):
    """The very first row can be the torn one."""
    local.job().mkdir(parents=True)
    (local.job() / "data_pushes.jsonl").write_bytes(b'{"pus')

    local.push("next")

    assert [row["data"] for row in local.rows("data_pushes.jsonl")] == ["next"]


def test_readers_skip_and_count_what_is_no_row(tmp_path):
    """Lines that were edited or torn in the middle do not hide the others."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \n\n[]\n\xff\xfe\n{"a": "\xe2\x80\xa8"}\n{"a": NaN}\n{"a": 3}')

    assert read_rows(str(path)) == ([{"a": 1}, {"a": "\u2028"}], 5)
    assert read_rows(str(tmp_path / "none")) == ([], 0)


def test_an_interrupt_in_the_middle_takes_everything_back(local_with):
    """A deadline's signal may strike between any two steps; what was not acknowledged is not there."""

    class Struck(BaseException):
        pass

    strike_at = [0]
    count = [0]

    def strike(fd: int) -> None:
        count[0] += 1
        if count[0] == strike_at[0]:
            raise Struck

    local = local_with(fsync=strike)
    local.push(0)
    local.file("a", b"x")
    local.charge("a")
    operations = ((lambda: local.push(1), 2), (lambda: local.file("a", b"x"), 3), (lambda: local.charge("b"), 1))
    for operation, steps in operations:
        for step in range(1, steps + 1):
            before = local.tree()
            count[0], strike_at[0] = 0, step

            with pytest.raises(Struck):
                operation()

            assert local.tree() == before, (operation, step)


def test_a_file_that_appears_at_the_last_moment_is_not_ours_to_remove(local, monkeypatch):
    """Somebody put it there after the look at what is taken; the push fails, and leaves it as it is."""
    local.file("a.txt", b"theirs")
    before = local.tree()
    monkeypatch.setattr("seekapi._backends.local_files.Folder.has", lambda folder, name: False)

    with pytest.raises(LocalWriteError, match="something else is where"):
        local.file("a.txt", b"ours")

    assert local.tree() == before
