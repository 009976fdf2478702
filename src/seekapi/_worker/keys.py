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
        self._occurrences: dict[tuple[str, str], Occurrences] = {}

    def reserve(self, execution_token: str, operation: str, content: str) -> Reservation:
        """The key for this content; given back if the delivery fails."""
        occurrences = self._occurrences.setdefault((operation, content), Occurrences())
        number = occurrences.take()
        return Reservation(_digest(execution_token, operation, content, str(number)), occurrences, number)


class Occurrences:
    """The numbers of one content's deliveries: 0, 1, 2 ... and those that a failed delivery gave back."""

    __slots__ = ("_next", "_returned")

    def __init__(self) -> None:
        self._next = 0
        self._returned: set[int] = set()

    def take(self) -> int:
        """The lowest number that no delivery has."""
        if self._returned:
            number = min(self._returned)
            self._returned.discard(number)
            return number
        self._next += 1
        return self._next - 1

    def give_back(self, number: int) -> None:
        """The delivery failed: the next one of this content is the same delivery."""
        self._returned.add(number)


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
