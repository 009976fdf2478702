"""The table: every fault and what must come of it, operation by operation.

A row says what is *particular* to it. What holds for all of them (one effect at most, none after a "rejected", no
secret anywhere, only our own errors, in time, flat memory) is in `judge.py` and checked for every case.
"""

from __future__ import annotations

from .expect import OPERATIONS, Expect, Row
from .rows_of_answers import PAYLOAD, REDIRECTS, STATUS
from .rows_of_calls import INPUTS, RUN
from .rows_of_sessions import KEEPALIVE, PROXY, REPLAY, TLS_ROWS
from .rows_of_wire import CONNECT, FRAMING, TIME

ROWS: list[Row] = [
    *CONNECT,
    *FRAMING,
    *TIME,
    *STATUS,
    *REDIRECTS,
    *PAYLOAD,
    *TLS_ROWS,
    *KEEPALIVE,
    *REPLAY,
    *PROXY,
    *INPUTS,
    *RUN,
]


def cases(rows: list[Row] = ROWS) -> list[tuple[Row, str, Expect]]:
    """Every row for every operation that it applies to."""
    pairs = ((row, op, row.expect(op)) for row in rows for op in OPERATIONS)
    return [(row, op, expect) for row, op, expect in pairs if expect]
