"""Downloads: the whole file under its name, or what was there before."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap

import pytest
from command import environ
from transport.loopback import Peer

from seekapi import ApiError, Client, LocalWriteError, NotFoundError, ProtocolError, TransportError
from seekapi.client import downloads
from seekapi.client.records import JobFile

CONTENT = bytes(range(256)) * 1000


def whole(body: bytes = CONTENT, *fields: str) -> bytes:
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def chunked(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("reply", [whole(), chunked(CONTENT)], ids=["length", "chunks"])
def test_a_file_arrives_as_it_is(serve, tmp_path, reply):
    """Under the name given, with the rights of any new file, and nothing beside it."""
    server = serve(lambda peer: peer.answer_all(reply))
    (tmp_path / "other").touch()

    with Client(server.url) as client:
        path = client.jobs.download("j", "report.csv", tmp_path / "kept.csv")

    assert path == tmp_path / "kept.csv"
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
    assert sorted(os.listdir(tmp_path)) == ["kept.csv", "other"]
    assert server.requests[0][0].startswith(b"GET /jobs/j/files/report.csv ")


@pytest.mark.parametrize(
    "name, kept",
    [
        ("report.csv", "report.csv"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("..", "file"),
        ("a\\b:c", "a_b_c"),
        (".bashrc", "bashrc"),
        ("con.txt", "_con.txt"),
        ("x\x00\x1b\n", "x___"),
        ("é" * 300, "é" * 100),
    ],
)
def test_a_name_cannot_lead_out_of_the_folder(name, kept):
    """A worker may call its file whatever it likes."""
    assert downloads.safe_name(name) == kept


def test_in_a_folder_the_file_gets_a_name_of_its_own(serve, tmp_path):
    """And the request has the name as it is, in one segment."""
    server = serve(lambda peer: peer.answer_all(whole()))
    (tmp_path / "in").mkdir()

    with Client(server.url) as client:
        path = client.jobs.download("j", "../a b", tmp_path / "in")

    assert path == tmp_path / "in" / "_a b"
    assert server.requests[0][0].startswith(b"GET /jobs/j/files/..%2Fa%20b ")


def cut(peer: Peer) -> None:
    peer.read_request()
    peer.send(whole()[:-1000])


def no_length(peer: Peer) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + CONTENT[:1000])


def not_found(peer: Peer) -> None:
    peer.answer_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")


def partial(peer: Peer) -> None:
    peer.answer_all(whole().replace(b"200 OK", b"206 Partial Content", 1))


@pytest.mark.parametrize(
    "script, error",
    [(cut, TransportError), (no_length, ProtocolError), (not_found, NotFoundError), (partial, ApiError)],
    ids=["cut", "no length", "not found", "partial"],
)
def test_what_is_not_the_whole_file_changes_nothing(serve, tmp_path, script, error):
    """What was there stays, and nothing is left beside it."""
    server = serve(script)
    target = tmp_path / "kept.csv"
    target.write_text("before")

    with Client(server.url, timeout=5) as client, pytest.raises(error):
        client.jobs.download("j", "f", target, timeout=5)

    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["kept.csv"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a pipe with a name")
@pytest.mark.parametrize("to", ["pipe", "link", "folder"])
def test_no_device_or_pipe_is_replaced(serve, tmp_path, to):
    """Also behind a link, and in a folder; nothing is asked for."""
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "pipe", tmp_path / "folder" / "f"):
        os.mkfifo(path)
    (tmp_path / "link").symlink_to("pipe")
    server = serve(lambda peer: peer.answer_all(whole()))

    with Client(server.url) as client, pytest.raises(LocalWriteError, match="is no file"):
        client.jobs.download("j", "f", tmp_path / to)

    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "folder" / "f").is_fifo() and (tmp_path / "link").is_symlink()
    assert server.requests == []


def test_a_link_is_followed_but_not_one_in_a_folder(serve, tmp_path):
    """There the name is a worker's: it must not lead out."""
    server = serve(lambda peer: peer.answer_all(whole()))
    (tmp_path / "folder").mkdir()
    for link in (tmp_path / "link", tmp_path / "folder" / "f"):
        link.symlink_to(tmp_path / "kept")

    with Client(server.url) as client:
        client.jobs.download("j", "f", tmp_path / "folder")
        assert not (tmp_path / "kept").exists()
        client.jobs.download("j", "f", tmp_path / "link")

    assert (tmp_path / "link").is_symlink() and (tmp_path / "kept").read_bytes() == CONTENT


def test_a_download_that_was_cut_starts_anew(serve, tmp_path):
    """The second attempt does not add to what the first has left."""
    server = serve(cut, lambda peer: peer.answer_all(whole(CONTENT[:500])))

    with Client(server.url) as client:
        path = client.jobs.download("j", "f", tmp_path / "f")

    assert path.read_bytes() == CONTENT[:500]


@pytest.mark.parametrize(
    "wanted",
    [{"size_bytes": len(CONTENT) - 1}, {"size_bytes": len(CONTENT), "sha256": "0" * 64}],
    ids=["size", "digest"],
)
def test_another_file_than_the_announced_is_refused(serve, tmp_path, wanted):
    """Its size and its digest are those of the list."""
    server = serve(lambda peer: peer.answer_all(whole()))

    with Client(server.url) as client:
        with pytest.raises(ProtocolError, match="announced"):
            client.jobs.download("j", JobFile({"name": "f", **wanted}), tmp_path)
        assert os.listdir(tmp_path) == []
        good = {"name": "f", "size_bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest().upper()}
        assert client.jobs.download("j", JobFile(good), tmp_path).read_bytes() == CONTENT


def test_a_disk_that_takes_nothing_is_no_trouble_of_the_network(serve, tmp_path):
    """It is not asked for again, and nothing is left."""
    server = serve(lambda peer: peer.answer_all(whole()))
    program = f"""
        import resource, signal
        from seekapi import Client, LocalWriteError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            Client({server.url!r}).jobs.download("j", "f", {str(tmp_path / "f")!r})
        except LocalWriteError as error:
            print(error)
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=environ(), capture_output=True, text=True, timeout=60
    )

    assert "cannot be written: File too large" in done.stdout, done.stderr
    assert len(server.requests) == 1
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there_is_said(serve, tmp_path):
    """Before anything is asked for."""
    server = serve(lambda peer: peer.answer_all(whole()))

    with Client(server.url) as client, pytest.raises(LocalWriteError, match="No such file or directory"):
        client.jobs.download("j", "f", tmp_path / "missing" / "f")

    assert server.requests == []


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_path_that_no_disk_has_is_said(serve, tmp_path, name):
    """It cannot be written, whatever the network does."""
    server = serve(lambda peer: peer.answer_all(whole()))

    with Client(server.url) as client, pytest.raises(LocalWriteError, match="cannot be written"):
        client.jobs.download("j", "f", tmp_path / name)


def test_a_slash_at_the_end_is_a_folder(serve, tmp_path):
    """It is made if it is not there: a second file does not replace the first."""
    server = serve(lambda peer: peer.answer_all(whole()))

    with Client(server.url) as client:
        paths = [client.jobs.download("j", name, f"{tmp_path}/new/results/") for name in ("a", "b")]

    assert paths == [tmp_path / "new" / "results" / name for name in ("a", "b")]
    assert sorted(os.listdir(tmp_path / "new" / "results")) == ["a", "b"]


def test_a_slash_behind_a_file_is_said(serve, tmp_path):
    """What is there stays."""
    server = serve(lambda peer: peer.answer_all(whole()))
    (tmp_path / "f").write_text("before")

    with Client(server.url) as client, pytest.raises(LocalWriteError, match="File exists"):
        client.jobs.download("j", "f", f"{tmp_path}/f/")

    assert (tmp_path / "f").read_text() == "before"


@pytest.mark.parametrize("name", ["x" * 255, "\u4f60" * 82 + ".txt", "\xe9" * 127])
def test_a_name_may_be_as_long_as_the_disk_takes(serve, tmp_path, name):
    """The hidden name beside it is not longer, in bytes."""
    server = serve(lambda peer: peer.answer_all(whole()))

    with Client(server.url) as client:
        assert client.jobs.download("j", "f", tmp_path / name).read_bytes() == CONTENT
    assert os.listdir(tmp_path) == [name]


def test_memory_does_not_grow_with_the_file(serve, tmp_path):
    """256 MiB of file in a process that never needs 64 MiB more than it started with."""
    size = 256 * 1024 * 1024

    def large(peer: Peer) -> None:
        peer.read_request()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        piece = b"x" * (1 << 20)
        for _ in range(size // len(piece)):
            peer.send(piece)

    server = serve(large)
    program = f"""
        import resource
        from seekapi import Client
        client = Client({server.url!r})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        path = client.jobs.download("j", "f", {str(tmp_path / "f")!r})
        print(path.stat().st_size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=environ(), capture_output=True, text=True, timeout=60
    )

    size_bytes, grown_kib = map(int, done.stdout.split())
    assert size_bytes == size
    assert grown_kib < 64 * 1024
