"""What runs inside a measured process: one seekapi, of whatever version PYTHONPATH says, doing one thing.

    subject.py cold                 import and run one job at once; says how long both took
    subject.py run                  import `run`; then one job per line
    subject.py memory WHAT [...]    do WHAT once ("nothing", "push_file PATH", "get_input BYTES"); says time and peak

Only names that 1.0.5 has too are used. Nothing is imported here that seekapi might need: that would be a present.
"""

import sys
import time

JOB_UUID = "5f0c1e9a-benchmark"
TOKEN = "execution-token-of-the-benchmark"
TIMEOUT_S = 240


class LambdaContext:
    """What AWS Lambda hands to a handler."""

    aws_request_id = "11111111-2222-3333-4444-555555555555"

    def get_remaining_time_in_millis(self):
        """A minute, always."""
        return 60_000


def main():
    """By the first argument."""
    mode, *rest = sys.argv[1:]
    {"cold": cold, "run": runs, "memory": memory}[mode](*rest)


def event(size_bytes=200):
    """A job of the platform that WORKER_API_BASE_URL names."""
    from os import environ

    url = f"{environ['WORKER_API_BASE_URL']}/input/{size_bytes}?X-Amz-Signature=0123456789abcdef"
    return {"job_uuid": JOB_UUID, "execution_token": TOKEN, "input_presigned_url": url}


def handler(job_input):
    """Hardly any work, so that what remains is seekapi."""
    return {"items": len(job_input), "first": job_input[0]["id"]}


def say(**fields):
    """One line of JSON, without importing json."""
    text = ", ".join(f'"{name}": {"true" if value is True else value}' for name, value in fields.items())
    sys.stdout.write(f"{{{text}}}\n")
    sys.stdout.flush()


def checked(envelope):
    """The run has to have succeeded, or the figure is worth nothing."""
    if envelope.get("ok") is not True:
        raise SystemExit(f"the run failed: {envelope}")


def cold():
    """Import and first run."""
    job, context = event(), LambdaContext()
    began, began_cpu = time.perf_counter(), time.process_time()
    from seekapi import run

    envelope = run(job, context, handler)
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    checked(envelope)
    say(took_s=took_s, cpu_s=cpu_s)


def runs():
    """One run per line."""
    from seekapi import run

    job, context = event(), LambdaContext()
    say(ready=True)
    for _ in sys.stdin:
        began, began_cpu = time.perf_counter(), time.process_time()
        envelope = run(job, context, handler)
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
        checked(envelope)
        say(took_s=took_s, cpu_s=cpu_s)


def memory(what, argument=""):
    """One large call after a small one, and the peak of this process."""
    from seekapi import create_context, get_input, push_data, push_file

    if what == "nothing":
        say(took_s=0, cpu_s=0, peak_bytes=peak_bytes())
        return
    # Connecting, and what is imported for it, belongs to a cold start and not to a large file.
    get_input(event(), timeout=TIMEOUT_S)
    context = create_context(event())
    push_data(context, 1)
    began, began_cpu = time.perf_counter(), time.process_time()
    if what == "push_file":
        from os import stat

        reply = push_file(context, "benchmark.bin", argument, timeout=TIMEOUT_S)
        if not reply["size_bytes"] > stat(argument).st_size:
            raise SystemExit(f"the upload is incomplete: {reply}")
    if what == "get_input":
        value = get_input(event(int(argument)), timeout=TIMEOUT_S)
        if not value[-1]["seller"]:
            raise SystemExit("the input is incomplete")
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    say(took_s=took_s, cpu_s=cpu_s, peak_bytes=peak_bytes())


def peak_bytes():
    """The most memory this process has ever held.

    /proc knows it for this program alone; `ru_maxrss`, where there is no /proc, also counts what the parent held
    when it forked.
    """
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        from resource import RUSAGE_SELF, getrusage

        return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


main()
