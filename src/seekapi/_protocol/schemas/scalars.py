"""The scalar types of an input: numbers, texts, and what is written as a text or a number in JSON."""

from __future__ import annotations

import sys

from . import formats
from .shapes import Made, Shape, Whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_INTEGER_KEY = "^(0|-?[1-9][0-9]*)$"
_LONGEST_DECIMAL = 4300


def shape_of(cls: type) -> Shape | None:
    """The shape of a scalar type; None if it is none of those."""
    if cls is bool:
        return Shape({"type": "boolean"})
    if cls is int:
        return Whole({"type": "integer"})
    if cls is float:
        return Made({"type": "number"}, _float)
    if cls is str:
        return Shape({"type": "string"})
    if cls is _known("datetime", "datetime"):
        return Made({"type": "string", "format": "date-time"}, formats.date_time)
    if cls is _known("datetime", "date"):
        return Made({"type": "string", "format": "date"}, cls.fromisoformat)  # type: ignore[attr-defined]
    if cls is _known("datetime", "time"):
        return Made({"type": "string", "format": "time-local"}, lambda text: cls(*formats.local_time_parts(text)))
    if cls is _known("datetime", "timedelta"):
        return Made({"type": "number"}, lambda seconds: _time_span(cls, seconds))
    if cls is _known("uuid", "UUID"):
        return Made({"type": "string", "format": "uuid"}, cls)
    if cls is _known("decimal", "Decimal"):
        return Made({"type": ["string", "number"], "format": "decimal"}, lambda value: _decimal(cls, value))
    pure_path = _known("pathlib", "PurePath")
    if pure_path is not None and issubclass(cls, pure_path):
        return Made({"type": "string"}, cls)
    return None


def integer_key() -> Shape:
    """An integer as the key of an object, which is a text."""
    return Made({"type": "string", "pattern": _INTEGER_KEY}, int)


def as_key(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of a key: what is demanded of it beside being a text; None if no text can fit."""
    if "enum" in schema:
        return schema if all(isinstance(value, str) for value in schema["enum"]) else None
    if schema in ({}, {"type": "string"}):
        return {}
    return schema if schema.get("type") == "string" else None


def _known(module: str, name: str) -> type | None:
    """A class of the standard library, if its module is loaded: only then something can be annotated with it."""
    return getattr(sys.modules.get(module), name, None)


def _float(value: float) -> float:
    made = float(value)
    if made in (float("inf"), float("-inf")):
        raise ValueError("is too large a number")
    return made


def _time_span(cls: Any, seconds: float) -> Any:
    try:
        return cls(seconds=seconds)
    except OverflowError:
        raise ValueError("is too long a time") from None


def _decimal(cls: Any, value: str | float) -> Any:
    """A text by its digits; a number by the shortest digits that mean it, which are those that stood in the JSON."""
    text = value if isinstance(value, str) else repr(value)
    if len(text) > _LONGEST_DECIMAL or text.lstrip("-") == "inf":
        raise ValueError("has too many digits")
    return cls(text)
