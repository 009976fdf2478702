"""Every fault of the table, for every operation that it applies to, over real sockets: one test each.

All cases are played at once when the first test asks (most of them only wait); each test then reads its own result.
`python tests/faults/report.py` plays them too, and shows how long past the deadline each took.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .expect import Expect, Row
from .judge import problems_of
from .runner import Observation, Sdk, observe_all
from .table import cases

CASES = cases()


@pytest.fixture(scope="session")
def observations(request: pytest.FixtureRequest) -> Iterator[dict[str, Observation]]:
    """What came of each case that this session asks for, by test id."""
    ids = {item.callspec.id for item in request.session.items if item.function is test_row}  # type: ignore[attr-defined]
    wanted = [case for case in CASES if _id(case) in ids]
    with Sdk() as sdk:
        yield {seen.name: seen for seen in observe_all(sdk, wanted)}


def _id(case: tuple[Row, str, Expect]) -> str:
    return f"{case[0].name}-{case[1]}"


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_row(case: tuple[Row, str, Expect], observations: dict[str, Observation]) -> None:
    """The outcome is right, typed and in time, gives nothing away, and the platform did it exactly as often."""
    seen = observations[_id(case)]

    problems = problems_of(seen)

    story = [seen.row.must, *problems, seen.result.get("printed", ""), seen.result.get("log", "")]
    assert not problems, "\n".join(story)
