"""The one redactor: what must not leave the process is masked here, at every boundary.

Two kinds of secret. *Known* ones (the internal secret, the execution token, the signature of this job's input
URL) are masked wherever they stand, in each form they take on the way: raw, percent-encoded, base64, JSON-escaped.
*Shaped* ones are recognised by their looks: the query of any URL, `user:password@`, bearer values, AWS key ids.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
# A shorter "secret" is a word of the language ("local", "test"): masking it would garble every message.
SHORTEST_SECRET = 6

# What a secret looks like, and what stands in its place. As text: compiling them takes longer than a whole request, and
# a run that goes well has nothing to mask.
_SHAPES = (
    (r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/?#@'\"<>]*@", rf"\1{MASK}@"),
    (r"(?i)\b([a-z][a-z0-9+.-]*://[^\s?#'\"<>]*)\?[^\s'\"<>]*", rf"\1?{MASK}"),
    (
        r"(?i)\b(?:(x-(?:amz|goog)-[a-z-]+|x-internal-secret|execution_token)(=|%3d|\"?\s*:\s*\"?)"
        r"|(signature|sig|awsaccesskeyid)(=|%3d))[^\s&'\"<>,}]+",
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

    __slots__ = ("_known", "_pattern")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = frozenset(s.strip() for s in secrets if isinstance(s, str) and len(s.strip()) >= SHORTEST_SECRET)
        self._pattern: re.Pattern[str] | None = None

    def text(self, text: str) -> str:
        """`text` with every secret masked; the rest is unchanged."""
        if self._known:
            if self._pattern is None:
                self._pattern = _pattern_of(self._known)
            text = self._pattern.sub(MASK, text)
        for shape, replacement in _SHAPES:
            text = re.sub(shape, replacement, text)  # compiled once, and kept by `re`
        return text

    def also(self, secrets: Iterable[str]) -> Redactor:
        """A redactor that knows these secrets too."""
        return Redactor([*self._known, *secrets])

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._known)} secrets>"


def url_secrets(url: object) -> list[str]:
    """The parts of a presigned URL that give access: its query, and the long values in it."""
    if not isinstance(url, str) or "?" not in url:
        return []
    query = url.partition("?")[2].partition("#")[0]
    values = [pair.partition("=")[2] for pair in query.split("&")]
    return [query, *(value for value in values if len(value) >= 16)]


def _pattern_of(secrets: Iterable[str]) -> re.Pattern[str]:
    forms = {form for secret in secrets for form in _forms_of(secret)}
    # Longest first: a form that contains another must not be cut in half by it.
    return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


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
