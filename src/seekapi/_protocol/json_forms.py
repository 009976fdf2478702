"""The JSON form of what is not JSON by itself: one per type, the same wherever it stands in a result.

A type is looked for only if its module is loaded, so that plain data pays for none of them. The forms are shallow:
what is inside comes here again.
"""

from __future__ import annotations

import json
import sys

from .json_text import doubled_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


class NoForm(TypeError):
    """A value has no JSON form; the message completes "data.x ..."."""


def form_of(item: Any) -> Any:
    """A value that JSON has, or nearer to one, in the place of `item`. Raises NoForm.

    What a class of the user's own raises on the way comes through, unless it is an Exception: then NoForm says which.
    """
    try:
        return _form_of(item)
    except (NoForm, RecursionError):
        raise
    except Exception as error:
        reason = f"is of type {_name_of(item)}, whose JSON form cannot be had: {type(error).__name__}"
    raise NoForm(reason)


def key_of(key: object) -> str | float | None:
    """What stands for a dict's key that JSON would not take. Raises NoForm."""
    made: Any = form_of(key) if _has_key_form(key) else key
    if made is None or issubclass(type(made), (str, int, float)):
        return made  # type: ignore[no-any-return]
    raise NoForm(f"has a key of type {_name_of(key)}; JSON keys are strings")


def refuse_doubled(keys: Iterable[str | float | None]) -> None:
    """Raise NoForm if two of the keys of a dict, each as JSON would take it, are one there."""
    doubled = doubled_key(keys)
    if doubled is not None:
        raise NoForm(f"has two keys that are both {doubled[:60]!r} in JSON")


def with_plain_keys(value: Any) -> Any:
    """`value` with all that is not JSON in its form, also the keys of dicts. Raises NoForm, RecursionError."""
    kind = type(value)
    if value is None or issubclass(kind, (str, int, float)):
        return value
    if issubclass(kind, dict):
        items = list(value.items())
        keys = [key if type(key) is str else key_of(key) for key, _ in items]
        refuse_doubled(keys)
        made: dict[Any, Any] = {}
        for key, (_, item) in zip(keys, items, strict=True):
            made[key] = with_plain_keys(item)
        return made
    if issubclass(kind, (list, tuple)):
        items = []
        for item in value:  # no comprehension: before 3.12 that is one more frame, and a value may be deep
            items.append(with_plain_keys(item))
        return items
    return with_plain_keys(form_of(value))


def _form_of(item: Any) -> Any:
    kind = type(item)
    form = _form_of_type.get(kind)
    if form is None:
        for module, name, known_form in _FORMS:
            known = getattr(sys.modules.get(module), name, None)
            if known is not None and issubclass(kind, known):
                form = known_form
                if kind is known:
                    _form_of_type[kind] = form
                break
    if form is not None:
        return form(item)
    if issubclass(kind, (set, frozenset)):
        return _sorted(item)
    if hasattr(kind, "__dataclass_fields__"):
        return {name: getattr(item, name) for name, field in kind.__dataclass_fields__.items() if _is_kept(field)}
    if callable(getattr(kind, "model_dump", None)):
        return item.model_dump(mode="json")
    raise NoForm(f"is of type {kind.__name__}, which has no JSON form{_hint(item)}")


def _is_kept(field: Any) -> bool:
    return bool(field._field_type.name == "_FIELD")  # neither a ClassVar nor an InitVar


def _date_time(item: Any) -> str:
    """ISO 8601; UTC is written as Z, and a time without an offset has none."""
    text: str = item.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _seconds(item: Any) -> float:
    seconds: float = item.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _decimal(item: Any) -> str:
    if not item.is_finite():
        raise NoForm(f"is the Decimal {item}, which JSON does not have (None or a string can stand for it)")
    return str(item)


# In this order: an Enum may be a date, too, and a datetime is a date.
_FORMS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("enum", "Enum", lambda item: item.value),
    ("datetime", "datetime", _date_time),
    ("datetime", "date", lambda item: item.isoformat()),
    ("datetime", "time", _date_time),
    ("datetime", "timedelta", _seconds),
    ("uuid", "UUID", str),
    ("decimal", "Decimal", _decimal),
    ("pathlib", "PurePath", str),
)


# Those types of them that were met: a list of a million dates asks a million times.
_form_of_type: dict[type, Callable[[Any], Any]] = {}


def _has_key_form(key: object) -> bool:
    return key is not None and not issubclass(type(key), (str, int, float, tuple, frozenset, bytes))


def _sorted(items: Any) -> list[Any]:
    """The members of a set in an order that depends on nothing but them: equal results have equal texts."""
    kinds = {type(item) for item in items}
    if kinds <= {str} or kinds <= {int, float}:
        return sorted(items)
    return sorted(items, key=lambda item: json.dumps(with_plain_keys(item), sort_keys=True))


def _hint(item: Any) -> str:
    if hasattr(item, "__await__"):
        return ": an async function was called, and not awaited"
    if isinstance(item, (bytes, bytearray, memoryview)):
        return " (push_file sends bytes)"
    return " (its .tolist() may have one)" if hasattr(type(item), "tolist") else ""


def _name_of(item: object) -> str:
    return type(item).__name__
