"""The upload form of one file, as bytes around a file that stays where it is (RFC 7578).

The framing is that of 1.0.5, read by its platform: three parts, in this order. The `name` part holds the name
verbatim; the `filename` parameter is for parsers, with `"`, CR and LF percent-encoded as browsers do.
"""

from __future__ import annotations

import re

from ..errors import ArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .messages import FileSegment

BOUNDARY_PREFIX = "----WorkerSDKBoundary"

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(\s*;[\x20-\x7e]*)?")


def content_type(boundary: str) -> str:
    """The Content-Type of the whole form."""
    return f"multipart/form-data; boundary={boundary}"


def file_form(
    execution_token: str, name: str, content: FileSegment, file_type: str, boundary: str
) -> tuple[bytes | FileSegment, ...]:
    """The segments of the body. Raises ArgumentError if a name or type cannot travel."""
    filename = checked_name(name).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="execution_token"\r\n\r\n'
        f"{execution_token}\r\n"
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="name"\r\n\r\n'
        f"{name}\r\n"
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        f"Content-Type: {checked_media_type(file_type)}\r\n\r\n"
    )
    if boundary in execution_token or boundary in name:
        raise ArgumentError("push_file: the name contains the boundary of the form")
    return (head.encode("utf-8"), content, f"\r\n--{boundary}--\r\n".encode("ascii"))


def checked_name(name: str) -> str:
    """`name`, if it is text that has a UTF-8 form and can be a file's name."""
    if not isinstance(name, str):
        raise ArgumentError(f"push_file: name must be a string, not {type(name).__name__}")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        encodable = False
    else:
        encodable = "\0" not in name
    if not encodable:
        raise ArgumentError("push_file: name holds a character that no file name can have (NUL or a lone surrogate)")
    return name


def checked_media_type(media_type: str) -> str:
    """`media_type`, if it is one: a line break in it would add headers."""
    if isinstance(media_type, str) and _MEDIA_TYPE.fullmatch(media_type):
        return media_type
    raise ArgumentError("push_file: content_type must look like text/csv")
