"""JSON as it may travel: strict both ways, and every refusal says where and why, quoting nothing."""

from __future__ import annotations

import json

import pytest

from seekapi import SerializationError
from seekapi._protocol import json_text

CIRCULAR: list[object] = []
CIRCULAR.append(CIRCULAR)


def nested(depth: int) -> object:
    value: object = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value, path, reason",
    [
        ({"rows": [1, 2, 3, {"price": float("nan")}]}, "data.rows[3].price", "is NaN"),
        ([float("inf")], "data[0]", "is inf"),
        ({"a b": -float("inf")}, 'data["a b"]', "is -inf"),
        ({"when": object()}, "data.when", "of type object"),
        ({"s": {1: 1}.items()}, "data.s", "of type dict_items"),
        (b"x", "data", "of type bytes, which has no JSON form (push_file sends bytes)"),
        ({("a", 1): 1}, "data", "key of type tuple"),
        (CIRCULAR, "data[0]", "refers back to itself"),
        ((x for x in ()), "data", "of type generator"),
    ],
)
def test_what_is_not_json_is_refused_with_its_path(value, path, reason):
    """The culprit in a large result is found by its path."""
    with pytest.raises(SerializationError) as caught:
        json_text.encode(value)

    assert caught.value.path == path
    assert str(caught.value).startswith(path) and reason in str(caught.value)
    assert caught.value.__context__ is None


def test_the_refusal_keeps_the_promises_of_1_0():
    """json.dumps raised TypeError or ValueError; code that catches either goes on working."""
    assert issubclass(SerializationError, TypeError) and issubclass(SerializationError, ValueError)


def test_what_is_nested_too_deeply_is_refused():
    """A RecursionError does not get out."""
    with pytest.raises(SerializationError, match="nested too deeply"):
        json_text.encode(nested(100_000))


@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, 10**25, "", "é\u2028", [], {}, {"a": [{"b": None}]}, "\ud800", (1, 2)]
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_json_value_makes_the_round_trip(value, ascii_only):
    """Any JSON value is a legal result, and it arrives as it was."""
    text = json_text.encode(value, ascii_only=ascii_only)

    assert json_text.decode(text.encode("utf-8")) == json.loads(json.dumps(value))


def test_readable_text_stays_readable():
    """Artifacts on disk are for people."""
    assert json_text.encode({"n": "é"}, ascii_only=False) == '{"n": "é"}'


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "line 1 column 2"),
        (b"[1] x", "line 1 column 5"),
        (b"NaN", "holds NaN"),
        (b"[-Infinity]", "holds -Infinity"),
        (b"\xff\xfe[\x001\x00]\x00", "not UTF-8"),
        (b'"caf\xe9"', "not UTF-8 (byte 4)"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "more than 4300 digits"),
        (b"[" + b"7" * 4_000_000 + b"]", "more than 4300 digits"),
    ],
)
def test_what_is_not_json_is_named(data, reason):
    """The reason is ours; neither message nor context carries the document."""
    with pytest.raises(json_text.JsonError, match=reason.replace("(", r"\(").replace(")", r"\)")) as caught:
        json_text.decode(data)

    assert caught.value.__context__ is None and len(str(caught.value)) < 100


def test_the_digit_limit_holds_where_the_interpreter_has_none(monkeypatch):
    """CPython before 3.10.7 has no limit of its own, and anyone may have switched it off."""
    monkeypatch.setattr("sys.get_int_max_str_digits", lambda: 0, raising=False)

    assert json_text.decode(b"[12]") == [12]
    with pytest.raises(json_text.JsonError, match="more than 4300 digits"):
        json_text.decode(b"1" * 5000)


@pytest.mark.parametrize("data, value", [(b"\xef\xbb\xbf[1]", [1]), (b'{"a":1,"a":2}', {"a": 2})])
def test_what_is_tolerated(data, value):
    """A byte order mark is skipped; of duplicate keys the last wins."""
    assert json_text.decode(data) == value


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_it_was_after_a_large_parse(enabled):
    """It is paused for speed, and a user who switched it off finds it off."""
    import gc

    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        json_text.decode(b"[" + b"1," * 600_000 + b"1]")

        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
