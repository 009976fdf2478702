"""Profile a CSV: one push per column, and the report as a file.

    seekapi run examples/csv_profile.py --input @fixtures/local/csv_profile_input.json

The input is {"csv": "a,b\n1,2\n"}, {"path": "data.csv"} or {"url": "https://..."}.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from statistics import fmean, stdev
from typing import Any
from urllib.request import urlopen

from seekapi import Fail, Job, worker

LARGEST_CSV_BYTES = 16 * 1024 * 1024
OUTLIER_SIGMAS = 5


@worker
def handler(job_input: dict[str, Any], job: Job) -> dict[str, Any]:
    """Each column is pushed as soon as it is done; the summary comes last."""
    columns, row_count = read_columns(csv_text(job_input))
    profiles = []
    for name, values in job.track(columns.items()):
        profiles.append(profile(name, values))
        job.push_data(profiles[-1])
    job.push_file("profile.md", report(profiles, row_count).encode())
    return {"rows": row_count, "columns": len(profiles), "missing": sum(p["missing"] for p in profiles)}


def csv_text(job_input: dict[str, Any]) -> str:
    """The CSV that the input brings along or points to."""
    match job_input:
        case {"csv": str(text)}:
            return text
        case {"path": str(path)}:
            return Path(path).read_text(encoding="utf-8-sig")
        case {"url": str(url)} if url.startswith(("https://", "http://")):
            with urlopen(url, timeout=10) as response:
                content: bytes = response.read(LARGEST_CSV_BYTES + 1)
            if len(content) > LARGEST_CSV_BYTES:
                raise Fail("CSV_TOO_LARGE", f"more than {LARGEST_CSV_BYTES} bytes")
            return content.decode("utf-8-sig")
    raise Fail("NO_CSV", 'the input needs "csv", "path" or "url" (http or https)')


def read_columns(text: str) -> tuple[dict[str, list[str]], int]:
    """The values of each column, by its name, and the number of rows."""
    rows = csv.reader(io.StringIO(text))
    header = next(rows, [])
    if not header or len(set(header)) != len(header):
        raise Fail("BAD_HEADER", "the first line must name every column, each name once")
    body = [row for row in rows if row]
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise Fail("BAD_ROW", f"row {number} has {len(row)} fields, the header has {len(header)}")
    return {name: [row[i].strip() for row in body] for i, name in enumerate(header)}, len(body)


def profile(name: str, values: list[str]) -> dict[str, Any]:
    """What one column holds; numbers if every value that is there is one."""
    present = [value for value in values if value]
    summary = {"column": name, "missing": len(values) - len(present), "distinct": len(set(present))}
    numbers = [number for number in map(as_number, present) if number is not None]
    if not numbers or len(numbers) < len(present):
        return {**summary, "kind": "text", "most_common": Counter(present).most_common(3)}
    mean, sigma = fmean(numbers), stdev(numbers) if len(numbers) > 1 else 0.0
    return {
        **summary,
        "kind": "number",
        "min": min(numbers),
        "mean": round(mean, 2),
        "max": max(numbers),
        "outliers": [number for number in numbers if abs(number - mean) > OUTLIER_SIGMAS * sigma > 0],
    }


def as_number(text: str) -> float | None:
    """`text` as a number that JSON has, else None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def report(profiles: list[dict[str, Any]], row_count: int) -> str:
    """The profiles as a Markdown table."""
    lines = [f"# {row_count} rows", "", "| column | missing | distinct | range or most common |", "|---|---|---|---|"]
    for column in profiles:
        if column["kind"] == "number":
            shown = f"{column['min']:g} to {column['max']:g}, mean {column['mean']:g}"
            shown += f"; suspicious: {column['outliers']}" if column["outliers"] else ""
        else:
            shown = ", ".join(f"{value} ({count})" for value, count in column["most_common"])
        cells = (column["column"], column["missing"], column["distinct"], shown)
        lines.append(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"
