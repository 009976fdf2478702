"""The first thing that runs in a worker's process: finds the handler, calls it once, reports, ends.

Run by path, with the interpreter of the worker, which may have another Python than ours and another seekapi or none:
so nothing but the standard library here, nothing newer than Python 3.8, and nothing of this package.

    stdin             one line of JSON, the order; then it stays open for as long as the platform lives
    descriptor N      the reports, a line of JSON each; N is the only argument

Like a Lambda sandbox the process ends with the handler, whatever threads are left. When the platform dies, however it
dies, its end of stdin closes, and the kernel kills this process and its group.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Python has put the folder of this file first, where `import store` or `import app` would find what is ours.
    del sys.path[0]

import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Order = dict[str, Any]
    Report = dict[str, Any]


def beside(name: str) -> Any:
    """A module of ours that lies next to this one, under a name that no module of a worker has."""
    from importlib.util import module_from_spec, spec_from_file_location

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = spec_from_file_location(f"_seekapi_{name}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING or __package__:  # `seekapi run` imports this as a part of its package
    from . import bootstrap_targets as targets
else:
    targets = beside("bootstrap_targets")
# A reply beyond this is refused by Lambda.
LARGEST_REPLY_CHARS = 6 * 1024 * 1024


class LambdaContext:
    """What Lambda hands to a handler as `context`; the remaining time really shrinks."""

    function_version = "$LATEST"
    memory_limit_in_mb = "128"
    identity = None
    client_context = None

    def __init__(self, function_name: str, request_id: str, timeout_s: float) -> None:
        self.function_name = function_name
        self.invoked_function_arn = f"arn:aws:lambda:local:000000000000:function:{function_name}"
        self.log_group_name = f"/aws/lambda/{function_name}"
        self.log_stream_name = "seekapi"
        self.aws_request_id = request_id
        self._deadline = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the deadline, never below zero."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class Reports:
    """The way back to the platform. A handler that closes every descriptor closes this one too."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self.descriptor = descriptor
        self._identity = self._now()

    def send(self, report: Report) -> bool:
        """One line; False if the pipe is not there any more. Never into a file that has its number by now."""
        if self._now() != self._identity:
            return False
        left = json.dumps(report).encode("ascii") + b"\n"
        try:
            while left:
                left = left[os.write(self.descriptor, left) :]
        except OSError:
            return False
        return True

    def _now(self) -> tuple[int, int] | None:
        try:
            found = os.fstat(self.descriptor)
        except OSError:
            return None
        return found.st_dev, found.st_ino


def main() -> None:
    """Carry out the order. Does not return."""
    reports = Reports(int(sys.argv[1]))
    line = read_line(0)
    if not line.endswith(b"\n"):  # The platform died over it.
        os._exit(70)
    order = json.loads(line)
    lifeline()
    own_pid = os.getpid()
    sys.argv = [order["place"]]
    report = described(order) if order["mode"] == "describe" else called(order, reports, own_pid)
    flush()
    if os.getpid() != own_pid:  # A child that the handler has forked, and that came back from it: it has no report.
        os._exit(0)
    os._exit(0 if reports.send(report) else 70)


def read_line(descriptor: int) -> bytes:
    """Until the end of the line, and not a byte further: what comes after it is not ours to read."""
    pieces = []
    while True:
        data = os.read(descriptor, 65536)
        pieces.append(data)
        if not data or data.endswith(b"\n"):
            return b"".join(pieces)


def lifeline() -> None:
    """Have this group killed as soon as the platform's end of stdin is closed. The handler's own stdin is empty."""
    line = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    try:
        killed_by_the_kernel(line)
    except (ImportError, AttributeError, OSError):
        import threading

        threading.Thread(target=end_with, args=(line,), name="seekapi-lifeline", daemon=True).start()


def killed_by_the_kernel(line: int) -> None:
    """No thread that a fork would trip over, and no need for the interpreter's lock: C code that keeps it ends too.

    Only Linux can send a signal that nobody handles. Raises AttributeError elsewhere.
    """
    import fcntl
    import select
    from signal import SIGKILL

    set_signal = fcntl.F_SETSIG
    fcntl.fcntl(line, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(line, set_signal, SIGKILL)
    fcntl.fcntl(line, fcntl.F_SETFL, fcntl.fcntl(line, fcntl.F_GETFL) | os.O_ASYNC)
    watched = select.poll()
    watched.register(line, select.POLLIN)
    if watched.poll(0):  # It closed before the kernel was told to look.
        os.killpg(0, SIGKILL)


def end_with(line: int) -> None:
    """As the kernel does it on Linux, by a thread."""
    try:
        while os.read(line, 1024):
            pass
    except OSError:
        return  # The handler closed it.
    from signal import SIGKILL

    os.killpg(0, SIGKILL)


# One call.


def called(order: Order, reports: Reports, own_pid: int) -> Report:
    """Call the handler; what became of it."""
    show_stack_on_request(reports.descriptor)
    started = time.monotonic()
    try:
        handler = targets.load(order)
    except BaseException as error:
        return {"outcome": "unimportable", "error": targets.fault_of(error, of_import=True)}
    if os.getpid() != own_pid:
        os._exit(0)
    context = LambdaContext(order["function_name"], order["request_id"], order["timeout_s"])
    began = time.monotonic()
    reports.send({"called": True, "import_ms": milliseconds(began - started)})
    try:
        value = handler(order["event"], context)
        handler_ms = milliseconds(time.monotonic() - began)
    except BaseException as error:
        handler_ms = milliseconds(time.monotonic() - began)
        report: Report = {"outcome": "raised", "error": targets.fault_of(error)}
        show(report["error"]["traceback"])
    else:
        report = returned(value)
    report["handler_ms"] = handler_ms
    hide_stack()
    return report


def returned(value: object) -> Report:
    """What the handler returned, if it is JSON."""
    report = encoded(value)
    if "value_json" not in report:
        return report
    try:
        return {"outcome": "returned", "value": json.loads(report["value_json"])}
    except RecursionError as error:
        return not_json(value, targets.said(error))


def encoded(value: object) -> Report:
    """As `returned`, with the text that Lambda would send."""
    try:
        text = json.dumps(value, allow_nan=False, default=_decimal)
    except BaseException as error:
        return not_json(value, targets.said(error))
    if len(text) > LARGEST_REPLY_CHARS:
        return {"outcome": "not_json", "message": "what the handler returned is larger than the 6 MB that Lambda takes"}
    return {"outcome": "returned", "value_json": text}


def _decimal(value: object) -> Any:
    """Beyond what `json` knows, Lambda takes decimal numbers."""
    if f"{type(value).__module__}.{type(value).__name__}" != "decimal.Decimal":
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    return json.loads(str(value))


def not_json(value: Any, reason: str) -> Report:
    """What is wrong with it, and perhaps why it was returned."""
    hint = ""
    if hasattr(type(value), "__await__"):
        targets.safely(getattr(value, "close", int), None)  # or Python complains that it was never awaited
        hint = ". Put seekapi's `@worker` above an `async def` handler: Lambda does not await one"
    return {"outcome": "not_json", "message": f"what the handler returned is not JSON: {reason}{hint}"}


def show_stack_on_request(descriptor: int) -> None:
    """On SIGXCPU, which the platform sends when the time is up, write where every thread stands; needs no lock."""
    try:
        import faulthandler
        import signal

        signal.signal(signal.SIGXCPU, signal.SIG_IGN)  # What it is set back to: by default it would kill.
        faulthandler.register(signal.SIGXCPU, file=descriptor, all_threads=True)
    except (ImportError, AttributeError, ValueError, OSError, RuntimeError):
        pass


def hide_stack() -> None:
    """The handler has answered: nothing may come between the bytes of the report."""
    try:
        import faulthandler
        import signal

        faulthandler.unregister(signal.SIGXCPU)
    except (ImportError, AttributeError, ValueError):
        pass


# What the platform wants to know of the worker before there is a job.


def described(order: Order) -> Report:
    """Its name, what it is for, what it takes; or why it cannot be imported."""
    if hasattr(os, "nice"):
        os.nice(5)  # A file was saved: the job that tries it out has the right of way.
    try:
        handler = targets.load(order)
    except BaseException as error:
        return {"error": targets.fault_of(error, of_import=True)}
    function = getattr(handler, "__wrapped__", handler)
    report: Report = {
        "name": getattr(function, "__name__", ""),
        "doc": clean(getattr(function, "__doc__", None)),
        "python": ".".join(map(str, sys.version_info[:3])),
        "seekapi": version_of_seekapi(),
        "input_schema": None,
        "settings_schema": None,
        "schema_error": None,
    }
    make = getattr(sys.modules.get("seekapi"), "schema", None)
    try:
        if make is not None and hasattr(handler, "__wrapped__"):
            report["input_schema"] = unless_open(make(handler))
        settings_type = getattr(handler, "settings_type", None)
        if make is not None and settings_type is not None:
            report["settings_schema"] = unless_open(make(taker_of(settings_type)))
        json.dumps(report, allow_nan=False)
    except Exception as error:
        report.update(input_schema=None, settings_schema=None, schema_error=targets.said(error))
    return report


def unless_open(schema: Any) -> Any:
    """None for a schema that says nothing."""
    return None if set(schema) <= {"$schema", "$id", "title", "description"} else schema


def taker_of(settings_type: Any) -> Callable[[Any], Any]:
    """A function whose input is the worker's settings: what a schema is made for."""

    def take(settings: Any) -> Any:
        return settings

    take.__annotations__ = {"settings": settings_type}
    return take


def version_of_seekapi() -> str | None:
    """Of the one that the worker has imported, None if it has none."""
    if "seekapi" not in sys.modules:
        return None
    version = getattr(sys.modules["seekapi"], "__version__", None)
    if isinstance(version, str):
        return version
    try:
        from importlib.metadata import version as version_of

        return version_of("seekapi")
    except Exception:
        return "unknown"


def milliseconds(seconds: float) -> float:
    """As the platform counts."""
    return round(seconds * 1000, 3)


def clean(text: object) -> str | None:
    """The first paragraph of a docstring."""
    if not isinstance(text, str):
        return None
    return " ".join(text.strip().split("\n\n")[0].split())[:2000] or None


def show(text: str) -> None:
    """To stderr; if the handler has closed or replaced it, to the descriptor that was below it."""
    try:
        sys.stderr.write(text)
    except BaseException:
        targets.safely(lambda: os.write(2, text.encode("utf-8", "backslashreplace")), 0)


def flush() -> None:
    """What the handler has printed, out."""
    for stream in (sys.stdout, sys.stderr):
        targets.safely(lambda stream=stream: stream.flush(), None)  # type: ignore[misc]


if __name__ == "__main__":
    main()
