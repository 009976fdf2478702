"""What the dev server takes: small POSTs with one insert each, its memory, and the time until its port is open.

    python benchmarks/dev_server.py --uvicorn-python INTERPRETER_THAT_HAS_UVICORN_AND_STARLETTE

Beside `uvicorn[standard]` (uvloop, httptools) and starlette doing the same: parse and check a JSON body, insert one row
into SQLite in WAL mode with `synchronous=FULL`, commit, answer. Both check what they are sent; ours also checks who
asks. One load generator for both, in a process of its own: `--connections` kept connections, each with one request
under way. No answer is sent before its row is on the disk, which is what the rows in the file are counted for.

The ratios are of rates and of peak memory. A port is open when a connection succeeds, an answer is the first 200.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import measuring
from measuring import Child, Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

ROUNDS = 9
START_ROUNDS = 9
ROUND_S = 1.5
CONNECTIONS = 16
PATH = "/v1/internal/jobs/benchmark/push"
SECRET = "benchmark-secret"
BODY = json.dumps(
    {"execution_token": "token", "data": {"number": 1, "title": "a small result"}, "type": "json"}
).encode()


def main() -> None:
    """Both tables, or the load."""
    if sys.argv[1:] == ["load"]:
        make_load()
        return
    options = measuring.arguments(__doc__, _add_arguments)
    ours = measuring.subjects(options)["ours"]
    measuring.print_head("dev server", {"ours": ours})
    peers = {"ours": partial(_command, ours, options.python, "ours")}
    if options.uvicorn_python:
        peers["uvicorn"] = partial(_command, ours, options.uvicorn_python, "uvicorn")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print_rates(peers, options, Path(folder))
        print_starts(peers, ours, options, Path(folder))


def print_rates(peers: dict[str, Any], options: argparse.Namespace, folder: Path) -> None:
    """Rate and memory under the same load."""
    servers = {name: Server(*command(folder / f"{name}.db")) for name, command in peers.items()}
    load = Child([options.python, __file__, "load"])
    load.hear()
    order = {
        name: partial(load.ask, json.dumps([server.port, options.connections, ROUND_S]))
        for name, server in servers.items()
    }
    for ask in order.values():
        ask()  # warms both
    figures = measuring.interleaved(options.rounds or ROUNDS, order)
    rates = {name: [figure["rate"] for figure in found] for name, found in figures.items()}
    seen = {}
    for name, server in servers.items():
        seen[name] = server.peak_bytes(), server.cpu_s()
        server.end()
    load.end()
    other = "uvicorn" if "uvicorn" in servers else None
    rows = [
        (
            name,
            measuring.median(rates[name]),
            f"{measuring.ratio(rates[name], rates[other]):.2f}" if other else None,
            seen[name][0] / 2**20,
            f"{seen[name][0] / seen[other][0]:.2f}" if other else None,
            seen[name][1],
            sum(figure["failed"] for figure in figures[name]),
            _rows_in(folder / f"{name}.db"),
        )
        for name in servers
    ]
    columns = ("POST + insert", "per s", "rate / other", "peak MiB", "memory / other", "CPU, s", "failed", "rows kept")
    measuring.print_table(columns, rows)


def print_starts(peers: dict[str, Any], ours: Subject, options: argparse.Namespace, folder: Path) -> None:
    """From the start of the process: a port that takes connections, and the first answer; above a bare interpreter."""
    measured: dict[str, Callable[[], Any]] = {"bare": partial(_bare_ms, options.python, ours)}
    for name, command in peers.items():
        measured[name] = partial(_start_ms, command, folder)
    for measure in measured.values():
        measure()
    figures = measuring.interleaved(options.rounds or START_ROUNDS, measured)
    bare = measuring.median(figures["bare"])
    rows = [("bare Python", bare, None, None)]
    for name in peers:
        opened, answered = (measuring.median(figure[index] for figure in figures[name]) for index in (0, 1))
        rows.append((name, opened, opened - bare, answered - bare))
    measuring.print_table(("start", "port open, ms", "above bare, ms", "first answer above bare, ms"), rows)


class Server:
    """A server process that listens."""

    def __init__(self, arguments: list[str], env: dict[str, str]) -> None:
        self.port = _free_port()
        self._process = subprocess.Popen([*arguments, str(self.port)], env=env, cwd="/")
        _until_open(self.port)

    def peak_bytes(self) -> int:
        """The most memory it has ever held."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    def cpu_s(self) -> float:
        """What it has computed."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """By a signal, as a person would."""
        self._process.terminate()
        self._process.wait(20)


def make_load() -> None:
    """For each order [port, connections, seconds] on a line: that many connections for so long; says the rate."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        port, count, seconds = json.loads(line)
        message = _message(port)
        selector = selectors.DefaultSelector()
        for _ in range(count):
            connected = socket.create_connection(("127.0.0.1", port))
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connected, selectors.EVENT_READ)
        print(json.dumps(_run_load(selector, message, seconds)), flush=True)
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        selector.close()


def _run_load(selector: selectors.BaseSelector, message: bytes, seconds: float) -> dict[str, float]:
    done = failed = 0
    unread = {key.fd: b"" for key in selector.get_map().values()}
    began = time.perf_counter()
    for key in selector.get_map().values():
        key.fileobj.send(message)  # type: ignore[union-attr]
    under_way, is_open = len(unread), True
    while under_way:
        for key, _ in selector.select():
            reply = unread[key.fd] + key.fileobj.recv(65536)  # type: ignore[union-attr]
            if not _is_complete(reply):
                unread[key.fd] = reply
                continue
            unread[key.fd] = b""
            done += 1
            failed += not reply.startswith(b"HTTP/1.1 200")
            if is_open:
                key.fileobj.send(message)  # type: ignore[union-attr]
            else:
                under_way -= 1
        is_open = time.perf_counter() - began < seconds
    return {"rate": done / (time.perf_counter() - began), "failed": failed}


def _is_complete(reply: bytes) -> bool:
    end = reply.find(b"\r\n\r\n")
    at = reply.lower().find(b"content-length:", 0, end)
    if end < 0 or at < 0:
        if not reply:
            raise RuntimeError("the server closed a connection under load")
        return False
    return len(reply) >= end + 4 + int(reply[at + 15 : reply.index(b"\r", at)])


def _message(port: int) -> bytes:
    lines = (
        f"POST {PATH} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        "Accept: application/json",
        f"X-Internal-Secret: {SECRET}",
        f"Content-Length: {len(BODY)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + BODY


def _command(ours: Subject, python: str, kind: str, database: Path) -> tuple[list[str], dict[str, str]]:
    return [python, str(measuring.HERE / "dev_server_peers.py"), kind, str(database)], ours.environment()


def _start_ms(command: Callable[[Path], tuple[list[str], dict[str, str]]], folder: Path) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        arguments, env = command(Path(fresh) / "start.db")
        began = time.perf_counter()
        server = Server(arguments, env)
        opened = time.perf_counter()
        with socket.create_connection(("127.0.0.1", server.port)) as connected:
            connected.sendall(_message(server.port))
            if not connected.recv(65536).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("the first request was refused")
        answered = time.perf_counter()
        server.end()
        return (opened - began) * 1000, (answered - began) * 1000


def _bare_ms(python: str, ours: Subject) -> float:
    began = time.perf_counter()
    subprocess.run([python, "-c", "pass"], env=ours.environment(), cwd="/", check=True)
    return (time.perf_counter() - began) * 1000


def _until_open(port: int) -> None:
    ends_at = time.perf_counter() + measuring.LONGEST_SILENCE_S
    while time.perf_counter() < ends_at:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.001)
    raise RuntimeError("the port never opened")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _rows_in(database: Path) -> int:
    folder = database.with_suffix("")
    files = sorted(folder.glob("*.db")) + sorted(folder.glob("*.sqlite*")) if folder.is_dir() else [database]
    for file in files:
        connection = sqlite3.connect(file)
        try:
            return int(connection.execute("SELECT count(*) FROM pushed").fetchone()[0])
        except sqlite3.Error:
            continue
        finally:
            connection.close()
    return -1


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--uvicorn-python", help="an interpreter that has uvicorn[standard] and starlette")
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="kept connections of the load")
    parser.add_argument("--folder", help="where the databases lie: the disk is part of what is measured")


if __name__ == "__main__":
    main()
