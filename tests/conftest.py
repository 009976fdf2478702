"""A long run uses every core: whole files are dealt to forked lanes, one process shows what they report.

Two lanes a core, since many a test waits: for a process to start, or a deadline to come.

A lane is this process, copied after the collection. It runs what it is dealt, file by file, and ends as pytest ends.
A short run, and one that is watched (`-s`, `-x`, `--pdb`), stays in one process; `--lanes 1` says so for any.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe, wait

import pytest

# Fewer tests are over before a second lane pays.
LONG_RUN = 1000
LANES_PER_CORE = 2
Files = Iterator[list[pytest.Item]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lanes", type=int, default=0, help="processes that run the tests (in a long run: two a core)")


def pytest_configure() -> None:
    # Of `pytest &` in a script, or under nohup: what the tests send must reach what they start.
    for name, meant in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, meant)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    option = session.config.option
    is_watched = option.usepdb or option.capture == "no" or option.maxfail or option.collectonly
    is_long = len(session.items) >= LONG_RUN
    count = option.lanes or (LANES_PER_CORE * (os.cpu_count() or 1) if is_long else 1)
    if count == 1 or is_watched or session.testsfailed or not hasattr(os, "fork"):
        return None
    lanes: dict[Connection, int] = {}
    for _ in range(count):
        ours, theirs = Pipe()
        pid = os.fork()
        if not pid:
            return _run_lane(session, theirs, [ours, *lanes])
        theirs.close()
        lanes[ours] = pid
    try:
        _show_reports(session, list(lanes))
    finally:
        for connection, pid in lanes.items():
            connection.close()
            os.waitpid(pid, 0)
    return True


def _show_reports(session: pytest.Session, lanes: list[Connection]) -> None:
    """Deal the files, and hand on what the lanes report, until all have ended."""
    hook = session.config.hook
    numbers = iter(range(len(_files(session))))
    last: dict[Connection, str] = {}
    while lanes:
        for lane in wait(lanes):
            try:
                message = lane.recv()
            except EOFError:
                pytest.exit(f"a process that ran tests has died, after {last.get(lane)}", returncode=1)
            if message is None:
                lane.send(next(numbers, None))
            elif message == "done":
                lanes.remove(lane)
            else:
                report = hook.pytest_report_from_serializable(config=session.config, data=message)
                hook.pytest_runtest_logreport(report=report)
                last[lane] = f"the {report.when} of {report.nodeid}"


class _Reporter:
    """In a lane: sends each report to whoever shows it."""

    def __init__(self, config: pytest.Config, connection: Connection) -> None:
        self._config = config
        self._connection = connection

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._connection.send(told)


def _run_lane(session: pytest.Session, connection: Connection, of_others: list[Connection]) -> bool:
    for other in of_others:
        other.close()
    config = session.config
    # What it captures goes to files of its own, and nothing that it says to the terminal.
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    for name in ("terminalreporter", "lfplugin", "nfplugin", "stepwiseplugin"):
        if config.pluginmanager.has_plugin(name):
            config.pluginmanager.unregister(name=name)
    config.pluginmanager.register(_Reporter(config, connection))
    with contextlib.suppress(BrokenPipeError, EOFError):  # whoever showed the reports has ended
        _run_files(config, _dealt(session, connection))
        connection.send("done")
    return True


def _run_files(config: pytest.Config, files: Files) -> None:
    this = next(files, None)
    while this:
        # The next is known before the last test of this one ends: what both stand on is kept.
        following = next(files, None)
        for item, next_item in zip(this, [*this[1:], following[0] if following else None], strict=True):
            config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
        this = following


def _dealt(session: pytest.Session, connection: Connection) -> Files:
    files = _files(session)
    while True:
        connection.send(None)
        number = connection.recv()
        if number is None:
            return
        yield files[number]


def _files(session: pytest.Session) -> list[list[pytest.Item]]:
    """What is dealt, in the order of the collection: a file's tests stay together."""
    return [[*items] for _, items in itertools.groupby(session.items, lambda item: item.path)]
