"""The client's side of a row: a small process that forks one child per case and tells what it saw.

`python -m faults.child SOCKET` imports the SDK once and waits. Whoever connects hands in a scene (one JSON line) and
gets back what happened. A child per case: fresh pools, fresh retry quota, an environment of its own, its own memory
reading; a hang or a crash stays its own.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import io
import json
import logging
import os
import pkgutil
import resource
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from faults.leaks import leaks_in

Scene = dict[str, Any]
LONGEST_TEXT = 5000


class LambdaContext:
    """What Lambda hands in: a request id and a clock that runs down."""

    def __init__(self, remaining_ms: float, request_id: str | None) -> None:
        self._end = time.monotonic() + remaining_ms / 1000
        self.aws_request_id = request_id

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda kills the process."""
        return int((self._end - time.monotonic()) * 1000)


class BadStr(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text today")

    __repr__ = __str__


def _deep() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


DATA: dict[str, Callable[[], Any]] = {
    "plain": lambda: {"name": "Zoë", "n": [1, 2.5, None]},
    "big": lambda: {"text": "x" * 5_000_000},
    "nan": lambda: {"price": [1.0, float("nan")]},
    "unserialisable": lambda: {"when": object()},
    "deep": _deep,
    "surrogate": lambda: {"text": "\ud800!"},
}


def handler_of(scene: Scene) -> Callable[[Any], Any]:
    """The user's function that the scene names."""
    name = scene.get("handler", "echo")
    secrets = scene["secrets"]

    def handler(job_input: Any) -> Any:
        scene["handler_calls"] = scene.get("handler_calls", 0) + 1
        if name == "echo":
            return {"echo": job_input}
        if name == "raises_secret":
            raise RuntimeError(f"debug: {secrets['secret']} {secrets['token']} {secrets['signature']}")
        if name == "raises_url":
            raise ValueError(f"cannot open {scene['event']['input_presigned_url']}&x={secrets['private query']}")
        if name == "bad_str":
            raise BadStr
        if name == "sys_exit":
            sys.exit(3)
        if name == "recursion":
            return handler_of_recursion(job_input)
        if name == "memory":
            raise MemoryError
        if name == "huge_message":
            raise RuntimeError("h" * 1_000_000)
        return DATA[name]()

    return handler


def handler_of_recursion(value: Any) -> Any:
    """Never ends by itself."""
    return handler_of_recursion(value)


def play(scene: Scene, ask: Callable[[str], None]) -> dict[str, Any]:
    """Act out the scene; what was seen, as JSON."""
    os.environ.update(scene.get("env", {}))
    for name in scene.get("unset", []):
        os.environ.pop(name, None)
    records = kept_log()
    watch = _Watch(scene, ask)
    sys.addaudithook(watch)
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        calls = _calls_of(scene, ask)
        used = resource.getrusage(resource.RUSAGE_SELF)
        peak_after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sys.stdout.flush()
        sys.stderr.flush()
        output.seek(0)
        printed = output.read().decode("utf-8", "replace")
    lines = [logged(record) for record in records]
    secrets = scene["secrets"]
    leaks = leaks_in(printed, secrets, "output") + leaks_in(lines, secrets, "log")
    leaks += leaks_in([record.__dict__ for record in records], secrets, "log record")
    for call in calls:
        leaks += call.pop("leaks")
    return {
        "calls": calls,
        "leaks": sorted(set(leaks)),
        "log": "\n".join(lines)[-LONGEST_TEXT:],
        "printed": printed[-LONGEST_TEXT:],
        "peak_growth_kib": peak_after - peak_before,
        "cpu_s": used.ru_utime + used.ru_stime,
        "connects": watch.connects,
        "handler_calls": scene.get("handler_calls", 0),
        "threads": sorted(thread.name for thread in threading.enumerate() if thread is not threading.main_thread()),
    }


def _calls_of(scene: Scene, ask: Callable[[str], None]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    for number in range(scene.get("calls", 1)):
        if number and scene.get("between"):
            ask(scene["between"])
        scene["charge_key"] = f"page-{1 if scene.get('same_key') else number + 1}"
        calls.append(_one_call(scene))
    return calls


def _one_call(scene: Scene) -> dict[str, Any]:
    call = _prepared(scene)
    start = time.monotonic()
    seen: dict[str, Any] = {}
    try:
        value = call()
    except BaseException as error:  # whatever comes out is what the row is about
        seen["elapsed_s"] = time.monotonic() - start
        seen["leaks"] = leaks_in(error, scene["secrets"], "error")
        shown = "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-8))
        seen["leaks"] += leaks_in(shown, scene["secrets"], "traceback")
        seen["error"] = _described(error)
        seen["idempotency_key"] = getattr(error, "idempotency_key", None)
    else:
        seen["elapsed_s"] = time.monotonic() - start
        seen["leaks"] = leaks_in(value, scene["secrets"], "returned value")
        text = json.dumps(value, default=repr)
        seen["value"] = value if len(text) < LONGEST_TEXT else f"{text[:100]}... ({len(text)} characters)"
        seen["value_characters"] = len(text)
    return seen


def _prepared(scene: Scene) -> Callable[[], Any]:
    """The call, with everything that is not the call itself already done."""
    import seekapi

    op, timeout = scene["op"], {"timeout": scene["timeout_s"]}
    event: Any = scene["event"]
    if op == "get_input":
        return lambda: seekapi.get_input(event, **timeout)
    if op.startswith("run"):
        context = LambdaContext(scene["remaining_ms"], scene.get("request_id"))
        handler = handler_of(scene)
        return lambda: seekapi.run(event, context, handler)
    if op == "register":
        return lambda: seekapi.register_request_id(event["job_uuid"], "request-1", **timeout)
    if op == "charge":
        # The caller's own key is there from the first call on.
        justification = {"why": DATA[scene["data"]]()} if "data" in scene else None
        return lambda: seekapi.charge(_context(scene), scene["charge_key"], justification=justification, **timeout)
    if op == "push_data":
        data = DATA[scene.get("data", "plain")]()
        return lambda: seekapi.push_data(_context(scene), data, **timeout)
    file = scene["file"]
    given = {"content_type": file["content_type"]} if "content_type" in file else {}
    return lambda: seekapi.push_file(_context(scene), file["name"], file["path"], **given, **timeout)


def _context(scene: Scene) -> Any:
    """One context per scene, as a handler makes one per job."""
    import seekapi

    if "made_context" not in scene:
        scene["made_context"] = seekapi.create_context(scene["event"])
    return scene["made_context"]


def _described(error: BaseException) -> dict[str, Any]:
    told = {
        name: _plain(getattr(error, name, None)) for name in ("status", "code", "retryable", "retry_after", "outcome")
    }
    return {
        "type": type(error).__name__,
        "module": type(error).__module__,
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "message": _text(error)[:LONGEST_TEXT],
        "chained": error.__cause__ is not None or error.__context__ is not None,
        **told,
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # cannot be shown
        return ""


def kept_log() -> list[logging.LogRecord]:
    """From now on every log record goes into this list, and nowhere else."""
    records: list[logging.LogRecord] = []
    logging.getLogger().addHandler(_Keep(records))
    logging.getLogger().setLevel(logging.DEBUG)
    return records


class _Keep(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


def logged(record: logging.LogRecord) -> str:
    """The record as a handler would write it, traceback and all."""
    text = record.getMessage()
    if record.exc_info and record.exc_info[0]:
        text += "\n" + "".join(traceback.format_exception(*record.exc_info))
    return text


def nothing_but_loopback() -> None:
    """From now on this process reaches no other machine, whatever it tries."""
    sys.addaudithook(_only_loopback)


def _only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        if not str(arguments[1][0]).startswith(("127.", "::1")):
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
    elif event == "socket.getaddrinfo" and not _is_local(arguments[0]):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _is_local(host: object) -> bool:
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    return text == "localhost" or not any(character.isalpha() for character in text.replace("::1", ""))


class _Watch:
    """Sees every connect and every name lookup before it happens, and can make them fail as the system would.

    An audit hook, so nothing of the SDK is patched. Nothing leaves loopback, whatever the SDK tries.
    """

    def __init__(self, scene: Scene, ask: Callable[[str], None]) -> None:
        self._trouble = scene.get("trouble", "")
        self._ask = ask
        self._lookups = 0
        self.connects: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            self.connects.append(str(arguments[1][0]))
            _only_loopback(event, arguments)
            if self._trouble == "refused_once" and len(self.connects) == 2:
                self._ask("listen")
        elif event == "socket.getaddrinfo":
            self._lookups += 1
            self._fail_lookup()
            _only_loopback(event, arguments)

    def _fail_lookup(self) -> None:
        if self._trouble == "dns_fail":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if self._trouble == "dns_tempfail_once" and self._lookups == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if self._trouble == "dns_slow":
            time.sleep(8)


def serve(path: str) -> None:
    """Fork a child for every connection, until standard input ends."""
    _import_everything()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(256)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # What is loaded now stays: the collector of a child need not touch, and so copy, the pages of its parent.
    gc.freeze()
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _child(connection)
        connection.close()


def _child(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        lines = connection.makefile("r", encoding="utf-8", errors="surrogatepass")
        scene = json.loads(lines.readline())
        # Were the parent killed, nobody would read the answer: end by ourselves then.
        signal.alarm(int(scene.get("seconds", 0)) + 600)

        def ask(what: str) -> None:
            connection.sendall(json.dumps({"ask": what}).encode() + b"\n")
            lines.readline()

        connection.sendall(json.dumps({"pid": os.getpid()}).encode() + b"\n")
        lines.readline()
        play_it = importlib.import_module(scene["module"]).play if "module" in scene else play
        result = play_it(scene, ask)
        connection.sendall(json.dumps({"result": result}, default=repr).encode() + b"\n")
    except BaseException:  # the child reports its own failure and is gone
        with contextlib.suppress(OSError):
            connection.sendall(json.dumps({"broken": traceback.format_exc()}).encode() + b"\n")
    finally:
        # No interpreter shutdown: a thread that the SDK forgot must not keep us.
        os._exit(0)


def _import_everything() -> None:
    import seekapi

    for wing in ("_protocol", "_transport", "_backends", "_worker"):
        with contextlib.suppress(ImportError):
            package = importlib.import_module(f"seekapi.{wing}")
            for found in pkgutil.iter_modules(getattr(package, "__path__", [])):
                with contextlib.suppress(ImportError):
                    importlib.import_module(f"seekapi.{wing}.{found.name}")
    for name in ("get_input", "run", "push_data"):
        getattr(seekapi, name)
    _ = (io, ssl)


if __name__ == "__main__":
    serve(sys.argv[1])
