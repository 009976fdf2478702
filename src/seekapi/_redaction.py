"""The one redactor: what must not leave the process is masked here, at every boundary.

Two kinds of secret. *Known* ones (the internal secret, the execution token, the signature of this job's input
URL) are masked wherever they stand, in each form they take on the way: raw, percent-encoded, base64, JSON-escaped.
*Shaped* ones are recognised by their looks: the query of any URL, `user:password@`, bearer values, AWS key ids.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MASK = "***"
# A shorter "secret" is a word of the language ("local", "test"): masking it would garble every message.
SHORTEST_SECRET = 6

# What is left out beside the cut in a text that is too long, so that half of a secret is never shown: no secret is
# longer, unless it is a known one.
LEAST_MARGIN = 8 * 1024

# What a secret looks like, and what stands in its place. As text: compiling them takes longer than a whole request, and
# a run that goes well has nothing to mask. Each takes time in step with the length of any text, since a platform or a
# document can put anything into a message: they start at a fixed word, no run is gone through from two starts, and
# where two repeats could share a run, a character that neither takes stands between them.
_QUOTE = r"\\{0,4}['\"]"
_OPENING = rf"(?:[\[(]\s*)?(?:b?{_QUOTE})?"
_SHAPES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"://[^\s/?#'\"<>]*@", f"://{MASK}@"),
    # The part behind the path may be absent, so that a path without one is gone through once.
    (r"(://[^\s?#'\"<>]*)(\?[^\s'\"<>]*)?", lambda url: f"{url[1]}?{MASK}" if url[2] else url[1]),
    # As in a header, a query, JSON, and what `parse_qs` or `parse_qsl` returns.
    (
        r"(?i)\b(?:(x-(?:amz|goog)-[a-z-]{1,48}|x-internal-secret|execution_token)"
        rf"(=|%3d|(?:{_QUOTE})?\s*:\s*{_OPENING}|{_QUOTE}\s*,\s*b?{_QUOTE})"
        rf"|(signature|sig|awsaccesskeyid)(=|%3d|{_QUOTE}\s*:\s*\[\s*b?{_QUOTE}))[^\s&'\"<>,}}\\]+",
        rf"\g<1>\g<2>\g<3>\g<4>{MASK}",
    ),
    # With a digit or the like in it, so that "basic operations" stays readable.
    (r"(?i)\b(bearer|basic)\s+(?=\S*[0-9=_])[a-z0-9._~+/=-]{6,}", rf"\1 {MASK}"),
    (r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b", MASK),
)


class Secret(str):
    """A string that is used as itself, and whose `repr` is `'***'`: a printed context gives nothing away.

    An empty one shows that it is empty, since that is what one looks for.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK if self else "")


class Redactor:
    """Masks the secrets that it was told, and everything that looks like one."""

    __slots__ = ("_forms", "_known")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = frozenset(s.strip() for s in secrets if isinstance(s, str) and len(s.strip()) >= SHORTEST_SECRET)
        self._forms: tuple[str, ...] | None = None

    def text(self, text: str) -> str:
        """`text` with every secret masked; the rest is unchanged."""
        for form in self._all_forms():
            text = text.replace(form, MASK)
        for shape, replacement in _SHAPES:
            text = re.sub(shape, replacement, text)  # compiled once, and kept by `re`
        return text

    def start(self, text: str, length: int, mark: str = "") -> str:
        """The first `length` characters of `text`, masked; `mark` ends them if something was left out.

        Only what can be shown is gone through, however long the text is, and no secret is cut in half.
        """
        longest = length + self._margin()
        masked = self.text(text[:longest])
        if len(text) > longest:
            masked = masked[: length - longest]
        elif len(masked) <= length:
            return masked
        return masked[: length - len(mark)] + mark

    def end(self, text: str, length: int) -> str:
        """The last `length` characters of `text`, as `start` gives the first."""
        longest = length + self._margin()
        masked = self.text(text[-longest:])
        if len(text) > longest:
            masked = masked[longest - length :]
        return masked[-length:]

    def also(self, secrets: Iterable[str]) -> Redactor:
        """A redactor that knows these secrets too."""
        return Redactor([*self._known, *secrets])

    def _all_forms(self) -> tuple[str, ...]:
        if self._forms is None:
            self._forms = _forms_of_all(self._known)
        return self._forms

    def _margin(self) -> int:
        return max(LEAST_MARGIN, *(len(form) for form in self._all_forms()[:1]), 0)

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._known)} secrets>"


def url_secrets(url: object) -> list[str]:
    """The parts of a presigned URL that give access: its query, and the long values in it.

    A redactor masks them as they are, and decoded.
    """
    if not isinstance(url, str) or "?" not in url:
        return []
    query = url.partition("?")[2].partition("#")[0]
    values = [pair.partition("=")[2] for pair in query.split("&")]
    return [query, *(value for value in values if len(value) >= 16)]


def _forms_of_all(secrets: Iterable[str]) -> tuple[str, ...]:
    # `urllib.parse` takes long to load, so it waits until there is something to mask.
    from urllib.parse import unquote, unquote_plus

    spellings = {decode(secret) for secret in secrets for decode in (str, unquote, unquote_plus)}
    forms = {form for secret in spellings if len(secret) >= SHORTEST_SECRET for form in _forms_of(secret)}
    # Longest first: a form that contains another must not be cut in half by it.
    return tuple(sorted(forms, key=len, reverse=True))


def _forms_of(secret: str) -> set[str]:
    from base64 import b64encode, urlsafe_b64encode
    from json import dumps
    from urllib.parse import quote, quote_plus

    raw = secret.encode("utf-8", "surrogatepass")
    forms = {secret, dumps(secret)[1:-1], dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1], raw.hex()}
    forms |= {quote(raw, safe=""), quote(raw), quote_plus(raw), quote(raw, safe="").lower()}
    for encode in (b64encode, urlsafe_b64encode):
        # Inside a longer text ("user:secret") base64 starts at any of three offsets. The characters that also depend
        # on the neighbours are left out, at the front and at the end.
        for offset in range(3):
            text = encode(b"\0" * offset + raw).decode("ascii")
            sure_end = (offset + len(raw)) * 8 // 6
            core = text[(0, 2, 3)[offset] : sure_end]
            if len(core) >= SHORTEST_SECRET:
                forms.add(core)
    return forms
