"""The content type of a file, from its name: a table of what jobs produce, then the standard library's."""

from __future__ import annotations

UNKNOWN = "application/octet-stream"

# What `mimetypes` says depends on the machine's own tables, and loading it costs 11 ms; these do not, and cost nothing.
# `.tar.gz` is gzip: the receiver gets a gzip file, whatever is inside.
_TYPE_OF = {
    "bin": UNKNOWN,
    "bz2": "application/x-bzip2",
    "css": "text/css",
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "gz": "application/gzip",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "md": "text/markdown",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tgz": "application/gzip",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "xz": "application/x-xz",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
    "zst": "application/zstd",
}
_TYPE_OF_ENCODING = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def guess(*names: str) -> str:
    """The type of the first name that tells one, else `application/octet-stream`."""
    for name in names:
        known = _TYPE_OF.get(name.rpartition(".")[2].lower()) if "." in name else None
        if known:
            return known
    for name in names:
        from mimetypes import guess_type

        kind, encoding = guess_type(name, strict=False)
        if encoding or kind:
            return _TYPE_OF_ENCODING.get(encoding or "") or kind or UNKNOWN
    return UNKNOWN
