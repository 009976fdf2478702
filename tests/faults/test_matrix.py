"""Every fault of the table, for every operation that it applies to, over real sockets: one test each.

All cases are played at once when the first test asks (most of them only wait); each test then reads its own result.
`python tests/faults/report.py` plays them too, and shows how long past the deadline each took.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .expect import Expect, Row
from .judge import excusable_of, inexcusable_of, problems_of
from .runner import Observation, Sdk, observe_all
from .table import cases

CASES = cases()
# More than these are no accident; each may take seconds.
MOST_AGAIN = 60


@pytest.fixture(scope="session")
def observations(request: pytest.FixtureRequest) -> Iterator[dict[str, Observation]]:
    """What came of each case that this session asks for, by test id."""
    ids = {item.callspec.id for item in request.session.items if item.function is test_row}  # type: ignore[attr-defined]
    wanted = [case for case in CASES if _id(case) in ids]
    with Sdk() as sdk:
        seen = {one.name: one for one in observe_all(sdk, wanted)}
        # A busy machine may have brought about what time brings about: then it is gone when few are played at once.
        for _ in range(2):
            again = [case for case in wanted if is_excusable(seen[_id(case)])]
            if len(again) <= MOST_AGAIN:
                seen |= {one.name: one for one in observe_all(sdk, again, parallel=2)}
        yield seen


def is_excusable(seen: Observation) -> bool:
    """Whether something is wrong, and nothing that no machine excuses."""
    return not inexcusable_of(seen) and bool(excusable_of(seen))


def _id(case: tuple[Row, str, Expect]) -> str:
    return f"{case[0].name}-{case[1]}"


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_row(case: tuple[Row, str, Expect], observations: dict[str, Observation]) -> None:
    """The outcome is right, typed and in time, gives nothing away, and the platform did it exactly as often."""
    seen = observations[_id(case)]

    problems = problems_of(seen)

    story = [seen.row.must, *problems, seen.result.get("printed", ""), seen.result.get("log", "")]
    assert not problems, "\n".join(story)
