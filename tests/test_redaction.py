"""The one redactor: no form of a secret passes, and plain text is left alone."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

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
