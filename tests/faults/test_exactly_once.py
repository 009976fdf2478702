"""Lost answers, duplicates, crashes after the work, callers that call again, events that are run again: one effect.

About 300 injections by default. The long run:

    SEEKAPI_INJECTIONS=10000 python -m pytest tests/faults/test_exactly_once.py -s
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import hazards
from .ledger import Effect, Ledger
from .runner import QUERY, SECRETS, Sdk
from .server import FaultyServer

INJECTIONS = int(os.environ.get("SEEKAPI_INJECTIONS", "300"))
SEED = int(os.environ.get("SEEKAPI_SEED", "20261122"))
CHILDREN = 24
# A piece of work meets more than one injection on average; enough of it that the number is reached.
WORK_PER_INJECTION = 1.2
TOLD = {"ok", "failed", "unknown", "rejected", "not_sent"}


def test_one_effect_whatever_is_lost_or_doubled(tmp_path: Path) -> None:
    """What was reported ok is there exactly once; what failed is there at most once; "not sent" means not there."""
    (tmp_path / "file").write_bytes(b"content")
    each = int(INJECTIONS * WORK_PER_INJECTION / CHILDREN) + 1

    with Sdk() as sdk, ThreadPoolExecutor(CHILDREN) as pool:
        stories = list(pool.map(lambda n: _play(sdk, SEED + n, each, tmp_path / "file"), range(CHILDREN)))

    problems = [problem for problems, _, _ in stories for problem in problems]
    fates = sum((fates for _, fates, _ in stories), Counter[str]())
    told = sum((told for _, _, told in stories), Counter[str]())
    injections = sum(fates.values()) - fates["fine"]
    print(f"\n{injections} injections: {dict(fates)}\ntold: {dict(told)}")
    assert not problems, "\n".join(problems)
    assert injections >= INJECTIONS
    assert told["ok"], "nothing ever succeeded: nothing was tested"


def _play(sdk: Sdk, seed: int, count: int, file: Path) -> tuple[list[str], Counter[str], Counter[str]]:
    ledger = Ledger(SECRETS["secret"], SECRETS["token"])
    with FaultyServer(ledger, fault=hazards.bad_day(seed)) as api, FaultyServer(ledger, input_body=b"[1]") as inputs:
        scene = {
            "module": "faults.hazards",
            "env": {"WORKER_API_BASE_URL": api.url, "WORKER_INTERNAL_SECRET": SECRETS["secret"]},
            "secrets": SECRETS,
            "input": inputs.url,
            "query": QUERY,
            "file": str(file),
            "seed": seed,
            "count": count,
            "timeout_s": 1.0,
        }
        answer = sdk.play(scene, 60 + count * 5, lambda pid: None, lambda what: None)
        fates = Counter(api.state)
    if "broken" in answer:
        return [answer["broken"]], fates, Counter()
    work = answer["result"]["work"]
    problems = [problem for piece in work for problem in _problems(piece, ledger.effects)]
    problems += [f"other bytes under the same key: {what}" for what in ledger.rewritten]
    return problems, fates, Counter(piece["told"] for piece in work)


def _problems(piece: dict[str, Any], effects: list[Effect]) -> list[str]:
    count = sum(_is_of(effect, piece) for effect in effects)
    told, wanted = piece["told"], piece["wanted"]
    if told not in TOLD:
        return [f"{piece}: {told}"]
    if told == "ok" and count < wanted:
        return [f"{piece}: lost, but reported ok ({count} of {wanted} effects)"]
    if count > wanted:
        return [f"{piece}: {count} effects, where {wanted} is the most"]
    # Of two pushes the first was a success, so only the second may be missing.
    if told in ("rejected", "not_sent") and count == wanted:
        return [f"{piece}: the caller was told that nothing happened, and it did"]
    return []


def _is_of(effect: Effect, piece: dict[str, Any]) -> bool:
    if piece["op"] in ("push_data", "run"):
        return effect.kind == "push" and effect.detail == {"id": piece["id"]}
    if piece["op"] == "push_file":
        return effect.kind == "file" and effect.detail["name"] == piece["id"]
    return effect.kind == "charge" and effect.detail["idempotency_key"] == piece["id"]
