"""Looking for secrets where none may be: in every corner of an exception, a log record, an output, a return value."""

from __future__ import annotations

import base64
import json
import types
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

_OPAQUE = (types.ModuleType, types.FunctionType, types.MethodType, types.TracebackType, types.FrameType, type)


def forms_of(secret: str) -> set[str]:
    """The ways in which a secret travels: as it is, quoted, escaped, encoded."""
    raw = secret.encode()
    forms = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], raw.hex()}
    # Whole base64 groups only: what surrounds the secret changes the characters at its edges.
    for offset in range(3):
        forms.add(base64.b64encode(raw[offset : offset + (len(raw) - offset) // 3 * 3]).decode())
    return {form for form in forms if len(form) >= 6}


def leaks_in(thing: object, secrets: dict[str, str], where: str) -> list[str]:
    """`["error.args[0] holds the token", ...]`: every place reachable from `thing` that holds a form of a secret."""
    forms = [(name, form) for name, secret in secrets.items() for form in forms_of(secret)]
    found: list[str] = []
    for path, text in _texts_in(thing, where):
        found.extend(f"{path} holds the {name}" for name, form in forms if form in text)
    return sorted(set(found))


def _texts_in(thing: object, where: str) -> Iterator[tuple[str, str]]:
    """Every text reachable from `thing`, with the way there."""
    seen: set[int] = set()
    stack: list[tuple[str, Any]] = [(where, thing)]
    while stack:
        path, item = stack.pop()
        if item is None or isinstance(item, (bool, int, float, *_OPAQUE)) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, (bytes, bytearray)):
            yield path, bytes(item).decode("latin-1")
        if isinstance(item, str):
            yield path, str.__str__(item)
        elif isinstance(item, dict):
            stack.extend((f"{path}.key", key) for key in item)
            stack.extend((f"{path}[{str(key)[:30]!r}]", value) for key, value in item.items())
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend((f"{path}[{index}]", value) for index, value in enumerate(item))
        else:
            stack.extend((f"{path}.{name}", value) for name, value in _attributes_of(item))
            yield f"{path} as text", _shown(item)


def _attributes_of(item: object) -> Iterator[tuple[str, Any]]:
    names: set[str] = set(getattr(item, "__dict__", ()))
    for kind in type(item).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names.update([slots] if isinstance(slots, str) else slots)
    if isinstance(item, BaseException):
        names.update(("args", "__cause__", "__context__", "__notes__", "filename", "filename2", "strerror", "object"))
        names.update(("doc", "reason", "url", "partial", "line", "msg", "hdrs"))
    for name in names:
        try:
            yield name, getattr(item, name, None)
        except Exception as error:  # an attribute that raises is looked at as what it raises
            yield name, error


def _shown(item: object) -> str:
    texts = []
    for show in (str, repr):
        try:
            texts.append(show(item))
        except Exception:  # cannot be shown, so it shows nothing
            continue
    return "\n".join(texts)
