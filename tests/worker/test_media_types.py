"""The content type of a file, from its name, the same on every machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from seekapi._worker import media_types


@pytest.mark.parametrize(
    "name, media_type",
    [
        ("report.csv", "text/csv"),
        ("REPORT.CSV", "text/csv"),
        ("a.tar.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("page.html", "text/html"),
        ("image.png", "image/png"),
        ("table.parquet", "application/vnd.apache.parquet"),
        ("clip.mpeg", "video/mpeg"),
        ("noextension", "application/octet-stream"),
        ("", "application/octet-stream"),
        (".env", "application/octet-stream"),
        ("odd.xyzzy", "application/octet-stream"),
    ],
)
def test_the_name_tells_the_type(name, media_type):
    """1.0.5 asked the local path, and called a .tar.gz a tar."""
    assert media_types.guess(name) == media_type


def test_the_path_helps_where_the_name_says_nothing():
    """`push_file(ctx, "report", "/tmp/x.pdf")` is a PDF; the name counts first."""
    assert media_types.guess("report", "x.pdf") == "application/pdf"
    assert media_types.guess("report.csv", "x.tmp") == "text/csv"


def test_common_types_need_no_tables():
    """Loading `mimetypes` costs more than a push."""
    code = "import sys; import seekapi._worker.media_types as m; m.guess('a.csv'); print('mimetypes' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)

    assert done.stdout == "False\n"
