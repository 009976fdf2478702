"""What `typing.Annotated` may say about a part of the input: Range, Pattern, Choices, Doc, Secret.

Plain values without any machinery, so that a worker may import them on its cold path.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from decimal import Decimal


class Marker:
    """The common part: markers are equal if they say the same."""

    __slots__: tuple[str, ...] = ()

    def _said(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Marker) and other._said() == self._said()

    def __hash__(self) -> int:
        return hash(repr(self))  # Choices may hold what has no hash of its own

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in zip(self.__slots__, self._said(), strict=True))
        return f"{type(self).__name__}({said})"


class Range(Marker):
    """`Annotated[int, Range(1, 100)]`: at least 1 and at most 100; either may be None.

    Of a number it bounds the value, of a text its length in characters, of a list, tuple, set or dict how many are in
    it. `above` and `below`, for numbers only, leave the bound itself out: `Range(above=0)`.
    """

    __slots__ = ("above", "at_least", "at_most", "below")

    def __init__(
        self,
        at_least: float | Decimal | None = None,
        at_most: float | Decimal | None = None,
        *,
        above: float | Decimal | None = None,
        below: float | Decimal | None = None,
    ) -> None:
        self.at_least = at_least
        self.at_most = at_most
        self.above = above
        self.below = below


class Pattern(Marker):
    """`Annotated[str, Pattern(r"^[a-z]+$")]`: the regular expression is found somewhere in the text.

    Somewhere, as in JSON Schema: `^` and `$` anchor it.
    """

    __slots__ = ("regex",)

    def __init__(self, regex: str) -> None:
        self.regex = regex


class Choices(Marker):
    """`Annotated[str, Choices("fast", "good")]`: one of these values, and nothing else."""

    __slots__ = ("values",)

    def __init__(self, *values: object) -> None:
        self.values = values


class Doc(Marker):
    """`Annotated[str, Doc("The page to fetch.")]`: what a person is told about it, in the schema."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Secret(Marker):
    """`Annotated[str, Secret()]`: the value is never quoted, and is masked wherever the job's messages are.

    The function itself gets the value as it is.
    """

    __slots__ = ()
