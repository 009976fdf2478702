"""What the markers of an Annotated demand: in the schema, and of the Python value where no schema can say it."""

from __future__ import annotations

import operator

from ...errors import SerializationError
from .. import json_text
from . import formats
from .markers import Choices, Doc, Marker, Pattern, Range, Secret
from .shapes import Marked, Shape
from .words import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

# What `at_least` and `at_most` bound, by the type of the JSON value.
_BOUNDS = {
    "number": ("minimum", "maximum"),
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}


class Misused(Exception):
    """A marker says something that its type cannot keep; the message says what."""


def marked(shape: Shape, markers: Iterable[Marker], definitions: Mapping[str, dict[str, Any]]) -> Shape:
    """`shape` with what the markers demand. Raises Misused."""
    for marker in markers:
        shape = _marked(shape, marker, definitions)
    return shape


def _marked(shape: Shape, marker: Marker, definitions: Mapping[str, dict[str, Any]]) -> Shape:
    schema, demand = dict(shape.schema), None
    kinds = _kinds_of(schema, definitions)
    types = {name for name, _ in kinds}
    if isinstance(marker, Doc):
        schema["description"] = marker.text
    elif isinstance(marker, Secret):
        schema["writeOnly"] = True
        if "string" in types and "format" not in schema:
            schema["format"] = "password"
    elif isinstance(marker, Pattern):
        schema = _both(schema, {"pattern": _checked_regex(marker, types)})
    elif isinstance(marker, Choices):
        schema = _both(schema, {"enum": _forms(marker)})
    elif isinstance(marker, Range):
        schema = _both(schema, _bounds(marker, kinds))
        demand = _decimal_demand(marker) if ("string", "decimal") in kinds else None
    is_secret = shape.is_secret or isinstance(marker, Secret)
    return Marked(shape, schema, is_secret=is_secret, demand=demand)


def _both(schema: dict[str, Any], demands: dict[str, Any]) -> dict[str, Any]:
    """A schema with more demands; those that it has already stay beside them."""
    if not schema.keys() & demands.keys():
        return {**schema, **demands}
    return {**schema, "allOf": [*schema.get("allOf", ()), demands]}


def _kinds_of(
    schema: dict[str, Any], definitions: Mapping[str, dict[str, Any]], seen: tuple[str, ...] = ()
) -> set[tuple[str, str]]:
    """The types that a value of this schema can have, as _BOUNDS names them, each with its format or "".

    All types if the schema does not say.
    """
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {("number" if name == "integer" else name, schema.get("format", "")) for name in types}
    if "anyOf" in schema:
        return set().union(*(_kinds_of(part, definitions, seen) for part in schema["anyOf"]))
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name in definitions and name not in seen:
        return _kinds_of(definitions[name], definitions, (*seen, name))
    if "enum" in schema:
        return set()
    return {(name, "") for name in (*_BOUNDS, "null", "boolean")}


def _checked_regex(marker: Pattern, types: set[str]) -> str:
    if "string" not in types:
        raise Misused("Pattern is for text")
    try:
        formats.regex(marker.regex)
    except (TypeError, ValueError) as error:
        raise Misused(f"Pattern: {error}") from None
    return marker.regex


def _forms(marker: Choices) -> list[Any]:
    if not marker.values:
        raise Misused("Choices() leaves nothing to choose")
    try:
        return [json_text.parse(json_text.encode(value, what="value")) for value in marker.values]
    except SerializationError as error:
        raise Misused(f"Choices: {error}") from None


def _bounds(marker: Range, kinds: set[tuple[str, str]]) -> dict[str, Any]:
    """The keywords of a Range, for every type that the value can have."""
    formats_of_texts = {form for name, form in kinds if name == "string"} - {"password"}
    for form in formats_of_texts - {"", "decimal"}:
        raise Misused(f"Range cannot bound a {form}")
    if len(formats_of_texts) > 1:
        raise Misused("Range cannot bound both a Decimal and a text")
    types = {name for name, form in kinds if (name, form) != ("string", "decimal")}
    found: dict[str, Any] = {}
    for name in sorted(types & _BOUNDS.keys()):
        for keyword, bound in zip(_BOUNDS[name], (marker.at_least, marker.at_most), strict=True):
            if bound is not None:
                found[keyword] = _number(bound, is_count=name != "number")
    if marker.above is not None or marker.below is not None:
        if "number" not in types:
            raise Misused("Range: above and below are for numbers")
        found |= {"exclusiveMinimum": _number(marker.above)} if marker.above is not None else {}
        found |= {"exclusiveMaximum": _number(marker.below)} if marker.below is not None else {}
    if not found:
        raise Misused("Range bounds nothing here")
    return found


def _number(bound: Any, *, is_count: bool = False) -> int | float:
    """A bound as JSON has it."""
    is_number = isinstance(bound, (int, float)) or type(bound).__name__ == "Decimal"
    if not is_number or isinstance(bound, bool) or bound != bound or abs(bound) == float("inf"):
        raise Misused(f"Range takes numbers, not {bound!r}")
    if is_count and (bound < 0 or bound != int(bound)):
        raise Misused(f"Range: a length is a whole number, not {bound!r}")
    return int(bound) if bound == int(bound) else float(bound)


def _decimal_demand(marker: Range) -> Callable[[Any], str]:
    """The same bounds for a Decimal, which the schema cannot bound where it is a text."""
    from decimal import Decimal

    bounds = (
        (marker.at_least, operator.ge, "at least"),
        (marker.at_most, operator.le, "at most"),
        (marker.above, operator.gt, "above"),
        (marker.below, operator.lt, "below"),
    )

    def demand(value: Any) -> str:
        if not isinstance(value, Decimal):
            return ""  # one of the other types that it may have
        for bound, compare, words in bounds:
            if bound is not None and not compare(value, bound):
                return f"must be {words} {bound}, got {shown(float(value))}"
        return ""

    return demand
