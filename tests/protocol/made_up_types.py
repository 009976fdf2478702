"""Types that are made up, with a maker of values for each: what the round trip of typed input goes through."""

from __future__ import annotations

import random
import string
from dataclasses import make_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, Union
from uuid import UUID

from seekapi import Choices, Pattern, Range
from seekapi._protocol import json_text


class Colour(Enum):
    RED = "red"
    BLUE = 2
    PAIR = (1, "x")


class Level(int, Enum):
    LOW = 1
    HIGH = 2


def text(chance: random.Random) -> str:
    letters = string.ascii_letters + ' "\\/é\u2028\U0001f600'
    return "".join(chance.choice(letters) for _ in range(chance.randrange(6)))


def moment(chance: random.Random) -> datetime:
    zone = timezone(timedelta(minutes=chance.randrange(-720, 720)))
    return datetime(2000, 1, 1, tzinfo=zone) + timedelta(microseconds=chance.randrange(10**15))


# A type, a maker of its values, and the kind of JSON value that it is written as.
SCALARS: list[tuple[Any, Any, str]] = [
    (int, lambda c: c.randrange(-(10**20), 10**20), "number"),
    (Annotated[int, Range(1, 9)], lambda c: c.randrange(1, 10), "number"),
    (float, lambda c: c.choice([0.0, -1.5, 1e300, c.random(), 3.0]), "number"),
    (timedelta, lambda c: timedelta(microseconds=c.randrange(10**12)), "number"),
    (bool, lambda c: c.random() < 0.5, "boolean"),
    (str, text, "string"),
    (Annotated[str, Pattern("^[a-z]$")], lambda c: c.choice("abc"), "string"),
    (Annotated[str, Choices("x", "y")], lambda c: c.choice("xy"), "string"),
    (datetime, moment, "string"),
    (date, lambda c: moment(c).date(), "string"),
    (time, lambda c: moment(c).time(), "string"),
    (UUID, lambda c: UUID(int=c.getrandbits(128)), "string"),
    (Decimal, lambda c: Decimal(c.randrange(10**30)).scaleb(-c.randrange(20)), "string"),
    (PurePosixPath, lambda c: PurePosixPath("a") / (text(c).replace("/", "") or "b"), "string"),
    (Colour, lambda c: c.choice(list(Colour)), "any"),
    (Level, lambda c: c.choice(list(Level)), "number"),
    (Literal["a", 1, True, None, Level.HIGH], lambda c: c.choice(["a", True, None]), "any"),
    (type(None), lambda c: None, "null"),
]


def made_up(chance: random.Random, depth: int) -> tuple[Any, Any, str]:
    """A type, a maker of its values, and the kind of JSON value."""
    kind = chance.randrange(10) if depth else 0
    if kind <= 2:
        return chance.choice(SCALARS)
    if kind == 3:
        inner, make, _ = made_up(chance, depth - 1)
        return list[inner], lambda c: [make(c) for _ in range(c.randrange(4))], "array"
    if kind == 4:
        inner, make, _ = chance.choice(SCALARS)
        cls = chance.choice([set, frozenset])
        return cls[inner], lambda c: cls(_distinct(make(c) for _ in range(c.randrange(4)))), "array"
    if kind == 5:
        parts = [made_up(chance, depth - 1) for _ in range(chance.randrange(1, 4))]
        return tuple[tuple(p[0] for p in parts)], lambda c: tuple(p[1](c) for p in parts), "array"
    if kind == 6:
        key, make_key = chance.choice(
            [(str, text), (UUID, lambda c: UUID(int=c.getrandbits(128))), (date, SCALARS[9][1])]
        )
        inner, make, _ = made_up(chance, depth - 1)
        return dict[key, inner], lambda c: {make_key(c): make(c) for _ in range(c.randrange(4))}, "object"
    if kind == 7:
        inner, make, form = made_up(chance, depth - 1)
        other, make_other, other_form = made_up(chance, depth - 1)
        if "any" in (form, other_form) or form == other_form or {form, other_form} & {"null"}:
            return Union[inner, None], lambda c: make(c) if form == "null" or c.random() < 0.7 else None, "any"
        return Union[inner, other], lambda c: c.choice([make, make_other])(c), "any"
    return _structure(chance, depth, kind)


def _distinct(values: Any) -> list[Any]:
    """Without two that are the same in JSON, like 1 and True in a Python set."""
    return list({json_text.encode(value): value for value in values}.values())


def _structure(chance: random.Random, depth: int, kind: int) -> tuple[Any, Any, str]:
    parts = {f"f{index}": made_up(chance, depth - 1) for index in range(chance.randrange(1, 4))}
    if kind == 8:
        cls = make_dataclass("Made", [(name, part[0]) for name, part in parts.items()], frozen=True)
        return cls, lambda c: cls(**{name: part[1](c) for name, part in parts.items()}), "object"
    if chance.random() < 0.5:
        typed = TypedDict("Typed", {name: part[0] for name, part in parts.items()}, total=False)
        return typed, lambda c: {n: part[1](c) for n, part in parts.items() if c.random() < 0.7}, "object"
    named = NamedTuple("Named", [(name, part[0]) for name, part in parts.items()])
    return named, lambda c: named(*[part[1](c) for part in parts.values()]), "any"


def function_of(annotation: Any) -> Any:
    """A function whose input is annotated so."""

    def fn(job_input: object) -> None: ...

    fn.__annotations__["job_input"] = annotation
    return fn
