"""One `seekapi dev` from its start to its end: the record, the server, the runner, the watcher, and who is told.

The main thread prints and hears signals; whatever serves or runs a job is a thread of its own. Ended in the order in
which things need each other: the jobs, which need the server, then the server, which needs the record.
"""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import sys
import threading
import time
from contextlib import ExitStack
from functools import partial
from queue import Empty, SimpleQueue

from .. import _settings
from .._devserver.platform import Platform
from .._devserver.runner import Runner
from .._devserver.serve import Server
from .._devserver.store import Store
from .._devserver.workers import Watcher, Worker
from . import dev_lines, exit_codes, ready, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from types import FrameType
    from typing import Any

    from .._devserver.platform import Options
    from .._devserver.transactions import Event
    from .targets import Target

# So long the banner waits for the worker to say who it is; one that takes long to import says it later.
PATIENCE_S = 2.0
# A signal that comes in the moment before a wait begins is heard when the wait ends.
LOOK_EVERY_S = 0.5
# A terminal that takes nothing (Ctrl-S) must not fill memory.
MOST_WAITING_LINES = 10_000
_NOT_INHERITED = (_settings.LOCAL_MODE, _settings.LOCAL_DIR, _settings.LOCAL_FIXTURES)


class Session:
    """What one command holds open. `run()` returns when it is told to end, by a signal."""

    def __init__(
        self, arguments: argparse.Namespace, options: Options, target: Target | None, python: str, started_at: float
    ) -> None:
        self._arguments = arguments
        self._options = options
        self._target = target
        self._python = python
        self._started_at = started_at
        self._held = ExitStack()
        self._news: SimpleQueue[Event | str | None] = SimpleQueue()
        self._ended_by = 0
        self._before: dict[int, Any] = {}
        self._runner: Runner | None = None
        self._worker: Worker | None = None

    def __enter__(self) -> Session:
        try:
            self._open()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._held.close()

    def run(self) -> int:
        """Tell what happens until a signal comes; the exit code."""
        self._introduce()
        while (item := self._next()) is not None:
            self._lines.tell(item)
        count = self._runner.running_count if self._runner is not None else 0
        if count:
            jobs = "1 job that runs" if count == 1 else f"{count} jobs that run"
            terminal.say(f"stopping; waiting for {jobs} (Ctrl-C again: at once)")
        self._held.close()
        return exit_codes.of_signal(self._ended_by)

    def _next(self) -> Event | str | None:
        """The next thing to tell; None when it is time to end."""
        while True:
            try:
                return self._news.get(timeout=LOOK_EVERY_S)
            except Empty:
                pass

    def _open(self) -> None:
        arguments, options = self._arguments, self._options
        store = Store(None if arguments.ephemeral else options.data_dir)
        self._held.callback(store.close)
        keys = {"secret": secrets.token_hex(16), "api_key": secrets.token_hex(16)}
        self._platform = platform = Platform(store, options, **keys, now=time.time, clock=time.monotonic)
        server = Server(platform, host=arguments.host, port=arguments.port, tell=terminal.say)
        server.listen()
        if options.callback_url:
            from .._devserver.callback import Callback

            self._held.callback(Callback(platform).stop)
        self._lines = dev_lines.Lines(platform, is_json=arguments.json)
        self._hear_signals()
        self._held.callback(self._tell_the_rest)  # which asks the store: before it closes
        self._held.callback(store.subscribe(self._happened))
        if self._target is not None:
            self._prepare_worker(self._target)
        self._held.callback(server.stop)
        server.start()
        if self._runner is not None:
            self._held.callback(self._runner.stop)
            self._runner.start()

    def _prepare_worker(self, target: Target) -> None:
        environ = worker_environ(self._platform)
        self._worker = Worker(
            target.place, target.name, is_file=target.is_file, python=(self._python,), environ=environ
        )
        self._runner = self._platform.runner = Runner(
            self._platform, self._worker, concurrency=self._arguments.concurrency
        )
        self._lines.worker = self._worker

    def _introduce(self) -> None:
        """The banner, and the ready file, once the server listens and the worker has said who it is."""
        worker, reloads = self._worker, self._arguments.reload
        # It remembers the files as they are before the worker is asked: what is saved from here on is told.
        watcher = Watcher(worker.folder, self._reload) if worker and reloads else None
        asking = threading.Thread(target=worker.describe if worker else None, name="seekapi-describe", daemon=True)
        asking.start()
        asking.join(PATIENCE_S)
        self._write_ready_files()
        self._lines.introduce(time.monotonic() - self._started_at, reloads=reloads, call_line=self._call_line())
        if worker is None:
            return
        if asking.is_alive():
            threading.Thread(target=self._tell_worker, args=(asking,), daemon=True).start()
        else:
            self._lines.tell_worker(is_first=True)
        if watcher is not None:
            watcher.start()
            self._held.callback(watcher.stop)

    def _tell_worker(self, asking: threading.Thread) -> None:
        asking.join()
        self._news.put(dev_lines.WORKER)

    def _reload(self) -> None:
        """On the watcher's thread."""
        assert self._worker is not None
        self._worker.describe()
        self._news.put(dev_lines.WORKER)

    def _write_ready_files(self) -> None:
        """Where `seekapi call` in this folder looks for the platform, and where the user wants it.

        That of another server which is up stays.
        """
        platform = self._platform
        known = {
            "url": platform.url,
            "jobs_url": self._jobs_url,
            "pid": os.getpid(),
            "secret": platform.secret,
            "api_key": platform.api_key,
        }
        in_folder = ready.path_in(self._options.data_dir)
        other = ready.other_that_is_up(in_folder)
        if other is not None:
            terminal.say(
                f"`seekapi call` in this folder finds {other['jobs_url']} (process {other['pid']}), which was here "
                f"before; for this one: --url {self._jobs_url}"
            )
        ready.keep_out_of_git(self._options.data_dir)
        for path in ([] if other else [in_folder]) + (
            [self._arguments.ready_file] if self._arguments.ready_file else []
        ):
            ready.write(path, known)
            self._held.callback(partial(ready.remove, path))

    @property
    def _jobs_url(self) -> str:
        return self._platform.url + self._options.prefix

    def _call_line(self) -> str:
        """How `seekapi call` finds this platform from here: by itself, if the ready file of this folder is ours."""
        found = ready.read(ready.path_in(ready.FOLDER))
        if found is not None and found["pid"] == os.getpid():
            return "seekapi call"
        is_closed = self._options.needs_token or self._options.basic_auth
        key = f"{_settings.CLIENT_API_KEY}={self._platform.api_key} " if is_closed else ""
        return f"{key}seekapi call --url {shlex.quote(self._jobs_url)}"

    def _happened(self, events: list[Event]) -> None:
        """On the store's thread: it must not wait for a terminal."""
        if self._news.qsize() < MOST_WAITING_LINES:
            for event in events:
                if self._lines.is_shown(event):
                    self._news.put(event)

    def _tell_the_rest(self) -> None:
        while not self._news.empty():
            item = self._news.get()
            if item is not None:
                self._lines.tell(item)

    # Signals

    def _hear_signals(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._signalled)
        self._held.callback(self._ignore_signals)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        # This thread may be in the middle of a write that nobody takes, and would go back to it.
        terminal.let_go(sys.stderr)
        terminal.let_go(sys.stdout)
        if self._ended_by:
            if self._runner is not None:
                self._runner.hurry()
            return
        self._ended_by = number
        self._news.put(None)

    def _ignore_signals(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)


def worker_environ(platform: Platform) -> dict[str, str]:
    """The environment of the worker's processes: ours, and the way to this platform and to no other."""
    environ = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    for name in ("no_proxy", "NO_PROXY"):
        environ[name] = ",".join(filter(None, (environ.get(name), "127.0.0.1", "localhost")))
    return {
        **environ,
        _settings.API_BASE_URL: platform.url,
        _settings.INTERNAL_SECRET: platform.secret,
        _settings.LOG_FORMAT: "JSON",
    }
