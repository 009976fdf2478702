"""Idempotency keys: the same push has the same key on every attempt, on a caller's retry, and on a re-run of the event.

A key is made of the execution token, the operation, a digest of the content, and how many times this content was
delivered before. So two equal pushes are two, a push repeated after an error is one, and the order in which
threads push does not matter.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

KEY_LENGTH = 32


def result_key(execution_token: str) -> str:
    """The key of what run() pushes: one per execution, so a second run of the same event adds nothing."""
    return _digest(execution_token, "result")


class KeyLedger:
    """Which contents one context has delivered, and how often."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], set[int]] = {}

    def reserve(self, execution_token: str, operation: str, content: str) -> Reservation:
        """The key for this content; given back if the delivery fails."""
        taken = self._taken.setdefault((operation, content), set())
        occurrence = next(n for n in range(len(taken) + 1) if n not in taken)
        taken.add(occurrence)
        return Reservation(_digest(execution_token, operation, content, str(occurrence)), taken, occurrence)


class Reservation:
    """`with ledger.reserve(...) as key:` keeps the key as used, unless the block raises."""

    def __init__(self, key: str, taken: set[int], occurrence: int) -> None:
        self.key = key
        self._taken = taken
        self._occurrence = occurrence

    def __enter__(self) -> str:
        return self.key

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if kind is not None:
            self._taken.discard(self._occurrence)


class Given:
    """`with Given(key) as key:`, for a key that nobody keeps a record of."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __enter__(self) -> str:
        return self.key

    def __exit__(self, *exc_info: object) -> None:
        return None


def _digest(*parts: str) -> str:
    from hashlib import sha256

    return sha256("|".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:KEY_LENGTH]
