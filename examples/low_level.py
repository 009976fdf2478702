"""The low-level calls, for a handler that wants every step in its own hands.

    seekapi run examples/low_level.py --input '{"text": "to be or not to be"}'

Counts the words of a text: one push for each word, one charge for each, and the list as a file.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from seekapi import (
    charge,
    create_context,
    failure,
    get_input,
    push_data,
    push_file,
    register_request_id,
    success,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Everything that run() does, by hand."""
    request_id = getattr(context, "aws_request_id", None)
    register_request_id(event.get("job_uuid", ""), request_id)  # for live logs; it never fails the job

    try:
        job_context = create_context(event)
        counts = Counter(get_input(event)["text"].lower().split())
        for word, count in counts.most_common():
            push_data(job_context, {"word": word, "count": count})
            # The key makes it one charge, however often this line runs for the same word.
            reply = charge(job_context, f"word:{word}", justification={"word": word})
            if reply.get("limit_reached"):
                return failure("LIMIT_REACHED", f"stopped at {word!r}", request_id)
        table = "".join(f"{word},{count}\n" for word, count in counts.most_common())
        push_file(job_context, "words.csv", table.encode())
    except Exception as error:
        return failure("WORKER_ERROR", f"{type(error).__name__}: {error}", request_id)
    return success(request_id)
