"""An upload form, piece by piece: whole, byte by byte, and hostile."""

from __future__ import annotations

import functools
import io
import os
import random

import pytest

from seekapi._protocol import multipart
from seekapi._protocol.messages import FileSegment
from seekapi._protocol.multipart_reader import (
    HEAD_BYTES,
    MOST_PARTS,
    PART_END,
    BadForm,
    FormReader,
    PartHead,
    boundary_of,
)

BOUNDARY = "----WorkerSDKBoundary0123456789abcdef"
FUZZ_COUNT = 20_000 if os.environ.get("SEEKAPI_LONG") else 1_500


def parts_of(pieces, boundary=BOUNDARY):
    """What a reader makes of these pieces: (name, content type, content) of each part."""
    reader = FormReader(boundary)
    parts, content = [], None
    for piece in pieces:
        for event in reader.feed(piece):
            if isinstance(event, PartHead):
                assert content is None
                head, content = event, b""
            elif event is PART_END:
                parts.append((head.name, head.content_type, content))
                content = None
            else:
                assert event
                content += event
    reader.finish()
    assert content is None
    return parts


def form_105(name, content, *, token="tok", file_type="text/csv", boundary=BOUNDARY):
    """The bytes that 1.0.5 sends: three parts in this order, the file's name unescaped."""
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in (("execution_token", token), ("name", name))
    )
    file_head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {file_type}\r\n\r\n"
    )
    return (fields + file_head).encode() + content + f"\r\n--{boundary}--\r\n".encode()


CONTENTS = [
    b"",
    b"x",
    b"\r\n",
    b"--",
    b"\r\n--",
    b"\r\n--" + BOUNDARY[:-1].encode(),
    (b"\r\n--" + BOUNDARY[:-1].encode()) * 3 + b"\r",
    BOUNDARY.encode(),
    b"--" + BOUNDARY.encode() + b"--\r\n",  # Without a line break in front it is content.
    b"\r" * 50,
    bytes(range(256)) * 20,
]


@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
def test_a_form_may_be_cut_anywhere(content):
    """Whole, byte by byte, and in two at every place: the same three parts."""
    if content.startswith(b"--" + BOUNDARY.encode()):
        content = b"." + content
    body = form_105("r.csv", content)
    expected = [("execution_token", "", b"tok"), ("name", "", b"r.csv"), ("file", "text/csv", content)]

    assert parts_of([body]) == expected
    assert parts_of(bytes([byte]) for byte in body) == expected
    for at in range(0, len(body), 1 if len(body) < 2_000 else 97):
        assert parts_of([body[:at], body[at:]]) == expected


@pytest.mark.parametrize(
    "name", ['a "b".csv', "né 日本.txt", "a\\b", "", "a\nb.csv", "../../etc/passwd", "x" * 5_000, '"']
)
def test_what_105_sends_is_read_by_the_name_part(name):
    """Unescaped quotes, raw UTF-8, an empty name: the file's name is in a part of its own, verbatim."""
    parts = parts_of([form_105(name, b"content")])

    assert parts[1] == ("name", "", name.encode())
    assert parts[2] == ("file", "text/csv", b"content")


def test_a_line_break_in_a_file_name_does_not_change_the_file():
    """1.0.5 would write headers with it, or the beginning of the content: such a form is refused."""
    with pytest.raises(BadForm, match="line break"):
        parts_of([form_105("a\r\n\r\nINJECTED", b"content")])
    with pytest.raises(BadForm, match="line break"):
        parts_of([form_105("a\r\nContent-Type: text/html", b"content")])


def test_our_own_form_is_read_back():
    """Both ends of the protocol agree, on names that need escaping too."""
    content = os.urandom(100_000)
    segment = FileSegment(functools.partial(io.BytesIO, content), len(content))
    for name in ("a.bin", 'q"uote\r\n.bin', "é.bin"):
        segments = multipart.file_form("tok", name, segment, "application/x-y; v=1", BOUNDARY)
        body = b"".join(one if isinstance(one, bytes) else one.open().read() for one in segments)

        expected = [("execution_token", "", b"tok"), ("name", "", name.encode())]
        assert parts_of([body]) == [*expected, ("file", "application/x-y; v=1", content)]


def test_memory_does_not_grow_with_the_file():
    """What is held back is less than one delimiter and one piece."""
    reader = FormReader(BOUNDARY)
    begin, _, end = form_105("f", b"|").partition(b"|")
    reader.feed(begin)
    for _ in range(500):
        events = reader.feed(b"\r\n--" + b"-" * 4_000)
        assert sum(map(len, events)) >= 3_000
        assert len(reader._held) <= len(BOUNDARY) + 4
    reader.feed(end)

    reader.finish()


@pytest.mark.parametrize(
    "content_type, boundary",
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ("multipart/form-data;boundary=abc", "abc"),
        ('Multipart/Form-Data; charset=utf-8; BOUNDARY="a b:c"', "a b:c"),
        ("multipart/form-data; boundary=----WebKitFormBoundaryAbC; x=y", "----WebKitFormBoundaryAbC"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ('multipart/form-data; boundary=""', None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=" + "x" * 71, None),
        ("multipart/form-data; boundary=é", None),
        ('multipart/form-data; boundary="a "', None),
        ("multipart/mixed; boundary=abc", None),
        ("text/plain; x=multipart/form-data; boundary=abc", None),
        ("", None),
    ],
)
def test_the_boundary_of_a_content_type(content_type, boundary):
    """One, of the characters that RFC 2046 allows, at most 70."""
    if boundary is not None:
        assert boundary_of(content_type) == boundary
        return
    with pytest.raises(BadForm):
        boundary_of(content_type)


def part(head, content=b"x"):
    return b"--B\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


NAMED = b'Content-Disposition: form-data; name="a"'
BAD = {
    "nothing": b"",
    "another boundary": b"--C\r\n" + NAMED + b"\r\n\r\nx\r\n--C--\r\n",
    "no end": part(NAMED),
    "cut in the content": b"--B\r\n" + NAMED + b"\r\n\r\nx",
    "cut in the head": b"--B\r\n" + NAMED,
    "cut behind the delimiter": part(NAMED) + b"--B",
    "cut in the last dashes": part(NAMED) + b"--B-",
    "text behind the delimiter": b"--Bx\r\n" + NAMED + b"\r\n\r\nx\r\n--B--\r\n",
    "bare line feeds": (part(NAMED) + b"--B--\r\n").replace(b"\r\n", b"\n"),
    "no name": part(b"Content-Type: text/plain") + b"--B--\r\n",
    "no head at all": b"--B\r\n\r\nx\r\n--B--\r\n",
    "attachment": part(b'Content-Disposition: attachment; name="a"') + b"--B--\r\n",
    "name behind the filename": part(b'Content-Disposition: form-data; filename="x"; name="a"') + b"--B--\r\n",
    "base64": part(NAMED + b"\r\nContent-Transfer-Encoding: base64") + b"--B--\r\n",
    "endless head": b"--B\r\n" + NAMED + b"\r\nX: " + b"x" * (HEAD_BYTES + 1),
    "endless head, whole": part(NAMED + b"\r\nX: " + b"x" * HEAD_BYTES) + b"--B--\r\n",
    "many headers": part(NAMED + b"\r\nX: y" * 40) + b"--B--\r\n",
    "many parts": part(NAMED) * (MOST_PARTS + 1) + b"--B--\r\n",
    "endless preamble": b"x" * (HEAD_BYTES + 100),
    "blanks without end": b"--B" + b" " * 200,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_a_form_is_refused(name):
    """Whole or byte by byte, with the same error, which quotes nothing."""
    for pieces in ([BAD[name]], [bytes([byte]) for byte in BAD[name]]):
        with pytest.raises(BadForm) as caught:
            parts_of(pieces, "B")
        assert "xxx" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in BAD if "endless" in name or "without end" in name])
def test_what_does_not_end_is_refused_before_its_end(name):
    """Nothing is gathered in the hope that it will make sense one day."""
    reader = FormReader("B")

    with pytest.raises(BadForm):
        for byte in BAD[name]:
            reader.feed(bytes([byte]))


def test_what_stands_around_the_parts_means_nothing():
    """A preamble, an epilogue, blanks behind a boundary."""
    body = b"hello\r\n--B \t\r\n" + NAMED + b"\r\n\r\nx\r\n--B-- \r\nbye" + b"\r\n--B\r\n"

    assert parts_of([body], "B") == [("a", "", b"x")]
    assert parts_of((bytes([byte]) for byte in body), "B") == [("a", "", b"x")]


def test_only_the_declared_error_escapes():
    """Mutilated forms, in random pieces: parts or BadForm, the same however they are cut."""
    chance = random.Random(5)
    whole = form_105("r.csv", b"some content\r\n--" + BOUNDARY[:10].encode(), boundary="BB")
    tokens = [b"\r\n", b"--BB", b"--", b"\r", b"\n", b'"', b": ", b"\x00", b"\xff", b"; name=", b"--BB--\r\n", b" "]
    for _ in range(FUZZ_COUNT):
        body = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(body))
            body[at : at + chance.randrange(4)] = chance.choice(tokens)
        pieces, at = [], 0
        while at < len(body):
            step = chance.choice((1, 2, 7, 40, 400))
            pieces.append(bytes(body[at : at + step]))
            at += step

        outcomes = []
        for cut in ([bytes(body)], pieces):
            try:
                outcomes.append(parts_of(cut, "BB"))
            except BadForm as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1], bytes(body)
