"""JSON as it may travel: strict both ways, and every refusal says where and why, quoting nothing."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from seekapi import SerializationError
from seekapi._protocol import json_faults, json_text
from seekapi._worker import frames

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
        ([{"n": 10**5000}], "data[0].n", "is an integer of more than 4300 digits"),
        ({10**5000: 1}, "data", "has a key that is an integer of more than 4300 digits"),
        ({float("nan"): 1}, "data", "has a key that is NaN"),
        ({1: [{2: object()}]}, 'data["1"][0]["2"]', "of type object"),
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


@pytest.mark.parametrize("make", [nested, lambda depth: {"a": nested(depth - 1)}])
@pytest.mark.parametrize("indent", [None, 2])
def test_the_depth_that_may_travel_is_one_number(make, indent):
    """On every Python and with any recursion limit; the error shows the beginning of the way."""
    assert json_text.encode(make(json_text.MAX_DEPTH), indent=indent)
    assert json_text.encode(make(json_text.MAX_DEPTH + 1), indent=indent, wrapping=1)

    with pytest.raises(SerializationError, match="more than 500 deep") as caught:
        json_text.encode(make(json_text.MAX_DEPTH + 1), indent=indent)

    assert caught.value.path.startswith("data") and len(caught.value.path) < 120


def test_what_may_travel_may_do_so_in_something_of_ours():
    """A page of jobs with the deepest input is still read, also by somebody who is called by many."""
    text = json_text.encode(nested(json_text.MAX_DEPTH))
    levels = json_text.WRAPPING

    def read(frame_count):
        return (
            read(frame_count - 1) if frame_count else json_text.parse("[" * levels + text + "]" * levels, is_kept=True)
        )

    value = read(250)
    with pytest.raises(json_text.JsonError, match="more than 500 deep"):
        json_text.parse("[" * (levels + 1) + text + "]" * (levels + 1), is_kept=True)

    assert json_text.encode(value, wrapping=levels) == "[" * levels + text + "]" * levels


def depth_of(text):
    """Character by character."""
    depth = deepest = 0
    is_text = is_escaped = False
    for character in text:
        if is_text:
            is_text = is_escaped or character != '"'
            is_escaped = not is_escaped and character == "\\"
        elif character == '"':
            is_text = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def made_up(chance, depth):
    """JSON with all that might be taken for structure in its strings."""
    pieces = ["[", "]", "{", "}", '"', "\\", "a", "\ud800", "é", ",", ":"]
    if depth == 0 or chance.random() < 0.2:
        return "".join(chance.choices(pieces, k=chance.randrange(5)))
    inside = [made_up(chance, depth - 1) for _ in range(chance.randrange(1, 4))]
    return inside if chance.random() < 0.5 else {made_up(chance, 0): item for item in inside}


@pytest.mark.parametrize("seed", range(40))
def test_the_depth_of_a_text_is_that_of_its_arrays_and_objects(seed):
    """What stands in strings is text, however it is escaped."""
    value = made_up(random.Random(seed), seed % 10)
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent=1)):
        deepest = depth_of(text)

        assert not json_faults.is_nested_deeper(text, deepest)
        assert json_faults.is_nested_deeper(text, deepest - 1)


@pytest.mark.parametrize(
    "text", ["[" * 900, '{"a":' * 900, "[1," * 900 + '"]', "[]," * 900 + "[" * 900, '["]]",' * 900]
)
def test_a_text_that_breaks_off_is_as_deep_as_it_got(text):
    """A parser meets the depth before it meets the end."""
    assert json_faults.is_nested_deeper(text, 899) and not json_faults.is_nested_deeper(text, 910)


@pytest.mark.parametrize(
    "made", ["json_text.decode(b'[' * 200_000)", "json_text.encode(deep)", "json_text.encode(linked)"]
)
def test_depth_ends_no_process(made):
    """Who raised the recursion limit, as one does for algorithms, gets an error and not a crash."""
    program = (
        "import dataclasses, sys; sys.setrecursionlimit(10**6)\n"
        "from seekapi._protocol import json_text\n"
        "@dataclasses.dataclass\n"
        "class Node:\n"
        "    next: object\n"
        "deep, linked = None, None\n"
        "for _ in range(200_000): deep, linked = [deep], Node(linked)\n"
        "try:\n"
        f"    {made}\n"
        "except ValueError as error:\n"
        "    print(str(error)[-60:], flush=True)\n"
        "    import os; os._exit(0)\n"  # to free what is that deep is for Python to survive
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert (done.returncode, "nested too deeply" in done.stdout) == (0, True), done.stderr


class Broken(dict):
    def items(self):
        raise RuntimeError("secret")


class Faceless:
    @property
    def __class__(self):
        raise ZeroDivisionError("secret")


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda: Broken(a=1), r"^data\.x\[1\] cannot be read: RuntimeError$"),
        (Faceless, r"^data\.x\[1\] is of type Faceless"),
    ],
)
def test_a_class_that_raises_has_no_json_form(make, reason):
    """What it raises is its own affair; the error says where it is, and quotes nothing."""
    with pytest.raises(SerializationError, match=reason) as caught:
        json_text.encode({"x": [0, make()]})

    assert caught.value.__context__ is None


def test_the_search_for_a_fault_is_interruptible():
    """It only looks, and a large result takes it seconds: the end of a job's time may strike there."""
    seen = []

    class Watching(dict):
        def items(self):
            seen.append(sys._getframe(1))
            return super().items()

    class Model:
        def model_dump(self, mode):
            seen.append(sys._getframe(1))
            return 1

    with pytest.raises(SerializationError):
        json_text.encode([Watching(a=object()), {(): 1}])
    assert json_text.encode({b: Model() for b in [Model()]}) == '{"1": 1}'

    assert {frame.f_code.co_filename.rpartition("_")[2] for frame in seen} >= {"faults.py", "forms.py"}
    assert all(frames.is_interruptible(frame) for frame in seen if "json_" in frame.f_code.co_filename)


def test_only_the_way_to_the_fault_is_put_into_words():
    """For each of a million parts that would take longer than all the rest."""
    asked = []

    class Key(str):
        def isidentifier(self):
            asked.append(self)
            return True

        __str__ = __repr__ = isidentifier

    value = {Key(f"k{number}"): [number, number] for number in range(1000)}
    value["last"] = {"odd": object()}

    with pytest.raises(SerializationError, match=r"^data\.last\.odd is of type object"):
        json_text.encode(value)

    assert asked == []


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
