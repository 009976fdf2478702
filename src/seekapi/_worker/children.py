"""The processes that a job has started: found, and ended with it when its time is up.

On Linux, from /proc; elsewhere nothing is found and nothing is killed. A process is known by its id and the moment it
began, so that one which was given the same id later is not taken for it.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# A process that ends may have started another one a moment before.
PASSES = 3
# How long the killed are waited for: what they held (ports, files) is free when the next job starts.
DEATH_S = 0.1
LOOK_EVERY_S = 0.001

# Killed, and then left to whoever started them (subprocess, multiprocessing): they want to see the exit code. What
# nobody has asked for when a later job begins, nobody will.
_killed: list[Process] = []


class Process:
    """A line of the process table. `began` is in the clock ticks of the kernel since its start."""

    __slots__ = ("began", "group", "is_dead", "parent", "pid", "session")

    def __init__(self, pid: int, state: str, parent: int, group: int, session: int, began: int) -> None:
        self.pid, self.parent, self.group, self.session, self.began = pid, parent, group, session, began
        self.is_dead = state in "ZX"

    def is_alive(self) -> bool:
        """Whether this very process is still there, and not only its exit code."""
        now = _process(self.pid)
        return now is not None and now.began == self.began and not now.is_dead


def snapshot() -> frozenset[int]:
    """The ids of the children of this process. Costs one system call if there are none."""
    if not _has_children():
        return frozenset()
    return frozenset(process.pid for process in _children(_table(), None))


def started_since(before: frozenset[int], thread: int | None = None) -> list[Process]:
    """What the children that are not in `before` have become: they and all below them.

    With `thread` (its id in the kernel), only those that this thread has started.
    """
    if not _has_children():
        return []
    table = _table()
    roots = [process for process in _children(table, thread) if process.pid not in before]
    return _with_all_below(roots, table)


def kill(found: Iterable[Process], before: frozenset[int], thread: int | None = None) -> None:
    """End `found`, what is left of their groups, and what was started since; waits for their death, but not long."""
    victims = {process.pid: process for process in found}
    for _ in range(PASSES):
        victims.update((process.pid, process) for process in started_since(before, thread))
        if not victims:
            return
        victims.update((process.pid, process) for process in _with_all_below(victims.values(), _table()))
        killed = [process for process in victims.values() if _is_killed(process)]
        if not killed:
            break
        _killed.extend(process for process in killed if process.parent == os.getpid())
    _wait_until_dead(victims.values())


def reap() -> None:
    """Clear away the exit codes of children killed in an earlier job that nobody has asked for."""
    while _killed:
        process = _killed.pop()
        now = _process(process.pid)
        if now is not None and now.is_dead and now.began == process.began and now.parent == os.getpid():
            try:
                os.waitpid(process.pid, os.WNOHANG)
            except OSError:
                pass  # its owner was faster


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (AttributeError, OSError):  # Windows, macOS up to Python 3.12; ECHILD
        return False
    return True


def _children(table: dict[int, Process], thread: int | None) -> list[Process]:
    own = os.getpid()
    # Also those that are dead and not cleared away: a group may still bear their id.
    children = [process for process in table.values() if process.parent == own]
    if thread is None:
        return children
    of_thread = _ids_in(f"/proc/self/task/{thread}/children")
    return [process for process in children if process.pid in of_thread]


def _with_all_below(roots: Iterable[Process], table: dict[int, Process]) -> list[Process]:
    """`roots`, their descendants, and who is in a group or a session that one of them leads, or has led."""
    found = {process.pid: process for process in roots}
    own = {os.getpid(), os.getpgrp(), os.getsid(0)}
    while True:
        # An id stays taken while a group bears it; if another process has it, the group is gone.
        heads = {pid for pid, process in found.items() if _is_same(table.get(pid), process)} - own
        more = [
            process
            for process in table.values()
            if process.pid not in found
            and process.pid not in own
            and not process.is_dead
            and not heads.isdisjoint((process.parent, process.group, process.session))
        ]
        if not more:
            return list(found.values())
        found.update((process.pid, process) for process in more)


def _is_same(now: Process | None, process: Process) -> bool:
    return now is None or now.began == process.began


def _is_killed(process: Process) -> bool:
    if not process.is_alive():
        return False
    try:
        os.kill(process.pid, 9)
    except OSError:
        return False  # gone, or of another user
    return True


def _wait_until_dead(processes: Iterable[Process]) -> None:
    end = time.monotonic() + DEATH_S
    while any(process.is_alive() for process in processes) and time.monotonic() < end:
        time.sleep(LOOK_EVERY_S)


def _table() -> dict[int, Process]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return {}
    processes = (_process(int(name)) for name in names if name.isdecimal())
    return {process.pid: process for process in processes if process is not None}


def _process(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, in parentheses, may hold anything: fields are counted from behind it.
            fields = file.read().rpartition(b")")[2].split()
        state, parent, group, session = fields[0].decode("ascii"), int(fields[1]), int(fields[2]), int(fields[3])
        return Process(pid, state, parent, group, session, int(fields[19]))
    except (OSError, IndexError, ValueError):
        return None


def _ids_in(path: str) -> set[int]:
    try:
        with open(path, "rb") as file:
            return {int(word) for word in file.read().split()}
    except (OSError, ValueError):
        return set()
