"""Idempotency keys: the same push has the same key on every attempt, on a caller's retry, and on a re-run of the event.

A key is made of the execution token, the operation, a digest of the content, and how many times this content was
delivered before. So two equal pushes are two, a push repeated after an error is one, and the order in which
threads push does not matter.
"""

from __future__ import annotations

import os
from itertools import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

KEY_LENGTH = 32


def result_key(execution_token: str) -> str:
    """The key of what run() pushes: one per execution, so a second run of the same event adds nothing."""
    return _digest(execution_token, "result")


def yield_key(execution_token: str, number: int, text: str) -> str:
    """The key of what a handler yields as `number` (from 0): the same when the event runs again and yields the same.

    A handler that goes on where its last attempt ended yields something else there, and that is no repetition.
    """
    return _digest(execution_token, "yield", str(number), text)


class KeyLedger:
    """Which contents of one job have been delivered, and how often."""

    def __init__(self) -> None:
        self._occurrences: dict[tuple[str, str], Occurrences] = {}
        self._pid = os.getpid()
        self._nonce = ""

    def reserve(self, execution_token: str, operation: str, content: str) -> Reservation:
        """The key for this content; given back if the delivery fails."""
        if self._pid != os.getpid():
            # A fork counts on from the same numbers as its siblings: its pushes are its own.
            self._pid, self._nonce = os.getpid(), os.urandom(8).hex()
        occurrences = self._occurrences.setdefault((operation, content), Occurrences())
        number = occurrences.take()
        return Reservation(_digest(execution_token, operation, content, f"{number}{self._nonce}"), occurrences, number)


class Occurrences:
    """The numbers of one content's deliveries: 0, 1, 2 ... and those that a failed delivery gave back.

    Each step is one atomic operation, since threads deliver side by side.
    """

    __slots__ = ("_fresh", "_returned")

    def __init__(self) -> None:
        self._fresh = count()
        self._returned: list[int] = []

    def take(self) -> int:
        """A number that no delivery has."""
        try:
            return self._returned.pop()
        except IndexError:
            return next(self._fresh)

    def give_back(self, number: int) -> None:
        """The delivery failed: the next one of this content is the same delivery."""
        self._returned.append(number)


# The jobs that were delivered for outside of run(). Digests only; a job that falls out starts to count anew.
MOST_LEDGERS = 64
_ledgers: dict[tuple[str, str], KeyLedger] = {}


def ledger_of(job_uuid: str, execution_token: str) -> KeyLedger:
    """The ledger of a job outside of run(): one for all its contexts in this process, however they were made."""
    job = (job_uuid, execution_token)
    ledger = _ledgers.get(job) or _ledgers.setdefault(job, KeyLedger())
    while len(_ledgers) > MOST_LEDGERS:
        _ledgers.pop(next(iter(_ledgers)), None)
    return ledger


class Reservation:
    """`with ledger.reserve(...) as key:` keeps the key as used, unless the block raises."""

    __slots__ = ("_number", "_occurrences", "key")

    def __init__(self, key: str, occurrences: Occurrences, number: int) -> None:
        self.key = key
        self._occurrences = occurrences
        self._number = number

    def __enter__(self) -> str:
        return self.key

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is not None:
            self._occurrences.give_back(self._number)


class Given:
    """`with Given(key) as key:`, for a key that nobody keeps a record of."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key

    def __enter__(self) -> str:
        return self.key

    def __exit__(self, *exc_info: object) -> None:
        return None


def _digest(*parts: str) -> str:
    from hashlib import sha256

    return sha256("|".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:KEY_LENGTH]
