"""Whatever a server answers: a value or one of our errors, in time, and nothing given away.

A few hundred cases by default. The long run, and a single case again:

    SEEKAPI_FUZZ_CASES=100000 python -m pytest tests/faults/test_fuzz_responses.py -s
    SEEKAPI_FUZZ_FIRST=4711 SEEKAPI_FUZZ_CASES=1 python -m pytest tests/faults/test_fuzz_responses.py -s
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import fuzz
from .judge import LATE_S
from .ledger import Ledger
from .runner import QUERY, SECRETS, Sdk
from .server import FaultyServer

CASES = int(os.environ.get("SEEKAPI_FUZZ_CASES", "360"))
FIRST = int(os.environ.get("SEEKAPI_FUZZ_FIRST", "0"))
BATCH = 15
PARALLEL = 24


def test_no_answer_gets_past_the_errors(tmp_path: Path) -> None:
    """Mutated answers, good and bad: never another exception, never late, never a leak."""
    (tmp_path / "file").write_bytes(b"content")
    spans = [(first, min(first + BATCH, FIRST + CASES)) for first in range(FIRST, FIRST + CASES, BATCH)]

    with Sdk() as sdk, ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(lambda span: _play(sdk, span, tmp_path / "file"), spans))

    broken = [
        f"cases {span}: {answer['broken']}" for span, answer in zip(spans, answers, strict=True) if "broken" in answer
    ]
    results = [answer["result"] for answer in answers if "result" in answer]
    problems = broken + [problem for result in results for problem in result["problems"]]
    ends = sum((Counter(result["ends"]) for result in results), Counter[str]())
    late_s, number = max((result["worst"] for result in results), default=(0.0, 0))
    print(f"\n{CASES} cases, at most {late_s * 1000:+.0f} ms past the deadline (case {number})")
    print("\n".join(f"{count:8} {end}" for end, count in sorted(ends.items())))
    assert not problems, "\n".join(problems)
    assert sum(ends.values()) == CASES


def _play(sdk: Sdk, span: tuple[int, int], file: Path) -> dict[str, Any]:
    with FaultyServer(Ledger(SECRETS["secret"], SECRETS["token"]), fault=fuzz.FUZZED) as server:
        scene = {
            "module": "faults.fuzz",
            "env": {"WORKER_API_BASE_URL": server.url, "WORKER_INTERNAL_SECRET": SECRETS["secret"]},
            "secrets": {name: SECRETS[name] for name in ("secret", "token", "signature")},
            "base": server.url,
            "query": QUERY,
            "file": str(file),
            "first": span[0],
            "last": span[1],
            "late_s": LATE_S,
        }
        return sdk.play(scene, 60 + BATCH * 5, lambda pid: None, lambda what: None)
