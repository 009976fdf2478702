"""What a cold start costs: importing seekapi, and importing it and running the first job.

    python benchmarks/cold_start.py --other FOLDER_WITH_SEEKAPI_1.0.5

The import is measured from outside, beside an interpreter that does nothing. Import and first run are measured from
inside the process, so that the interpreter's own start is not counted; plain and TLS 1.3, on this machine. TLS
once with a single trusted root, and once with all of the system's, which is what a worker on Lambda loads.

Use the interpreter of a fresh virtual environment: a `.pth` file may import half of the standard library before the
first line of a program. The head of the output says how many modules were there.
"""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import measuring
from measuring import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

IMPORT_ROUNDS = 60
RUN_ROUNDS = 25
_MODULES = "import sys; print(len(sys.modules))"
_NEW_MODULES = "import sys; before = set(sys.modules); import seekapi; print(len(set(sys.modules) - before))"


def main() -> None:
    """Both tables."""
    options = measuring.arguments(__doc__, _add_arguments)
    subjects = measuring.subjects(options)
    measuring.print_head("cold start", subjects)
    for name, subject in subjects.items():
        print(f"{name}: {_output_of(subject, _MODULES)} modules before the first line of a program")
    print()
    print_imports(subjects, options.rounds or IMPORT_ROUNDS)
    with measuring.Platform() as platform, many_roots(options.roots) as roots:
        print_first_runs(subjects, platform, roots, options.rounds or RUN_ROUNDS)


def print_imports(subjects: dict[str, Subject], rounds: int) -> None:
    """`import seekapi` beside `pass`, each with the interpreter of its subject."""
    measured: dict[str, Callable[[], float]] = {}
    for name, subject in subjects.items():
        measured[f"{name} pass"] = _wall_of(subject, "pass")
        measured[f"{name} import"] = _wall_of(subject, "import seekapi")
    for measure in measured.values():
        measure()  # writes the bytecode and warms the file cache
    walls = measuring.interleaved(rounds, measured)
    rows = []
    for name, subject in subjects.items():
        bare, importing = walls[f"{name} pass"], walls[f"{name} import"]
        wall_ratio = measuring.ratio(importing, bare)
        fastest_ratio = min(importing) / min(bare)
        rows.append(
            (
                name,
                measuring.median(bare) * 1000,
                measuring.median(importing) * 1000,
                f"{wall_ratio:.3f}",
                f"{fastest_ratio:.3f}",
                _output_of(subject, _NEW_MODULES),
            )
        )
    measuring.print_table(
        ("import seekapi", "pass, ms", "import, ms", "import / pass", "of the fastest", "new modules"), rows
    )


def print_first_runs(subjects: dict[str, Subject], platform: measuring.Platform, roots: str, rounds: int) -> None:
    """Import and first run(), plain and TLS."""
    one_root = str(measuring.AUTHORITY)
    count = Path(roots).read_text(encoding="utf-8").count("BEGIN CERTIFICATE")
    rows = []
    for kind, base, trusted in (
        ("plain", platform.plain, one_root),
        ("TLS, 1 root", platform.tls, one_root),
        (f"TLS, {count} roots", platform.tls, roots),
    ):

        def started(subject: Subject, base: str = base, trusted: str = trusted) -> dict[str, float]:
            with measuring.subject_child(subject, base, "cold", SSL_CERT_FILE=trusted) as child:
                answer: dict[str, float] = child.hear()
                return answer

        answers = measuring.interleaved(rounds + 1, {name: partial(started, s) for name, s in subjects.items()})
        for what, field in (("wall", "took_s"), ("CPU", "cpu_s")):
            figures = {name: [answer[field] * 1000 for answer in found[1:]] for name, found in answers.items()}
            ours, other = figures["ours"], figures.get("other")
            rows.append(
                (
                    f"{kind}, {what}",
                    measuring.median(ours),
                    measuring.median(other) if other else None,
                    measuring.ratio(ours, other) if other else None,
                    min(ours) / min(other) if other else None,
                )
            )
    measuring.print_table(("import + first run()", "ours, ms", "other, ms", "ours/other", "of the fastest"), rows)


def _wall_of(subject: Subject, code: str) -> Callable[[], float]:
    command, env = [subject.python, "-c", code], subject.environment()

    def measure() -> float:
        began = time.perf_counter()
        subprocess.run(command, env=env, cwd="/", check=True)
        return time.perf_counter() - began

    return measure


def _output_of(subject: Subject, code: str) -> str:
    command, env = [subject.python, "-c", code], subject.environment()
    return subprocess.run(command, env=env, cwd="/", check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def many_roots(bundle: Path | None) -> Iterator[str]:
    """A file with the roots of `bundle` and that of the benchmarks."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem", encoding="utf-8") as file:
        if bundle is not None:
            file.write(bundle.read_text(encoding="utf-8") + "\n")
        file.write(measuring.AUTHORITY.read_text(encoding="utf-8"))
        file.flush()
        yield file.name


def _system_bundle() -> Path | None:
    found = ssl.get_default_verify_paths().cafile
    usual = (found, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
    return next((Path(path) for path in usual if path and Path(path).is_file()), None)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--roots", type=Path, default=_system_bundle(), help="bundle of roots (default: the system's)")


if __name__ == "__main__":
    main()
