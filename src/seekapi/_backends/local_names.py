"""Which name on disk an id or a file name of the worker's gets: safe on every file system, and never shared.

Pure text in, text out. A job id keeps its folder to itself: an ordinary id (`[A-Za-z0-9._-]`, no dot first) *is* the
folder's name, any other is made safe and marked with `~` and a digest, and no ordinary id holds a `~`. A file name only
has to be safe: what makes it unique is the number that it gets on disk, and the row beside it keeps the name as given.
"""

from __future__ import annotations

import re

from ..errors import ArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Every file system takes 255 bytes; this leaves room for `~`, the digest, a number and the suffix of a temporary file.
MAX_NAME_BYTES = 200
# 64 bits: among 100,000 ids that look alike once made safe, the odds of one shared folder are 3 in 10 billion.
JOB_DIGEST_DIGITS = 16
FILE_DIGEST_DIGITS = 8

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
# Windows opens a device instead of a file under these names, whatever follows the first dot.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.IGNORECASE)


def job_folder_name(job_uuid: str) -> str:
    """The folder of a job; two ids never get the same one.

    Raises ArgumentError for an id that names no folder of its own: empty, `.`, `..`.
    """
    if job_uuid in ("", ".", ".."):
        raise ArgumentError(f"job_uuid {job_uuid!r} cannot name a job folder in local mode")
    safe = _UNSAFE.sub("_", job_uuid)
    is_plain = not (safe.startswith(".") or safe.endswith(".") or _DEVICE.match(safe))
    if safe == job_uuid and len(safe) <= MAX_NAME_BYTES and is_plain:
        return job_uuid
    return marked_job_folder_name(job_uuid)


def marked_job_folder_name(job_uuid: str) -> str:
    """The folder of a job whose plain name cannot be had: not safe, or taken by an id in other letter case."""
    safe = _UNSAFE.sub("_", job_uuid)[:MAX_NAME_BYTES].rstrip(".") or "job"
    # Nobody sees a name that begins with a dot, and such names are ours.
    prefix = "_" if safe.startswith(".") or _DEVICE.match(safe) else ""
    return f"{prefix}{safe}~{digest(job_uuid)[:JOB_DIGEST_DIGITS]}"


def stored_name(name: str) -> str:
    """The name under which a pushed file is stored if nothing else is stored there: its last part, made safe."""
    last_part = name.rpartition("/")[2]
    if not last_part.isascii():
        import unicodedata

        # So that a name typed on macOS (decomposed) and the same one typed elsewhere are stored alike.
        last_part = unicodedata.normalize("NFC", last_part)
    safe = _UNSAFE.sub("_", last_part.strip()).rstrip(".") or "file"
    if safe.startswith("-") or _DEVICE.match(safe):
        # `-rf` is an option to whoever writes `rm *` in this folder.
        safe = f"_{safe}"
    if len(safe) <= MAX_NAME_BYTES:
        return safe
    stem, extension = _split(safe)
    mark = f"~{digest(name)[:FILE_DIGEST_DIGITS]}"
    if len(extension) > 20:
        return safe[:MAX_NAME_BYTES].rstrip(".") + mark
    return stem[: MAX_NAME_BYTES - len(extension)].rstrip(".") + mark + extension


def numbered(stored: str, number: int) -> str:
    """`report.csv`, 2 -> `report-2.csv`; number 1 is the plain name."""
    if number == 1:
        return stored
    stem, extension = _split(stored)
    return f"{stem}-{number}{extension}"


def number_of(stored: str, numbered_name: str) -> int:
    """Which number `numbered_name` is of `stored`; 1 if it is the plain name, or none of its names."""
    stem, extension = _split(stored)
    digits = numbered_name[len(stem) + 1 : len(numbered_name) - len(extension)]
    is_a_number = digits.isascii() and digits.isdigit() and len(digits) < 10
    return int(digits) if is_a_number and numbered(stored, int(digits)) == numbered_name else 1


def first_free(stored: str, is_taken: Callable[[str], bool], given_before: int = 1) -> str:
    """The plain name, or one with the lowest free number as far as numbers are given out in a row.

    `given_before` is a number that was given out. From there on it asks in growing steps, then halves: a few dozen
    questions at most for a name pushed a million times. Where files were deleted in between, the answer is still
    free, only perhaps not the lowest.
    """
    if not is_taken(stored):
        return stored
    taken, step = given_before, 1
    while is_taken(numbered(stored, taken + step)):
        taken, step = taken + step, step * 2
    free = taken + step
    while free - taken > 1:
        middle = (taken + free) // 2
        if is_taken(numbered(stored, middle)):
            taken = middle
        else:
            free = middle
    return numbered(stored, free)


def digest(text: str) -> str:
    """SHA-256 in hex; ids with lone surrogates have one too."""
    from hashlib import sha256

    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _split(name: str) -> tuple[str, str]:
    """As os.path.splitext, on every platform: the dots that a name begins with start no extension."""
    dots = len(name) - len(name.lstrip("."))
    stem, dot, extension = name[dots:].rpartition(".")
    return (name[:dots] + stem, dot + extension) if dot else (name, "")
