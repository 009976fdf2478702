"""Idempotency keys: one push, one key, on every attempt, retry and re-run."""

from __future__ import annotations

import pytest

from seekapi._worker import keys
from seekapi._worker.keys import KeyLedger, Occurrences, ledger_of, result_key


def delivered(ledger: KeyLedger, content: str, operation: str = "push_data", token: str = "tok") -> str:
    with ledger.reserve(token, operation, content) as key:
        return key


def failed(ledger: KeyLedger, content: str) -> str:
    with pytest.raises(OSError), ledger.reserve("tok", "push_data", content) as key:
        raise OSError("no answer")
    return key


def test_equal_pushes_are_two_pushes():
    """A job may push the same value twice and mean it."""
    ledger = KeyLedger()

    assert delivered(ledger, "1") != delivered(ledger, "1")


def test_a_push_repeated_after_an_error_is_the_same_push():
    """The platform may have the first one; the key lets it see that."""
    ledger = KeyLedger()

    assert failed(ledger, "1") == failed(ledger, "1") == delivered(ledger, "1")


def test_a_rerun_of_the_event_has_the_same_keys_in_any_order():
    """Lambda may run an event again, and threads push in another order."""
    first, second = KeyLedger(), KeyLedger()

    keys_of_first = {delivered(first, content) for content in ("a", "b", "a")}
    keys_of_second = {delivered(second, content) for content in ("a", "a", "b")}

    assert keys_of_first == keys_of_second and len(keys_of_first) == 3


def test_a_failure_among_others_gives_back_only_its_own_key():
    """Two equal pushes on the way at once, the first fails: the retry takes the first's key."""
    ledger = KeyLedger()
    first, second = ledger.reserve("tok", "push_data", "1"), ledger.reserve("tok", "push_data", "1")
    second.__exit__(None, None, None)
    first.__exit__(OSError, OSError(), None)

    assert delivered(ledger, "1") == first.key != second.key


def test_job_operation_and_content_tell_keys_apart():
    """No two different effects share a key."""
    ledger = KeyLedger()
    keys = {
        delivered(ledger, "1"),
        delivered(ledger, "2"),
        delivered(ledger, "1", operation="push_file"),
        delivered(KeyLedger(), "1", token="other"),
        result_key("tok"),
        result_key("other"),
    }

    assert len(keys) == 6 and all(len(key) == 32 for key in keys)


def test_threads_never_share_a_number():
    """Also among those that failed deliveries have given back."""
    import sys
    import threading

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(30):
            occurrences = Occurrences()
            for number in range(40):
                occurrences.give_back(occurrences.take() if number % 2 else 1000 + number)
            taken: list[int] = []
            threads = [
                threading.Thread(target=lambda o=occurrences, t=taken: t.extend([o.take() for _ in range(40)]))
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            assert len(set(taken)) == len(taken) == 160
    finally:
        sys.setswitchinterval(before)


def test_many_jobs_outside_of_run_are_forgotten_in_time():
    """A process that lives for months keeps the last few."""
    for number in range(200):
        ledger_of(f"job-{number}", "tok")

    assert len(keys._ledgers) <= keys.MOST_LEDGERS and ("job-199", "tok") in keys._ledgers
