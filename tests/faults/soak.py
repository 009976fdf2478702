"""One process, thousands of invocations, random faults and freezes: does anything grow?

    python tests/faults/soak.py                     10,000 invocations in 15 minutes
    python tests/faults/soak.py --seconds 60        as many as fit

Prints a line for every step of the way and exits with 1 if descriptors or threads grew, memory grew by more than 5 MiB
after warming up, or an effect was doubled, lost or misreported.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from faults.hazards import MILD_DAY, bad_day

MOST_GROWTH_KIB = 5 * 1024
# One idle connection for each of the two origins may be there at one moment and not at the next.
IDLE_CONNECTIONS = 2
# Before this share of the way the process still loads modules and fills caches.
WARM_UP_SHARE = 0.1
STEPS = 40
REMAINING_MS = 3000


def play(scene: dict[str, Any], ask: Callable[[str], None]) -> dict[str, Any]:
    """The child's half: invocation after invocation, as one warm sandbox does them."""
    import seekapi
    from faults.child import LambdaContext, kept_log, nothing_but_loopback

    nothing_but_loopback()
    records = kept_log()
    os.environ.update(scene["env"])
    began, wanted, seconds = time.monotonic(), scene["invocations"], scene["seconds"]
    told: Counter[str] = Counter()
    done: list[tuple[str, bool, int]] = []
    step = 0
    number = 0
    while number < wanted and time.monotonic() - began < seconds:
        name = f"soak-{number}"
        event = {
            "job_uuid": name,
            "execution_token": scene["secrets"]["token"],
            "input_presigned_url": f"{scene['input']}/{name}.json?{scene['query']}",
        }
        job = Job(number, event, scene["file"])
        envelope = seekapi.run(event, LambdaContext(REMAINING_MS, f"request-{number}"), job.handle)
        told[envelope["error"]["code"] if not envelope["ok"] else "ok"] += 1
        done.append((name, envelope["ok"], job.pushed))
        number += 1
        records.clear()
        share = max(number / wanted, (time.monotonic() - began) / seconds)
        if share * STEPS >= step + 1:
            step = int(share * STEPS)
            ask(json.dumps({"at": number, "seconds": time.monotonic() - began, "told": dict(told), **_measured()}))
        # Spread over the time given: 10,000 in 15 minutes leave idle moments in which connections grow old.
        ahead_s = number / wanted * seconds - (time.monotonic() - began)
        if scene["paced"] and ahead_s > 0:
            time.sleep(min(ahead_s, 0.5))
    return {"done": done, "told": dict(told)}


class Job:
    """The user's half of one invocation: some also push, upload and charge for themselves."""

    def __init__(self, number: int, event: dict[str, Any], file: str) -> None:
        self._number = number
        self._event = event
        self._file = file
        self.pushed = 0

    def handle(self, job_input: Any) -> Any:
        """The handler."""
        import seekapi

        name = self._event["job_uuid"]
        context = seekapi.create_context(self._event)
        if self._number % 5 == 0:
            seekapi.push_file(context, name, self._file, timeout=1)
        if self._number % 3 == 0:
            seekapi.charge(context, "page", timeout=1)
        if self._number % 7 == 0:
            seekapi.push_data(context, {"extra": name}, timeout=1)
            self.pushed = 1
        return {"id": name}


def _measured() -> dict[str, int]:
    gc.collect()
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "resident_kib": resident_pages * (os.sysconf("SC_PAGE_SIZE") // 1024),
    }


class Freezer:
    """Stops and continues the child at random moments, as Lambda freezes a sandbox between and in invocations."""

    def __init__(self, rng: random.Random, longest_s: float) -> None:
        self._rng = rng
        self._lengths_s = [length_s for length_s in (0.02, 0.1, 0.5, 1.5, 5.0) if length_s <= longest_s]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._freeze, daemon=True)
        self._pid = 0
        self.count = 0

    def start(self, pid: int) -> None:
        """From now on."""
        self._pid = pid
        self._thread.start()

    def stop(self) -> None:
        """No more; the child is running when this returns."""
        self._over.set()
        if self._pid:
            self._thread.join()

    def _freeze(self) -> None:
        while not self._over.wait(self._rng.uniform(0.5, 6.0)):
            try:
                os.kill(self._pid, signal.SIGSTOP)
                self._over.wait(self._rng.choice(self._lengths_s))
                os.kill(self._pid, signal.SIGCONT)
            except ProcessLookupError:
                return
            self.count += 1


def soak(
    invocations: int, seconds: float, seed: int, *, paced: bool = True, longest_freeze_s: float = 5.0
) -> list[str]:
    """Run it, print the table, return what is wrong."""
    from faults.ledger import Ledger
    from faults.runner import QUERY, SECRETS, Sdk
    from faults.server import FaultyServer

    samples: list[dict[str, Any]] = []
    ledger = Ledger(SECRETS["secret"], SECRETS["token"])
    freezer = Freezer(random.Random(seed), longest_freeze_s)
    head = ("invocations", "seconds", "ok", "failed", "descriptors", "threads", "resident KiB")
    print("".join(f"{title:>13}" for title in head))

    def on_ask(line: str) -> None:
        sample = json.loads(line)
        samples.append(sample)
        ok = sample["told"].get("ok", 0)
        failed = sum(sample["told"].values()) - ok
        row = [sample["at"], int(sample["seconds"]), ok, failed]
        row += [sample["descriptors"], sample["threads"], sample["resident_kib"]]
        print("".join(f"{number:13}" for number in row), flush=True)

    with (
        tempfile.NamedTemporaryFile() as file,
        FaultyServer(ledger, fault=bad_day(seed, MILD_DAY)) as api,
        FaultyServer(ledger, fault=bad_day(seed + 1, MILD_DAY), input_body=b'{"n": 1}') as inputs,
        Sdk() as sdk,
    ):
        file.write(b"content" * 1000)
        file.flush()
        scene = {
            "module": "faults.soak",
            "env": {"WORKER_API_BASE_URL": api.url, "WORKER_INTERNAL_SECRET": SECRETS["secret"]},
            "secrets": SECRETS,
            "input": inputs.url,
            "query": QUERY,
            "file": file.name,
            "invocations": invocations,
            "seconds": seconds,
            "paced": paced,
        }
        try:
            answer = sdk.play(scene, seconds + 120, freezer.start, on_ask)
        finally:
            freezer.stop()
        fates = Counter(api.state) + Counter(inputs.state)
    if "broken" in answer:
        return [f"the child broke: {answer['broken']}"]
    result = answer["result"]
    print(f"\ntold: {result['told']}\nfates: {dict(fates)}\nfreezes: {freezer.count}")
    return _growth(samples, invocations, seconds) + _effects(result["done"], ledger)


def _growth(samples: list[dict[str, Any]], invocations: int, seconds: float) -> list[str]:
    warm = [s for s in samples if s["at"] >= invocations * WARM_UP_SHARE or s["seconds"] >= seconds * WARM_UP_SHARE]
    if len(warm) < 3:
        return ["too few samples: give it more time"]
    problems = []
    half = len(warm) // 2
    for what, allowed in (("descriptors", IDLE_CONNECTIONS), ("threads", 0), ("resident_kib", MOST_GROWTH_KIB)):
        before, after = max(s[what] for s in warm[:half]), max(s[what] for s in warm[half:])
        growth = max(after - before, warm[-1][what] - warm[0][what])
        print(f"{what}: {warm[0][what]} -> {warm[-1][what]}, at most {max(before, after)}")
        if growth > allowed:
            problems.append(f"{what} grew by {growth}; {allowed} is the most")
    return problems


def _effects(done: list[list[Any]], ledger: Any) -> list[str]:
    results = Counter(e.detail["id"] for e in ledger.effects if e.kind == "push" and "id" in e.detail)
    extras = Counter(e.detail["extra"] for e in ledger.effects if e.kind == "push" and "extra" in e.detail)
    problems = [f"other bytes under the same key: {what}" for what in ledger.rewritten]
    for name, ok, pushed in done:
        if results[name] > 1 or extras[name] > 1:
            problems.append(f"{name}: doubled")
        if ok and (results[name] < 1 or extras[name] < pushed):
            problems.append(f"{name}: lost, but reported ok")
    return problems


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--invocations", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--full-speed", action="store_true", help="do not spread the invocations over the time")
    options = parser.parse_args()
    problems = soak(options.invocations, options.seconds, options.seed, paced=not options.full_speed)
    print("\n" + ("\n".join(problems) if problems else "flat"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
