"""An input to begin with, made from the JSON Schema of a worker. Pure."""

from __future__ import annotations

from .._protocol import schemas

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Schema = dict[str, Any]

_DEEPEST = 8
# Nobody types more.
_MOST_ITEMS, _LONGEST_TEXT = 5, 60
_OF_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_OF_TYPES: dict[str, Any] = {"boolean": True, "null": None, "object": {}}


def of(schema: Schema) -> Any:
    """A value that the schema allows: what is required; all that is known if nothing is.

    Raises ValueError if none is found, as with a pattern: only a person knows what it stands for.
    """
    value = _of(schema, schema.get("$defs", {}), 0)
    if schemas.problems(schema, value):
        raise ValueError("no example")
    return value


def _of(schema: Any, defined: dict[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return {}
    if "$ref" in schema:
        return _of(defined.get(schema["$ref"].rpartition("/")[2]), defined, depth + 1)
    for name in ("default", "const"):
        if name in schema:
            return schema[name]
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return _of(schema[name][0], defined, depth + 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if isinstance(schema.get("properties"), dict):
        wanted = schema.get("required") or schema["properties"]
        parts = {name: part for name, part in schema["properties"].items() if name in wanted}
        return {name: _of(part, defined, depth + 1) for name, part in parts.items()}
    if kind == "array":
        count = min(schema.get("minItems", 0), _MOST_ITEMS)
        first = schema.get("prefixItems") or []
        rest = [schema.get("items")] * max(0, count - len(first))
        return [_of(part, defined, depth + 1) for part in [*first, *rest]]
    if kind == "string":
        return _text(schema)
    if kind in ("integer", "number"):
        return _number(schema, is_whole=kind == "integer")
    return _OF_TYPES.get(str(kind), {})


def _text(schema: Schema) -> str:
    if schema.get("format") in _OF_FORMATS:
        return _OF_FORMATS[schema["format"]]
    length = min(schema.get("minLength", 0), _LONGEST_TEXT)
    return "text".ljust(length, "t")[: schema.get("maxLength", _LONGEST_TEXT)]


def _number(schema: Schema, *, is_whole: bool) -> float:
    """1, or what is nearest to it within the bounds."""
    step = schema.get("multipleOf") or (1 if is_whole else 0.5)
    value: float = step if is_whole else max(step, 1.5)
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    if least is not None and value <= least:
        value = -(-least // step) * step
        value += step if value == schema.get("exclusiveMinimum") else 0
    if most is not None and value >= most:
        value = most // step * step
        value -= step if value == schema.get("exclusiveMaximum") else 0
    return int(value) if is_whole else value
