"""The seven statuses of a job, and which may follow which. Values only.

The service in the field that speaks this protocol lets any status follow any other; what it documents is the table
below. So there are two ways to judge a change that a client asks for: lenient, as in the field, and strict. What the
platform itself does to a job keeps to the table in both.
"""

from __future__ import annotations

PENDING = "pending"  # Known, and not yet accepted.
QUEUED = "queued"  # Waits for a worker.
VALIDATING = "validating"  # A worker has it and looks at the input.
PROCESSING = "processing"  # A worker is at it.
COMPLETED = "completed"
ERROR = "error"
CANCELLED = "cancelled"

# In the order of the protocol.
STATUSES = (PENDING, QUEUED, VALIDATING, PROCESSING, COMPLETED, ERROR, CANCELLED)
ACTIVE = frozenset((VALIDATING, PROCESSING))
FINAL = frozenset((COMPLETED, ERROR, CANCELLED))

_STOPS = frozenset((ERROR, CANCELLED))
TRANSITIONS = {
    PENDING: frozenset((QUEUED, VALIDATING, PROCESSING)) | _STOPS,
    # A worker may report its result without a word before.
    QUEUED: frozenset((VALIDATING, PROCESSING, COMPLETED)) | _STOPS,
    # Back to the queue: a worker that gives a job back.
    VALIDATING: frozenset((QUEUED, PROCESSING, COMPLETED)) | _STOPS,
    PROCESSING: frozenset((QUEUED, COMPLETED)) | _STOPS,
    COMPLETED: frozenset(),
    ERROR: frozenset(),
    CANCELLED: frozenset(),
}


def may_follow(status: str, wanted: str, *, strict: bool) -> bool:
    """Whether a client may set `wanted` on a job in `status`.

    The same status again is no change, and always allowed: that is how a client adds warnings to a job that has ended.
    Another result for a job that is completed is one.
    """
    if wanted not in TRANSITIONS:
        return False
    return not strict or wanted == status or wanted in TRANSITIONS[status]
