"""The one redactor: no form of a secret passes, and plain text is left alone."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest

from seekapi._protocol import problems
from seekapi._protocol.messages import Headers, Response
from seekapi._redaction import Redactor, Secret, url_secrets

SECRET = 'p@ss/w+rd "quoted" é\\x'
FORMS = {
    "raw": SECRET,
    "percent": quote(SECRET, safe=""),
    "percent, lower case": quote(SECRET, safe="").lower(),
    "percent, slashes kept": quote(SECRET),
    "form": quote_plus(SECRET),
    "json": json.dumps(SECRET),
    "json, unicode kept": json.dumps(SECRET, ensure_ascii=False),
    "repr": repr(SECRET),
    "hex": SECRET.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_known_secret_is_masked(form):
    """A secret is masked however it was encoded on its way into the text."""
    shown = Redactor([SECRET]).text(f"before {FORMS[form]} after")

    assert FORMS[form].strip("'\"") not in shown
    assert shown.startswith("before ") and shown.endswith(" after")


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("prefix", [b"", b"u", b"us", b"usr:"])
@pytest.mark.parametrize("suffix", [b"", b"!", b":x"])
def test_base64_is_masked_at_every_offset(encode, prefix, suffix):
    """`user:secret` in base64 holds the secret at any of three offsets."""
    secret = "correct-horse-battery"
    text = encode(prefix + secret.encode() + suffix).decode()

    shown = Redactor([secret]).text(f"Authorization={text}")

    pieces = [text[i : i + 12] for i in range(len(text) - 12)]
    assert not any(piece in shown for piece in pieces[4:-4])


@pytest.mark.parametrize(
    "text, hidden",
    [
        ("GET https://bucket.example/key?X-Amz-Signature=abcdef0123&X-Amz-Date=1 failed", "abcdef0123"),
        ("unknown url type: 'foo://h/p?sig=verysecret'", "verysecret"),
        ("https://user:passw0rd@host/path", "passw0rd"),
        ("Authorization: Bearer abc.def1.ghi-jkl", "abc.def1.ghi-jkl"),
        ("X-Amz-Credential=AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("the key AKIAIOSFODNN7EXAMPLE was refused", "AKIAIOSFODNN7EXAMPLE"),
        ("X-Internal-Secret: s3cr3t-s3cr3t", "s3cr3t-s3cr3t"),
        ('{"execution_token": "tok-123456"}', "tok-123456"),
    ],
)
def test_what_looks_like_a_secret_is_masked_unknown(text, hidden):
    """Signatures, passwords in URLs, bearer values and key ids need not be told."""
    assert hidden not in Redactor().text(text)


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        "https://host/path#part",
        "5 > 3? yes",
        "a signature move",
        "local",
        "basic operations apply",
        "signature: ok",
    ],
)
def test_plain_text_is_left_alone(text):
    """A redactor that eats messages would cost the user the reason."""
    assert Redactor(["local", "", "abc"]).text(text) == text


def test_a_url_keeps_host_and_path():
    """The host and path help to find the fault, and give nothing away."""
    assert Redactor().text("at https://h.example/a/b?x=1&y=2 now") == "at https://h.example/a/b?*** now"


def test_a_secret_prints_as_a_mask_and_is_used_as_itself():
    """A printed context shows nothing; a header built from it holds the value."""
    secret = Secret("hunter2-hunter2")

    assert repr({"secret": secret, "token": Secret("")}) == "{'secret': '***', 'token': ''}"
    assert secret == "hunter2-hunter2" and f"{secret}" == "hunter2-hunter2"


def test_the_query_of_a_presigned_url_is_a_secret():
    """Whoever has the query has the input."""
    url = "https://h/p?X-Amz-Signature=0123456789abcdef0123&a=1"

    assert url_secrets(url) == ["X-Amz-Signature=0123456789abcdef0123&a=1", "0123456789abcdef0123"]
    assert url_secrets(None) == url_secrets("https://h/p") == []


PARSED_TOKEN = "IQoJb3JpZ2luX2VjE.AbCdEfGh+123456789=="


@pytest.mark.parametrize(
    "text",
    [
        "{'X-Amz-Security-Token': ['%s']}",
        "[('X-Amz-Security-Token', '%s')]",
        '{"X-Amz-Security-Token": ["%s"]}',
        '{\\"X-Amz-Security-Token\\": \\"%s\\"}',
        "{b'X-Amz-Security-Token': [b'%s']}",
        "{'Signature': ['%s']}",
        "https://user:p@%s@host/path",
    ],
)
def test_a_parsed_query_is_as_secret_as_the_url(text):
    """What parse_qs and parse_qsl give is masked, too."""
    assert "AbCdEfGh" not in Redactor().text(text % PARSED_TOKEN)


def test_a_query_is_known_decoded():
    """Percent-encoded or form-encoded: the value that a library shows is masked."""
    encoded = quote_plus("a secret+value/of 16")
    redactor = Redactor(url_secrets(f"https://h/p?key={encoded}"))

    assert redactor.text("it was 'a secret+value/of 16'") == "it was '***'"
    assert redactor.text(f"it was {encoded}") == "it was ***"


STARTS = ("", "execution_token", "execution_token:", "execution_token: [", "execution_token'", "x-amz-a", "x-amz-a: (")
STARTS += ("signature", "sig':[", "://", "://a@", "https://h.example/?", "bearer ", "basic 1", "AKIA", "x-amz-a',")
FILLERS = (*" \t\n\u00a0'\"\\[(:%=-,@?/a1X_", "b'", "a.", "x-amz-", "x-amz-a:", "x-amz-a: ", "://", "://a", "a://b?")
FILLERS += ("basic ", "sig=", "sig':", "execution_token ")
FILLERS += ("https://h.example/x,", "1.5-2.5,", "aaaaaaaaaaaaaaa", ": [", "' ,")


def test_masking_takes_time_in_step_with_the_length():
    """A platform, or a document in an exception, can not make a worker overrun its time: no text takes minutes.

    A text that is 64 times as long may take 1,024 times the work; in step with the square it would be 4,096.
    """
    program = (
        "import sys, time; from seekapi._redaction import Redactor\n"
        "redactor = Redactor(['internal-secret-for-tests', 'aaaaaaaaaaaaaaab', 'https://h.example/x?'])\n"
        "def fastest(text, tries):\n"
        "    took = []\n"
        "    for _ in range(tries):\n"
        "        before = time.process_time()\n"
        "        redactor.text(text)\n"
        "        took.append(time.process_time() - before)\n"
        "    return min(took)\n"
        "starts, fillers = eval(sys.stdin.read())\n"
        "for start in starts:\n"
        "    for filler in fillers:\n"
        "        text = filler * (64 * 500 // len(filler))\n"
        "        short = fastest(start + text[: len(text) // 64], 5)\n"
        "        if fastest(start + text, 1) > 1024 * short and fastest(start + text, 3) > 1024 * short:\n"
        "            sys.exit(f'not in step: {start!r} and then {filler!r}')\n"
    )
    asked = repr((STARTS, FILLERS))

    done = subprocess.run([sys.executable, "-c", program], input=asked, text=True, capture_output=True, timeout=60)

    assert not done.returncode, done.stderr[-300:]


@pytest.mark.parametrize("offset", range(-8, 60, 4))
@pytest.mark.parametrize("length", [100, 2000])
def test_no_secret_is_cut_in_half(offset, length):
    """A cut falls on masked text, so that half of a secret is never shown."""
    secret = "0123456789" * 5
    redactor = Redactor([secret])
    text = "é " * length + secret + " middle " * 20_000 + secret + " ü" * length

    for size in (2 * length + offset, len(text) - 2 * length - offset):
        start, end = redactor.start(text, size), redactor.end(text, size)

        assert "012" not in start and "789" not in start and len(start) <= size
        assert "012" not in end and "789" not in end and len(end) <= size
        assert start.startswith("é é") and end.endswith("ü ü")


@pytest.mark.parametrize("secret", ["0123456789" * 10, "0123456789" * 2000], ids=["short", "beyond the margin"])
def test_a_cut_after_many_secrets_shows_no_half(secret):
    """Masking makes a text shorter, and what lay at the cut moves forward."""
    redactor = Redactor([secret])
    text = (secret + ",") * 200

    for length in range(600, 720, 7):
        shown = redactor.start(text, length) + redactor.end(text, length)
        assert not any(digit in shown for digit in "0123456789")


def test_a_short_text_is_masked_whole():
    """What fits is not cut."""
    redactor = Redactor(["hunter2-hunter2"])

    assert redactor.start("hunter2-hunter2 ok", 50) == redactor.end("hunter2-hunter2 ok", 50) == "*** ok"


def test_a_long_message_of_the_platform_is_cut_before_and_after_masking():
    """30 KB of anything take no time, and the secret at the cut is not shown in part."""
    asked: list[int] = []
    redactor = Redactor(["0123456789" * 10])

    def redact(text: str) -> str:
        asked.append(len(text))
        return redactor.text(text)

    for shift in range(0, 110, 10):
        body = json.dumps({"message": "-" * shift + ("0123456789" * 10 + " ") * 300}).encode()
        error = problems.error_from(Response(400, Headers(), body), redact=redact)

        assert error is not None and len(str(error)) < 600
        assert not any(digit in str(error).partition("(")[2] for digit in "0123456789")
    assert max(asked) <= 16 * 1024
