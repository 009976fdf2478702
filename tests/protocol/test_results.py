"""What is not JSON by itself has one form per type, wherever it stands in a result; an error finds the fault inside."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import InitVar, dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import pytest
from command import LIMIT_S, environ

from seekapi import SerializationError
from seekapi._protocol import json_text

DOCS = Path(__file__).resolve().parents[2] / "docs" / "typed-input.md"
ID = UUID("12345678-1234-5678-1234-567812345678")
EAST = timezone(timedelta(hours=2))


class Mode(Enum):
    FAST = "fast"
    PAIR = (1, date(2026, 1, 31))


class Word(str, Enum):
    YES = "yes"


class Level(IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: object


@dataclass
class Row:
    price: object
    tags: list[object] = field(default_factory=list)
    limit: InitVar[int] = 3
    kind: ClassVar[str] = "row"
    total: int = field(default=2, init=False)


@dataclass
class Slotted:
    __slots__ = ("other",)
    other: object


class Model:
    """As pydantic's models behave."""

    def __init__(self, dumped: Any) -> None:
        self.dumped = dumped

    def model_dump(self, *, mode: str) -> Any:
        assert mode == "json"
        return self.dumped


FORMS: list[tuple[object, object]] = [
    (Row(1, [Row(2)]), {"price": 1, "tags": [{"price": 2, "tags": [], "total": 2}], "total": 2}),
    (Slotted(ID), {"other": str(ID)}),
    (Point(1, ID), [1, str(ID)]),
    (Mode.FAST, "fast"),
    (Mode.PAIR, [1, "2026-01-31"]),
    (Word.YES, "yes"),
    (Level.LOW, 1),
    (datetime(2026, 1, 31, 12, tzinfo=timezone.utc), "2026-01-31T12:00:00Z"),
    (datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=EAST), "2026-01-31T12:00:00.000005+02:00"),
    (datetime(2026, 1, 31, 12), "2026-01-31T12:00:00"),
    (date(2026, 1, 31), "2026-01-31"),
    (time(8, 30), "08:30:00"),
    (timedelta(minutes=1), 60),
    (timedelta(milliseconds=1), 0.001),
    (ID, "12345678-1234-5678-1234-567812345678"),
    (PurePosixPath("a/b"), "a/b"),
    (Decimal("1.50"), "1.50"),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"b", "a"}), ["a", "b"]),
    ({Mode.FAST, ID, 1, None}, ["12345678-1234-5678-1234-567812345678", "fast", 1, None]),
    (Model({"when": date(2026, 1, 31)}), {"when": "2026-01-31"}),
    ({"deep": [Model([Row(Decimal(1))])]}, {"deep": [[{"price": "1", "tags": [], "total": 2}]]}),
    ({ID: 1, Mode.FAST: 2, date(2026, 1, 31): 3}, {str(ID): 1, "fast": 2, "2026-01-31": 3}),
    ({Word.YES: 1, Level.LOW: 2, None: 3, False: 4, 1.5: 5}, {"yes": 1, "1": 2, "null": 3, "false": 4, "1.5": 5}),
    (Row({ID: ID}), {"price": {str(ID): str(ID)}, "tags": [], "total": 2}),
]


@pytest.mark.parametrize(("value", "form"), FORMS, ids=repr)
@pytest.mark.parametrize("options", [{}, {"ascii_only": False}, {"indent": 2, "ascii_only": False}], ids=str)
def test_each_type_has_one_form(value, form, options):
    """At the root and inside; as compact text for the wire, as readable text for the disk."""
    assert json.loads(json_text.encode(value, **options)) == form
    assert json.loads(json_text.encode([{"a": value}], **options)) == [{"a": form}]


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (Row(float("nan")), "result.price", "is NaN"),
        ({"rows": [Row(1), Row([Row(float("inf"))])]}, "result.rows[1].price[0].price", "is inf"),
        (Row(1, [b"x"]), "result.tags[0]", "has no JSON form (push_file sends bytes)"),
        (Model({"a": [object()]}), "result.a[0]", "is of type object"),
        (Point(1, float("nan")), "result[1]", "is NaN"),
        (Decimal("NaN"), "result", "is the Decimal NaN"),
        ({ID: float("nan")}, f'result["{ID}"]', "is NaN"),
        ({"a": {float("nan"): 1}}, "result.a", "has a key that is NaN"),
        ({"a": {(1, 2): 1}}, "result.a", "has a key of type tuple"),
        ({"a": {Mode.PAIR: 1}}, "result.a", "has a key of type Mode"),
        ({"a": {Row(1).__class__: 1}}, "result.a", "is of type type"),
        ({str(ID): 1, ID: 2}, "result", "two keys that are both"),
        ({"counts": {"5": 3, 5: 4}}, "result.counts", "two keys that are both '5'"),
        ([{}, {"a": ({True: 1, "true": 2},)}], "result[1].a[0]", "two keys that are both 'true'"),
        (dict.fromkeys([*map(str, range(1000)), 7]), "result", "two keys that are both '7'"),
        ({ID: {None: 1, "null": 2}}, f'result["{ID}"]', "two keys that are both 'null'"),
        ({ID: 0, 1.5: 1, "1.5": 2}, "result", "two keys that are both '1.5'"),
        (Slotted.__new__(Slotted), "result", "whose JSON form cannot be had: AttributeError"),
        ({"a": (n for n in ())}, "result.a", "is of type generator"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_fault_is_found_inside_too(value, path, reason):
    """Of dataclasses, models, tuples and keys."""
    with pytest.raises(SerializationError) as caught:
        json_text.encode(value, what="result")

    assert caught.value.path == path
    assert reason in caught.value.reason
    assert caught.value.__context__ is None


def test_what_refers_to_itself_or_never_ends_is_refused():
    """Also where every step makes a new object."""
    row = Row(1)
    row.tags.append({"again": row})

    class Endless:
        def model_dump(self, mode: str) -> object:
            return [Endless()]

    with pytest.raises(SerializationError, match=r"result.tags\[0\].again refers back to itself"):
        json_text.encode(row, what="result")
    with pytest.raises(SerializationError, match="nested too deeply"):
        json_text.encode(Endless(), what="result")
    with pytest.raises(SerializationError, match="nested too deeply"):
        json_text.encode({ID: Endless()}, what="result")


def test_a_set_has_one_text():
    """Its order depends on its members only, so that an equal push has an equal key."""
    program = """
from seekapi._protocol import json_text
print(json_text.encode([{f"item-{n}" for n in range(50)}, {(n, f"{n}") for n in range(50)}]))
"""
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=environ(PYTHONHASHSEED=seed),
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT_S,
        ).stdout
        for seed in ("1", "2", "3")
    ]

    assert runs[0] == runs[1] == runs[2]
    assert json_text.encode({Mode.FAST, 1, "a", None, ID}) == f'["{ID}", "a", "fast", 1, null]'


def test_plain_data_loads_nothing():
    """The forms are for those who use them."""
    program = """
import sys
from seekapi._protocol import json_text
before = set(sys.modules)
json_text.encode({"a": [1, 2.5, None, True, "x", (1, 2)], "b": {}})
print(set(sys.modules) - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "set()"


def test_a_form_needs_no_import():
    """A dataclass among plain data does not bring datetime, uuid, decimal, pathlib along."""
    program = """
import sys
from seekapi._protocol import json_text
class Plain:
    def model_dump(self, mode): return {"a": 1}
before = set(sys.modules)
json_text.encode([Plain()])
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == ["seekapi._protocol.json_forms"]


def test_the_table_of_the_docs_is_true():
    """Each row: what is written in the first column becomes what is in the second."""
    rows = (
        DOCS.read_text(encoding="utf-8").split("| returned | arrives as |", 1)[1].partition("\n\n")[0].splitlines()[2:]
    )
    names: dict[str, Any] = {"datetime": datetime, "timezone": timezone, "date": date, "time": time, "UUID": UUID}
    names |= {
        "timedelta": timedelta,
        "Decimal": Decimal,
        "Path": PurePosixPath,
        "Mode": Mode,
        "Row": Slotted,
        "Point": Point,
    }

    assert len(rows) >= 10
    for row in rows:
        written, arrives = (cell.strip().strip("`") for cell in row.split("|")[1:3])
        assert json.loads(json_text.encode(eval(written, names))) == json.loads(arrives), row
