"""A value against a JSON Schema document: what is understood, what is refused, and how a problem reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seekapi._protocol import schemas
from seekapi._protocol.schemas import checks, formats, keywords, rules
from seekapi._protocol.schemas.keywords import SchemaError

DOCS = Path(__file__).resolve().parents[2] / "docs" / "typed-input.md"


def texts(schema, value, **options):
    return [str(problem) for problem in schemas.problems(schema, value, **options)]


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"type": "string"}, 1, "$: expected string, got integer"),
        ({"type": ["string", "null"]}, 1.5, "$: expected string or null, got number"),
        ({"items": {"type": "string"}}, ["a", None], "$[1]: expected string, got null"),
        ({"properties": {"a b": {"type": "object"}}}, {"a b": []}, '$["a b"]: expected object, got array'),
        ({"required": ["urls"]}, {}, "$.urls: is missing"),
        ({"enum": [1, 2]}, 3, "$: expected one of 1, 2, got 3"),
        ({"const": "a"}, {}, '$: expected "a", got object'),
        ({"minimum": 1}, 0.5, "$: must be at least 1, got 0.5"),
        ({"exclusiveMaximum": 1}, 1, "$: must be below 1, got 1"),
        ({"maxLength": 2}, "abc", "$: must have at most 2 characters, got 3"),
        ({"multipleOf": 0.01}, 0.001, "$: must be a multiple of 0.01, got 0.001"),
        ({"pattern": "^a$"}, "a\n", '$: must match "^a$"'),
        ({"pattern": "a"}, "b" * 70_000, "$: is too long to be searched for a pattern (at most 65536)"),
        ({"uniqueItems": True}, [1, "1", 1.0], "$[2]: must not repeat item 0"),
        ({"prefixItems": [True], "items": False}, [1, 2], "$: must have at most 1 items, got 2"),
        ({"contains": {"const": 1}}, [2], "$: must contain at least 1 fitting items, has 0"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, '$.b: is missing, and needed beside "a"'),
        (
            {"propertyNames": {"maxLength": 1}},
            {"ab": 1},
            "$.ab: is not allowed as a key: must have at most 1 characters",
        ),
        ({"additionalProperties": False}, {"a": 1}, "$.a: unknown key"),
        ({"oneOf": [{"minimum": 1}, {"maximum": 5}]}, 3, "$: fits 2 of the alternatives, and only one is allowed"),
        ({"not": {"type": "null"}}, None, "$: is not allowed here"),
        ({"if": {"const": 1}, "then": False}, 1, "$: is not allowed here"),
        ({"format": "date"}, "2026-02-29", "$: expected a date (2026-01-31)"),
        (False, 1, "$: is not allowed here"),
        (
            {"$ref": "#/$defs/a%20b~1c~0", "$defs": {"a b/c~": {"type": "null"}}},
            1,
            "$: expected null, got integer",
        ),
    ],
)
def test_a_problem_says_where_and_what(schema, value, problem):
    """A path from the root, what was expected, what came."""
    assert texts(schema, value)[0].startswith(problem)


@pytest.mark.parametrize(
    "schema",
    [
        {"unevaluatedProperties": False},
        {"properties": {"a": {"$anchor": "here"}}},
        {"$dynamicRef": "#a"},
        {"items": {"$id": "other"}},
        {"$ref": "other.json"},
        {"$ref": "#anchor"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/title", "title": "a"},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        {"dependencies": {}},
        {"minimun": 1},
        {"type": "text"},
        {"type": {}},
        {"minimum": "1"},
        {"maxLength": -1},
        {"maxItems": float("inf")},
        {"required": "a"},
        {"properties": []},
        {"items": [{}]},
        {"anyOf": []},
        {"pattern": "("},
        {"pattern": r"\p{Letter}"},
        {"patternProperties": {"(": {}}},
        {"multipleOf": 0},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#"}]}}},
        {"$defs": {"a": 1}},
        "string",
        None,
    ],
)
def test_what_is_not_understood_is_refused(schema):
    """Never ignored: a constraint that nobody checks is worse than an error."""
    with pytest.raises(SchemaError):
        schemas.problems(schema, 1)


def test_what_only_informs_is_ignored():
    """Titles, comments, formats that nobody knows, and whatever begins with x-."""
    schema = {name: ["anything"] for name in keywords.ANNOTATIONS} | {"x-more": 1, "format": "color", "$id": "a"}

    assert texts(schema, "value") == []
    assert texts({"format": "date"}, "value", formats=False) == []


def test_the_tables_of_the_docs_are_those_of_the_code():
    """Every keyword that is checked, every annotation, every format; and each checked one has its check."""
    text = DOCS.read_text(encoding="utf-8")
    row = {name: set(re.findall(r"`([^`]+)`", line)) for name, line in re.findall(r"^\| (\w+) \|(.+)\|$", text, re.M)}

    assert row["checked"] == keywords.KEYWORDS.keys()
    assert row["ignored"] == {*keywords.ANNOTATIONS, "$schema", "$id", "x-..."}
    assert row["formats"] == formats.FORMATS.keys()
    beside_another = {"$defs", "type", "then", "else", "minContains", "maxContains"}
    assert rules.RULES.keys() == keywords.KEYWORDS.keys() - beside_another


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("2026-01-31T12:00:00Z", True),
        ("2026-01-31t12:00:00.123456789+02:00", True),
        ("2026-01-31T12:00:00", False),
        ("2026-01-31 12:00:00Z", False),
        ("2026-02-30T12:00:00Z", False),
        ("2026-01-31T24:00:00Z", False),
        ("1998-12-31T15:59:60-08:00", True),
        ("1998-12-31T22:59:60Z", False),
        ("２026-01-31T12:00:00Z", False),
    ],
)
def test_a_moment_is_what_rfc_3339_says(text, is_one):
    """With an offset, which makes it the same moment everywhere."""
    assert (texts({"format": "date-time"}, text) == []) is is_one


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        ("^a$", "a\n", False),
        (r"^\d$", "\u0663", False),
        (r"^\w$", "é", False),
        (r"^\s$", "\ufeff", True),
        (r"^[\s]$", "\u2003", True),
        (r"^\S$", "\u00a0", False),
        (r"^\cA$", "\x01", True),
        (r"^(?<x>a|b)\k<x>$", "bb", True),
        (r"[$]", "$", True),
        (r"\$", "$", True),
        (r"(?<!a)b", "ab", False),
        (r"(?<=a)b", "ab", True),
    ],
)
def test_a_pattern_means_what_ecmascript_says(pattern, text, is_found):
    """A schema is read by others, too."""
    assert (texts({"pattern": pattern}, text) == []) is is_found


def test_many_problems_are_fifty():
    """And looking for them stops there."""
    names = [f"n{number}" for number in range(1000)]

    assert len(schemas.problems({"items": {"type": "string"}}, [1] * 10**5)) == checks.MOST_PROBLEMS
    assert len(schemas.problems({"required": names}, {})) == checks.MOST_PROBLEMS


def test_a_wrong_type_is_one_problem():
    """What else does not hold follows from it."""
    assert texts({"type": "string", "enum": ["a"], "const": "b"}, 1) == ["$: expected string, got integer"]


def test_a_suggestion_is_for_a_slip_of_the_pen():
    """A long text is no slip, and to compare it takes time."""
    known = {"properties": {"k" * 70: True}, "additionalProperties": False}

    assert "did you mean" not in texts(known, {"k" * 69: 1})[0]


def test_a_secret_in_any_schema_is_not_quoted():
    """By writeOnly or by the format, here or behind a reference, above or inside alternatives."""
    secret = {"writeOnly": True, "enum": ["a"], "additionalProperties": {"type": "string"}}
    schema = {
        "properties": {
            "a": {"$ref": "#/$defs/s"},
            "b": {"anyOf": [{"const": 1}, {"$ref": "#/$defs/s"}]},
            "c": {"format": "password", "maximum": 1},
            "d": secret,
        },
        "$defs": {"s": secret},
    }

    told = "\n".join(texts(schema, {"a": "topsecret", "b": "topsecret", "c": 777, "d": {"topsecret": 1}}))

    assert told.count("\n") >= 3
    assert "topsecret" not in told and "777" not in told


def test_alternatives_in_a_circle_take_no_time():
    """What was found out about a value is kept: without that this would take 2 to the power of 60 looks."""
    branch = {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]}
    value = None
    for _ in range(60):
        value = {"x": value}

    assert texts({"anyOf": [branch, {**branch}]}, value)
    assert texts({"oneOf": [branch, {**branch}]}, value)
