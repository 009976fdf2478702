"""The smallest worker: a function from input to output.

    seekapi run examples/hello.py --input '{"name": "Ada"}'

What it pushed is in .seekapi-local/, in one folder for each job.
"""

from __future__ import annotations

from typing import Any

from seekapi import worker


@worker
def handler(job_input: dict[str, Any]) -> dict[str, str]:
    """Greet whoever the input names."""
    return {"message": f"hello {job_input.get('name', 'world')}"}
