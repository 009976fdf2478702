"""Texts with a form: dates and times as RFC 3339 writes them, UUIDs, decimals, and the regular expressions of a schema.

A regular expression of a JSON Schema is ECMAScript's; `regex()` gives it the same meaning here, as far as the two go
together. Texts longer than LONGEST_SEARCHED are not searched: what the schema's author wrote may take long on them.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

# In characters. It bounds what is merely slow; an expression that backtracks without end needs no long text for it.
LONGEST_SEARCHED = 65536
_DATE = r"(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
_SECOND = r":(?P<second>[0-5][0-9]|60)(?:\.(?P<fraction>[0-9]+))?"
_OFFSET = r"(?P<zulu>[zZ])|(?P<sign>[+-])(?P<off_hour>[01][0-9]|2[0-3]):(?P<off_minute>[0-5][0-9])"
_DATE_TIME = rf"{_DATE}[tT]{_TIME}{_SECOND}(?:{_OFFSET})"
_TIME_LOCAL = rf"{_TIME}(?:{_SECOND})?"
_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_DECIMAL = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?"
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# What ECMAScript's \s has beyond the one of ASCII.
_MORE_SPACE = "\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff"


def _is_date(text: str) -> bool:
    found = re.fullmatch(_DATE, text)
    return found is not None and _has_day(found)


def _is_date_time(text: str) -> bool:
    found = re.fullmatch(_DATE_TIME, text)
    return found is not None and _has_day(found) and _has_second(found)


def _is_local_time(text: str) -> bool:
    found = re.fullmatch(_TIME_LOCAL, text)
    return found is not None and found["second"] != "60"


def _is_uuid(text: str) -> bool:
    return bool(re.fullmatch(_UUID, text))


def _is_decimal(text: str) -> bool:
    return bool(re.fullmatch(_DECIMAL, text))


# The formats that are checked, and what a text that has not got one is told to be. All others say nothing.
FORMATS: dict[str, tuple[Callable[[str], bool], str]] = {
    "date": (_is_date, "a date (2026-01-31)"),
    "date-time": (_is_date_time, "a date and time with its offset (2026-01-31T12:00:00Z)"),
    "time-local": (_is_local_time, "a time of day (12:00:00)"),
    "uuid": (_is_uuid, "a UUID"),
    "decimal": (_is_decimal, "a decimal number (9.99)"),
}


def _has_day(found: re.Match[str]) -> bool:
    year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= (28 if month == 2 and not is_leap else _DAYS[month - 1])


def _has_second(found: re.Match[str]) -> bool:
    """A leap second is the last one of a day in UTC."""
    if found["second"] != "60":
        return True
    minutes = int(found["hour"]) * 60 + int(found["minute"])
    if not found["zulu"]:
        offset = int(found["off_hour"]) * 60 + int(found["off_minute"])
        minutes += -offset if found["sign"] == "+" else offset
    return minutes % (24 * 60) == 23 * 60 + 59


def date_time(text: str) -> datetime:
    """The moment that an RFC 3339 text names. Raises ValueError with what is wrong with it."""
    from datetime import datetime, timedelta, timezone

    found = re.fullmatch(_DATE_TIME, text)
    if not found or not _is_date_time(text):
        raise ValueError(f"expected {FORMATS['date-time'][1]}")
    if found["second"] == "60":
        raise ValueError("a leap second, which Python's datetime does not have")
    offset = timedelta(hours=int(found["off_hour"] or 0), minutes=int(found["off_minute"] or 0))
    zone = timezone.utc if found["zulu"] or not offset else timezone(-offset if found["sign"] == "-" else offset)
    year, month, day, hour, minute, second = (
        int(found[name]) for name in ("year", "month", "day", "hour", "minute", "second")
    )
    return datetime(year, month, day, hour, minute, second, _microseconds(found), zone)


def local_time_parts(text: str) -> tuple[int, int, int, int]:
    """Hour, minute, second, microsecond of a text that has the format `time-local`."""
    found = re.fullmatch(_TIME_LOCAL, text)
    assert found is not None
    return int(found["hour"]), int(found["minute"]), int(found["second"] or 0), _microseconds(found)


def _microseconds(found: re.Match[str]) -> int:
    """What is finer is cut off."""
    return int((found["fraction"] or "0")[:6].ljust(6, "0"))


_compiled: dict[str, re.Pattern[str]] = {}


def regex(pattern: str) -> re.Pattern[str]:
    """The regular expression of a schema, compiled. Raises ValueError if Python cannot take it."""
    if pattern not in _compiled:
        try:
            compiled = re.compile(_pythonic(pattern), re.ASCII)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression that Python knows: {error}") from None
        if len(_compiled) >= 256:
            _compiled.clear()
        _compiled[pattern] = compiled
    return _compiled[pattern]


# What has a meaning of its own in an expression: an escape, the start of a named group, else one character.
_TOKEN = r"(?s)\\k<[^>]*>|\\c[A-Za-z]|\\.|\(\?<(?![=!])|."
_OF_PYTHON_ALONE = ("\\A", "\\Z", "\\a")
_OUTSIDE_CLASSES = {"$": r"\Z", "\\s": f"[\\s{_MORE_SPACE}]", "\\S": f"[^\\s{_MORE_SPACE}]", "(?<": "(?P<"}
_INSIDE_CLASSES = {"[": r"\[", "\\s": f"\\s{_MORE_SPACE}"}


def _pythonic(pattern: str) -> str:
    """ECMAScript's expression as Python writes it: `$` is the very end, `\\s` knows all of Unicode's spaces."""
    out: list[str] = []
    in_class = False
    tokens: list[str] = re.findall(_TOKEN, pattern)
    for token in tokens:
        if token in _OF_PYTHON_ALONE:
            raise ValueError(f"{token} is Python's alone; ^ and $ anchor a pattern")
        if token.startswith("\\k<"):
            out.append(f"(?P={token[3:-1]})")
        elif token.startswith("\\c") and len(token) == 3:
            out.append(re.escape(chr(ord(token[2]) % 32)))
        else:
            out.append((_INSIDE_CLASSES if in_class else _OUTSIDE_CLASSES).get(token, token))
        in_class = token == "[" or (in_class and token != "]")
    return "".join(out)
