"""The input that `seekapi dev` suggests: one that the worker takes, or none."""

from __future__ import annotations

import pytest

from seekapi._cli import example
from seekapi._protocol import schemas

WITH_A_LIST = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}, "minItems": 2}}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "minLength": 6}, "texttt"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "minimum": 4, "multipleOf": 3}, 6),
        ({"type": "number", "exclusiveMinimum": 7}, 7.5),
        ({"type": "number", "maximum": 0.5}, 0.5),
        ({"type": ["null", "string"]}, None),
        ({"enum": ["low", "high"]}, "low"),
        ({"type": "array"}, []),
        (WITH_A_LIST, {"a": [1, 1]}),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2}, ["text", 1]),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"$ref": "#/$defs/A", "$defs": {"A": WITH_A_LIST}}, {"a": [1, 1]}),
        ({**WITH_A_LIST, "properties": {**WITH_A_LIST["properties"], "b": True}, "required": ["b"]}, {"b": {}}),
        ({}, {}),
    ],
)
def test_it_obeys_the_schema(schema, expected):
    """Types, bounds, lengths, formats, alternatives; of an object what is required, or all if nothing is."""
    value = example.of(schema)

    assert value == expected and type(value) is type(expected)
    assert schemas.problems(schema, value) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "uniqueItems": True},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "object", "properties": {}, "minProperties": 1},
        {"type": "string", "minLength": 1000},
    ],
)
def test_none_is_better_than_a_wrong_one(schema):
    """A pattern is for people to understand."""
    with pytest.raises(ValueError, match="no example"):
        example.of(schema)
