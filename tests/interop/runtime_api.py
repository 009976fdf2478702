"""The Lambda service in small: AWS's Runtime API on loopback, and the sandbox that AWS's own runtime client runs in.

    with Sandbox(task_root, "worker.handler", environ={...}) as sandbox:
        outcome = sandbox.invoke({"job_uuid": "j1"}, timeout_s=3)
        outcome.kind        # "response", "error", "timeout" (killed at the deadline), "exit" (died on its own), "init"
        outcome.payload     # the envelope, or AWS's error object

As Lambda does it: one process serves many invocations; it is frozen (SIGSTOP) between them if asked to; at the
deadline it is killed without a word, and the next invocation starts another one. Nothing here knows seekapi.

The protocol: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

# Lambda's own bound on the init phase. Also what we grant a process to come back for its next invocation.
INIT_TIMEOUT_S = 10.0
# Nothing in the tests waits longer for one invocation, with or without a kill at its deadline.
PATIENCE_S = 60.0
# What a runtime client of AWS's pip package needs of the caller's environment, and nothing else of it.
INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "PYTHONPATH", "CI_RUN_ID", "CI_STAGE")
RUNTIME = "/2018-06-01/runtime"
_ANSWER = re.compile(RUNTIME + r"/invocation/([^/]+)/(response|error)")

# A function that answered or raised, was killed at its deadline, died on its own, or never came up at all.
Kind = Literal["response", "error", "timeout", "exit", "init"]


@dataclass
class Invocation:
    """One event on its way to the function; `deadline` (on time.time()) runs from when the function took it."""

    event: Any
    timeout_s: float
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    deadline: float = 0.0
    taken: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    answer: tuple[Kind, bytes] | None = None


@dataclass(frozen=True)
class Outcome:
    """How one invocation ended. `log` is what the process wrote meanwhile, `took_s` what Lambda would bill."""

    kind: Kind
    body: bytes
    request_id: str
    log: str
    pid: int
    took_s: float

    @property
    def payload(self) -> Any:
        """The JSON that the function answered with."""
        return json.loads(self.body)


class RuntimeApi(ThreadingHTTPServer):
    """The endpoint that `AWS_LAMBDA_RUNTIME_API` names, for one process: hands out invocations, takes answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeHandler)
        self.waiting: queue.Queue[Invocation | None] = queue.Queue()
        self.given: dict[str, Invocation] = {}
        self.init_error: bytes | None = None
        # Counts the times that the function asked for work: asking again is how it says "done".
        self.polls = 0
        self.polled = threading.Condition()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def address(self) -> str:
        """host:port, as the environment variable has it."""
        return f"127.0.0.1:{self.server_address[1]}"

    def take_next(self) -> Invocation | None:
        """The next invocation, with its deadline set; waits. None when there will be no more."""
        with self.polled:
            self.polls += 1
            self.polled.notify_all()
        invocation = self.waiting.get()
        if invocation is not None:
            invocation.deadline = time.time() + invocation.timeout_s
            self.given[invocation.request_id] = invocation
            invocation.taken.set()
        return invocation

    def wait_for_polls(self, count: int, patience_s: float = INIT_TIMEOUT_S) -> bool:
        """Whether the function has asked for work `count` times by then."""
        with self.polled:
            return self.polled.wait_for(lambda: self.polls >= count, patience_s)

    def close(self) -> None:
        """Answer those who still wait with an error, and listen no more."""
        for _ in range(8):
            self.waiting.put(None)
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A killed process breaks its connections: no news."""


class _RuntimeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One segment per answer: Nagle and delayed ACKs would cost each invocation 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: RuntimeApi

    def do_GET(self) -> None:
        if self.path == f"{RUNTIME}/restore/next":
            return self._answer(200, b"")
        if self.path != f"{RUNTIME}/invocation/next":
            return self._answer(404, b"")
        invocation = self.server.take_next()
        if invocation is None:
            return self._answer(500, b"")
        return self._answer(
            200,
            json.dumps(invocation.event).encode(),
            {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:worker",
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == f"{RUNTIME}/init/error":
            self.server.init_error = body
            return self._answer(202, b'{"status":"OK"}')
        match = _ANSWER.fullmatch(self.path)
        invocation = self.server.given.get(match[1]) if match else None
        if match is None or invocation is None:
            return self._answer(400, b'{"errorType":"InvalidRequestID"}')
        if invocation.answer is None:
            invocation.answer = ("response" if match[2] == "response" else "error"), body
        self._answer(202, b'{"status":"OK"}')
        invocation.ended.set()
        return None

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: what the function writes is the log."""


class Sandbox:
    """One Lambda execution environment after another, running `handler` ("module.function") out of `task_root`.

    `environ` is added to a bare environment. `freeze` stops the process between invocations, as Lambda does.
    `kill_at_deadline=False` lets a late function finish, to see by how much it is late.
    `execution_env` decides how AWS's client polls: "AWS_Lambda_python3.12" and later do so in a thread.
    """

    def __init__(
        self,
        task_root: str | os.PathLike[str],
        handler: str,
        *,
        environ: Mapping[str, str] | None = None,
        freeze: bool = False,
        kill_at_deadline: bool = True,
        execution_env: str = f"AWS_Lambda_python3.{sys.version_info[1]}",
        python: str = sys.executable,
    ) -> None:
        self.task_root = Path(task_root)
        self.handler = handler
        self.environ = dict(environ or {})
        self.freeze = freeze
        self.kill_at_deadline = kill_at_deadline
        self.execution_env = execution_env
        self.python = python
        self.starts = 0
        self.api: RuntimeApi | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.log_path = self.task_root / "sandbox.log"
        self.log_path.write_bytes(b"")
        self._log_start = 0

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process that serves now; 0 if none does."""
        return self.process.pid if self.process and self.process.poll() is None else 0

    def start(self) -> None:
        """A new process, in place of the one before; the first invocation does it if nobody did."""
        self.kill()
        self.api = RuntimeApi()
        environ = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environ |= {
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "worker",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_EXECUTION_ENV": self.execution_env,
            "AWS_REGION": "eu-west-1",
            "LAMBDA_TASK_ROOT": str(self.task_root),
            "_HANDLER": self.handler,
            "TZ": ":UTC",
        }
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [self.python, "-m", "awslambdaric", self.handler],
                cwd=self.task_root,
                env=environ | self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.starts += 1

    def invoke(self, event: Any, timeout_s: float = 3.0) -> Outcome:
        """Run the function once, from handing out the event to the process being back for more (or dead)."""
        return self.wait(self.submit(event, timeout_s))

    def submit(self, event: Any, timeout_s: float = 3.0) -> Invocation:
        """Hand out an event and return at once; for one process at most one at a time, as on Lambda."""
        if not self.pid:
            self.start()
        assert self.api
        self.thaw()
        self._log_start = self.log_path.stat().st_size
        invocation = Invocation(event, timeout_s)
        self.api.waiting.put(invocation)
        return invocation

    def wait(self, invocation: Invocation) -> Outcome:
        """The outcome of what was submitted. Bounded: at the deadline, or after PATIENCE_S, the process is killed."""
        assert self.api and self.process
        pid, taken_at = self.process.pid, time.monotonic()
        if not self._wait_for(invocation.taken, INIT_TIMEOUT_S):
            init_error = self.api.init_error or b""
            self.kill()
            return Outcome("init", init_error, invocation.request_id, self.log(self._log_start), pid, INIT_TIMEOUT_S)
        limit_s = min(invocation.timeout_s, PATIENCE_S) if self.kill_at_deadline else PATIENCE_S
        in_time = self._wait_for(invocation.ended, limit_s)
        kind: Kind
        if invocation.answer is None and self.process.poll() is None:
            assert not in_time
            self.kill()
            kind, body = "timeout", b""
        elif invocation.answer is None:
            kind, body = "exit", b""
        else:
            kind, body = invocation.answer
            self._let_it_settle()
        took_s = time.monotonic() - taken_at
        return Outcome(kind, body, invocation.request_id, self.log(self._log_start), pid, took_s)

    def log(self, start: int = 0) -> str:
        """What all processes wrote to stdout and stderr, from byte `start` on."""
        return self.log_path.read_bytes()[start:].decode("utf-8", "backslashreplace")

    def pause(self) -> None:
        """Freeze the process where it stands (SIGSTOP)."""
        os.kill(self._running_pid(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        os.kill(self._running_pid(), signal.SIGCONT)

    def kill(self) -> None:
        """End the process and all that it started, at once and without a word, as Lambda does at a deadline."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE_S)
        if self.api:
            self.api.close()
            self.api = None

    def shut_down(self, grace_s: float = 0.5) -> int:
        """SIGTERM, grace, SIGKILL: what Lambda does to a sandbox with extensions. Returns the exit code."""
        assert self.process
        self.thaw()
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace_s)
        code = self.process.poll()
        self.kill()
        return self.process.returncode if code is None else code

    def close(self) -> None:
        """End everything that is left."""
        self.kill()
        self.process = None

    def _let_it_settle(self) -> None:
        """Until the process asks for more, which ends an invocation on Lambda, or is gone."""
        assert self.api and self.process
        deadline = time.monotonic() + INIT_TIMEOUT_S
        polls_when_done = len(self.api.given) + 1
        while self.process.poll() is None and not self.api.wait_for_polls(polls_when_done, 0.2):
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the function answered, but never asked for more:\n{self.log(self._log_start)}")
        if self.freeze and self.process.poll() is None:
            self.pause()

    def _wait_for(self, event: threading.Event, patience_s: float) -> bool:
        """Whether `event` happened, in time and before the process died."""
        assert self.process
        deadline = time.monotonic() + patience_s
        while not event.wait(max(0.0, min(0.05, deadline - time.monotonic()))):
            if time.monotonic() >= deadline or self.process.poll() is not None:
                return event.is_set()
        return True

    def _running_pid(self) -> int:
        if not self.pid:
            raise AssertionError(f"the process has died:\n{self.log()}")
        return self.pid
