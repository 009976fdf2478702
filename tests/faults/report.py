"""The fault matrix as a table: `python tests/faults/report.py [ROW ...] [--op OP] [--path DIRECTORY] [--python EXE]`.

`--path` puts another copy of the package in front, so that two versions can be compared on the same rows. Prints
each case that fails and why, the overshoot past the deadline, and a summary; the exit code is 1 if any case fails.
"""

from __future__ import annotations

import argparse
import sys
from fnmatch import fnmatch
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from faults.expect import OPERATIONS
from faults.judge import overshoot_s, problems_of
from faults.runner import PARALLEL_CASES, Sdk, observe_all, timed
from faults.table import cases


def main() -> int:
    """Play, print, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", default=["*"], help="names or patterns of rows")
    parser.add_argument("--op", choices=OPERATIONS, action="append", help="only these operations")
    parser.add_argument("--path", default="", help="a directory that holds the seekapi to test")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs it")
    parser.add_argument("--parallel", type=int, default=PARALLEL_CASES)
    parser.add_argument("-v", "--verbose", action="store_true", help="also what the child printed and logged")
    options = parser.parse_args()
    wanted = [
        case
        for case in cases()
        if any(fnmatch(case[0].name, pattern) for pattern in options.rows) and case[1] in (options.op or OPERATIONS)
    ]
    with Sdk(options.python, options.path) as sdk:
        elapsed_s, observations = timed(lambda: observe_all(sdk, wanted, options.parallel))
    failing_rows = set()
    failing = 0
    for seen in sorted(observations, key=lambda seen: seen.name):
        problems = problems_of(seen)
        if problems:
            failing += 1
            failing_rows.add(seen.row.name)
            print(f"FAIL {seen.name}  ({seen.row.must})")
            for problem in problems:
                print(f"       {problem}")
        if options.verbose:
            print(f"     {seen.name}: {seen.result}{seen.broken}")
    late = sorted(((overshoot_s(seen), seen.name) for seen in observations), reverse=True)[:10]
    print("\npast the deadline, worst first:")
    for seconds, name in late:
        print(f"  {seconds * 1000:+8.0f} ms  {name}")
    rows = {seen.row.name for seen in observations}
    print(f"\n{len(observations) - failing} of {len(observations)} cases met", end="")
    print(f", {len(rows) - len(failing_rows)} of {len(rows)} rows whole, in {elapsed_s:.1f} s")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
