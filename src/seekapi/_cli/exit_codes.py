"""What the exit code of `seekapi` means; scripts rely on it, so a number never changes its meaning."""

from __future__ import annotations

OK = 0
JOB_FAILED = 1
USAGE = 2
# A setting or a file is wrong, or the handler cannot be imported: nothing was run.
CONFIGURATION = 3
PLATFORM_UNREACHABLE = 4
TIMEOUT = 5
INTERRUPTED = 130


def of_signal(number: int) -> int:
    """As a shell counts: 130 for SIGINT (Ctrl-C), 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + number
