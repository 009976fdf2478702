"""What may be given to push_file, and that it can be read twice."""

from __future__ import annotations

import io
import mmap
import os
import pathlib
import socket
from functools import partial

import pytest

from seekapi import ArgumentError
from seekapi._worker import sources


def read(segment) -> bytes:
    with segment.open() as file:
        return file.read()


@pytest.fixture
def path(tmp_path):
    target = tmp_path / "a.txt"
    target.write_bytes(b"0123456789")
    return target


@pytest.mark.parametrize("kind", [str, lambda p: p, lambda p: p.read_bytes(), lambda p: bytearray(p.read_bytes())])
def test_paths_and_bytes_are_read_anew_for_every_attempt(path, kind):
    """A retry sends the same bytes."""
    segment = sources.open_source(kind(path))

    assert segment.size_bytes == 10
    assert read(segment) == read(segment) == b"0123456789"


def test_an_open_file_is_sent_from_where_it_stands_and_left_there(path):
    """It is the caller's: not closed, not moved."""
    with path.open("rb") as file:
        file.seek(4)
        segment = sources.open_source(file)

        assert segment.size_bytes == 6
        assert read(segment) == read(segment) == b"456789"
        assert (file.tell(), file.closed) == (4, False)


def test_a_stream_in_memory_will_do():
    """A report that never was a file."""
    assert read(sources.open_source(io.BytesIO(b"abc"))) == b"abc"


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    """The builtin one, before any request."""
    with pytest.raises(FileNotFoundError):
        sources.open_source(str(tmp_path / "missing"))


@pytest.mark.parametrize("make", ["fifo", "folder", "socket", "device"])
def test_only_regular_files_are_taken(tmp_path, monkeypatch, make):
    """A pipe without a writer must not hang the job."""
    target = tmp_path / "x"
    listener = socket.socket(socket.AF_UNIX)
    if make == "fifo":
        os.mkfifo(target)
    elif make == "folder":
        target.mkdir()
    elif make == "socket":
        monkeypatch.chdir(tmp_path)  # the path of a socket is short
        listener.bind("x")
    path = "/dev/zero" if make == "device" else str(target)

    try:
        with pytest.raises((ArgumentError, OSError)):
            sources.open_source(path)
    finally:
        listener.close()


@pytest.mark.parametrize("file", [io.StringIO("text"), 5, None, [b"x"]])
def test_what_is_no_file_is_refused(file):
    """A typed error that says what is expected."""
    with pytest.raises(ArgumentError, match="push_file"):
        sources.open_source(file)


def test_a_stream_that_cannot_be_read_twice_is_refused():
    """What cannot be sent again cannot be retried."""
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe, open(writer, "wb"), pytest.raises(ArgumentError, match="seekable"):
        sources.open_source(pipe)


def test_the_digest_follows_the_content(path):
    """Equal content, equal key; for large files size and time of change stand for it."""
    same, other = sources.open_source(b"0123456789"), sources.open_source(b"012345678x")

    assert sources.content_digest(sources.open_source(path)) == sources.content_digest(same)
    assert sources.content_digest(same) != sources.content_digest(other)


def test_a_large_file_is_known_by_its_inode(tmp_path):
    """A gigabyte would be read twice. Two files differ even if their sizes and times are equal."""
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        with path.open("wb") as file:
            file.truncate(sources.LARGEST_DIGESTED_BYTES + 1)
        os.utime(path, ns=(1, 1))
    digest = sources.content_digest(sources.open_source(first))

    assert digest == sources.content_digest(sources.open_source(first))
    assert digest != sources.content_digest(sources.open_source(second))


def test_a_large_stream_is_read_for_its_digest():
    """It has no inode to be known by; a size alone would take one content for another."""
    size = sources.LARGEST_DIGESTED_BYTES + 1
    streams = [io.BytesIO(fill * size) for fill in (b"a", b"b")]

    first, second = (sources.content_digest(sources.open_source(stream)) for stream in streams)

    assert first != second


class Path(os.PathLike):
    def __init__(self, path: object) -> None:
        self.path = path

    def __fspath__(self):
        return self.path


def test_a_path_may_be_of_bytes(path):
    """As os.scandir(b".") gives them."""
    (entry,) = os.scandir(os.fsencode(path.parent))

    assert sources.path_of(entry) == str(path)
    assert read(sources.open_source(entry)) == read(sources.open_source(Path(str(path)))) == b"0123456789"


@pytest.mark.parametrize("file", ["a\0b", pathlib.Path("a\0b"), "\ud800", Path(5), Path("\ud800"), Path(b"a\0b")])
def test_what_can_be_no_path_is_refused(file):
    """A typed error, and not whatever the system's layer below stumbles on."""
    with pytest.raises(ArgumentError, match="push_file"):
        sources.open_source(file)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_a_file_that_is_made_up_while_it_is_read_is_refused():
    """Its size is 0, and so many bytes would be sent."""
    with pytest.raises(ArgumentError, match="no size, and is not empty"):
        sources.open_source("/proc/self/status")
    segment = sources.FileSegment(partial(open, "/proc/self/status", "rb"), 0)

    with pytest.raises(ArgumentError, match=r"had 0 bytes, and [0-9]+ were read"):
        sources.content_digest(segment)


def test_a_memory_map_will_do(path):
    """Its seek() says nothing on old Pythons."""

    class Silent(io.BytesIO):
        def seek(self, *place):
            super().seek(*place)

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert read(sources.open_source(mapped)) == b"0123456789"
    assert read(sources.open_source(Silent(b"abc"))) == b"abc"


@pytest.mark.parametrize("chunk", [None, "text", 5, b"x" * 1_000_000, memoryview(b"ab").cast("h")])
def test_a_file_whose_read_is_none_is_refused(chunk):
    """Whatever its read() returns, it is bytes, or a typed error, before any request."""

    class Odd(io.BytesIO):
        def read(self, size=-1):
            value, self.value = self.value, b""
            return value

        value = chunk

    segment = sources.open_source(Odd(b"x"))

    with pytest.raises(ArgumentError, match="push_file"):
        sources.content_digest(segment)


class Positions(io.BytesIO):
    """Says of itself where it stands."""

    def __init__(self, position: object) -> None:
        super().__init__(b"abc")
        self.position = position

    def tell(self):
        return self.position


@pytest.mark.parametrize("position", [None, "0", -1, 1.5])
def test_a_file_that_does_not_know_where_it_stands_is_refused(position):
    """It could not be put back there."""
    with pytest.raises(ArgumentError, match="seekable"):
        sources.open_source(Positions(position))


def test_a_file_that_was_not_rewound_is_told_of(caplog):
    """Written, and handed over as it stands: nothing is sent, as documented, which nobody wants."""
    stream, empty = io.BytesIO(), io.BytesIO()
    stream.write(b"report")

    with caplog.at_level("WARNING", "seekapi"):
        assert sources.open_source(stream).size_bytes == 0
        stream.seek(100)
        assert sources.open_source(stream).size_bytes == 0
        assert sources.open_source(empty).size_bytes == 0

    assert [("none of its 6 bytes" in line) for line in caplog.messages] == [True, True]
