"""How a problem with the input reads: paths, types, values cut short, and what may have been meant."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    # Where a value is: in which other one, under which key or index; None is the input itself.
    Place = tuple["Place", str | int] | None

LONGEST_KEY = 60
LONGEST_PATH = 200
LONGEST_TEXT = 400
_MOST_LISTED = 10
_NAME_OF_TYPE = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


class Problem:
    """One thing that is wrong: `$.urls[2]` and `expected string, got integer`. Its text is both, with a colon."""

    __slots__ = ("path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = cut(text, LONGEST_TEXT)

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"

    def __repr__(self) -> str:
        return f"<Problem {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and str(other) == str(self)

    def __hash__(self) -> int:
        return hash(str(self))


def path_of(place: Place) -> str:
    """`$.urls[2]`. A long one keeps its end, which is what tells."""
    steps: list[str] = []
    while place is not None:
        place, key = place
        steps.append(_step(key))
    path = "".join(reversed(steps))
    return f"${path}" if len(path) <= LONGEST_PATH else f"$…{path[-LONGEST_PATH:]}"


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if key.isidentifier() and len(key) <= LONGEST_KEY else f"[{shown(key, LONGEST_KEY)}]"


def cut(text: str, length: int) -> str:
    """`text` in at most `length` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def shown(value: Any, length: int = 40) -> str:
    """A value as JSON, cut short. Only of numbers and texts there is anything to see."""
    if isinstance(value, (dict, list)):
        return type_of(value)
    if isinstance(value, str):
        return cut(json.dumps(value[: length + 1], ensure_ascii=not value.isprintable()), length)
    if isinstance(value, int) and value.bit_length() > 4 * length:
        return "a large number"
    return cut(json.dumps(value, default=str), length)


def type_of(value: object) -> str:
    """The JSON type of a value."""
    if value is None:
        return "null"
    return _NAME_OF_TYPE.get(type(value)) or type(value).__name__


def joined(words: Iterable[str], last: str) -> str:
    """`a, b or c`, each once."""
    each = list(dict.fromkeys(words))
    return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} {last} {each[-1]}"


def either(types: str | list[str]) -> str:
    """The `type` of a schema in words."""
    return types if isinstance(types, str) else joined(types, "or") if types else "nothing"


def any_of(allowed: list[Any]) -> str:
    """An `enum` in words."""
    if len(allowed) == 1:
        return shown(allowed[0])
    hidden_count = len(allowed) - _MOST_LISTED
    names = [shown(value) for value in allowed[:_MOST_LISTED]]
    return f"one of {', '.join(names)}{f' and {hidden_count} more' if hidden_count > 0 else ''}" if names else "nothing"


def name_of(schema: dict[str, Any]) -> str:
    """What an alternative is called in an error."""
    if "title" in schema:
        return str(schema["title"])
    if "const" in schema or "enum" in schema:
        return any_of(schema["enum"] if "enum" in schema else [schema["const"]])
    return either(schema["type"]) if "type" in schema else "another form"


def rather(value: object, allowed: list[Any]) -> str:
    """`, got "fats"; did you mean "fast"?`"""
    texts = [other for other in allowed if isinstance(other, str)]
    meant = _closest(value, texts) if isinstance(value, str) else ""
    return f", got {shown(value)}" + (f"; did you mean {shown(meant)}?" if meant else "")


def rather_key(name: str, known: Iterable[str]) -> str:
    """What may have been meant by a key that is not known; else the keys that are, if they are few."""
    names = list(known)
    meant = _closest(name, names)
    if meant:
        return f", did you mean {shown(meant)}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= _MOST_LISTED else ""


def _closest(text: str, known: list[str]) -> str:
    from difflib import get_close_matches

    # Comparing takes time in step with both lengths; a longer one is no slip of the finger.
    if len(text) > LONGEST_KEY or len(known) > 1000:
        return ""
    by_folded = {name.casefold().replace("-", "_"): name for name in known}
    closest = get_close_matches(text.casefold().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return by_folded[closest[0]] if closest else ""
