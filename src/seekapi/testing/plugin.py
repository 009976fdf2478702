"""What pytest loads in every run of an environment that has seekapi: one fixture, and nothing until it is asked for."""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .platform import DevPlatform


@pytest.fixture
def seekapi_platform() -> Iterator[DevPlatform]:
    """A platform of its own for each test: `seekapi_platform.invoke(handler, {"name": "Ada"})`."""
    from .platform import DevPlatform

    with DevPlatform() as platform:
        yield platform
