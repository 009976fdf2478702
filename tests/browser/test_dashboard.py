"""The dashboard as a person uses it, in a real browser, against the real platform with a real worker.

Skipped, loudly, where SEEKAPI_BROWSER does not name a folder with `chromium` and `chromedriver`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from .driver import FOLDER, LIMIT_S, browser, until

pytestmark = pytest.mark.skipif(not FOLDER, reason="SEEKAPI_BROWSER does not name chromium and chromedriver")

WORKER = """
import time
from dataclasses import dataclass
from typing import Annotated

from seekapi import Doc, Fail, Job, Range, worker

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)


@dataclass
class Input:
    name: Annotated[str, Doc("whom to greet")] = "world"
    seconds: Annotated[float, Range(0, 60)] = 0.0
    fail: bool = False
    code: str = ""
    lines: int = 0
    pushes: int = 0


@worker
def handler(job_input: Input, job: Job):
    print("printed <b>by hand</b>")
    job.log.info("greeting %s", job_input.name)
    for _ in job.track(range(10)):
        time.sleep(job_input.seconds / 10)
    for number in range(job_input.lines):
        print(f"line {number}.")
    for number in range(job_input.pushes):
        job.push_data({"number": number})
    job.push_data({"markup": "<script>document.title = 'run'</script>"})
    job.push_file("pixel.png", PIXEL)
    job.charge("greeting")
    if job_input.code:
        raise Fail(job_input.code, "with a code of its own")
    if job_input.fail:
        raise ValueError("no such page: 4")
    return {"message": f"hello {job_input.name}"}
"""
_opener = build_opener(ProxyHandler({}))


def fetch(url, body=None):
    """What the platform answers, as JSON."""
    data = None if body is None else json.dumps(body).encode()
    with _opener.open(Request(url, data, {"Content-Type": "application/json"}), timeout=LIMIT_S) as response:
        return json.load(response)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The URL of a platform that runs WORKER."""
    folder = tmp_path_factory.mktemp("dev")
    (folder / "worker.py").write_text(WORKER, encoding="utf-8")
    with dev(folder, "worker.py", "--timeout", "20") as url:
        yield url


@contextmanager
def dev(folder, *options, port=0):
    """The URL of a platform, from the command that users type."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "seekapi", "dev", *options, "--port", str(port)]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SEEKAPI_", "WORKER_"))}
    with open(folder / "dev.log", "wb") as log:
        process = subprocess.Popen(
            [*command, "--ready-file", str(ready)], cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            until(ready.exists, what=f"the platform to be ready, see {folder}/dev.log")
            yield json.loads(ready.read_text(encoding="utf-8"))["url"]
        finally:
            process.terminate()
            process.wait(LIMIT_S)


@pytest.fixture
def page(base):
    """A fresh browser at the dashboard; at its end its console has to be free of errors."""
    with browser() as page:
        page.resize(1200, 800)
        page.open(f"{base}/")
        page.wait_for_text("live", "#connection")
        yield page
        assert page.console() == []


def job_of(page):
    """The id of the job whose page is shown."""
    return str(page.wait("return location.hash.startsWith('#/jobs/') && location.hash.slice(7)"))


def submit(base, **job_input):
    """A job, submitted over HTTP."""
    return fetch(f"{base}/jobs", job_input)["job_id"]


def ended(base, job_id):
    """The job, once it has come to an end."""
    final = ("completed", "error", "cancelled")
    return until(
        lambda: (job := fetch(f"{base}/jobs/{job_id}"))["status"] in final and job, what="the job to come to an end"
    )


def test_a_job_from_the_form_is_watched_while_it_runs(page, base):
    """The form comes from the worker's schema; the job's page follows it to its end without a reload."""
    page.press("n")
    page.find("#field-name").type("Ada")
    page.find("#field-seconds").type("5")
    page.button("Submit").click()

    page.wait_for_text("running", ".job-head")
    page.wait_for_text("of 10", ".bars")
    page.wait_for_text("completed", ".job-head")

    shown = page.text("main")
    assert all(text in shown for text in ("hello Ada", "greeting Ada", "printed <b>by hand</b>", "pixel.png"))
    kinds = ("submitted", "started", "called", "input", "registered", "push", "file", "charge", "ended")
    assert all(kind in page.text(".timeline") for kind in kinds)
    assert fetch(f"{base}/jobs/{job_of(page)}")["request_payload"]["name"] == "Ada"


def test_a_job_is_edited_and_run_again(page, base):
    """The form starts with the input of the job that it repeats; that one stays as it was."""
    first = submit(base, name="Ada")
    ended(base, first)
    page.open(f"{base}/#/jobs/{first}")
    page.wait_for_text("hello Ada", "main")

    page.press("e")
    page.find("#field-name").type("Grace")
    page.button("Submit").click()
    page.wait_for_text("hello Grace", "main")

    assert job_of(page) != first
    assert fetch(f"{base}/jobs/{first}")["request_payload"] == {"name": "Ada"}


def test_a_form_is_sent_once(page, base):
    """However often it is sent off before the answer is there."""
    page.press("n")
    page.find("#field-name").type("only once")
    page.run("const form = document.querySelector('dialog form'); form.requestSubmit(); form.requestSubmit()")
    ended(base, job_of(page))

    assert len(fetch(f"{base}/overview?q=only+once")["jobs"]) == 1


def test_a_job_is_run_again_from_its_page(page, base):
    """Rerun is one key."""
    first = submit(base, name="Ada")
    ended(base, first)
    page.open(f"{base}/#/jobs/{first}")
    page.wait_for_text("hello Ada", "main")

    page.press("r")
    page.wait("return location.hash.startsWith('#/jobs/') && !location.hash.endsWith(arguments[0])", first)

    assert ended(base, job_of(page))["status"] == "completed"


def test_a_running_job_is_cancelled(page, base):
    """The button ends the process, and the page says so."""
    job_id = submit(base, seconds=50)
    page.open(f"{base}/#/jobs/{job_id}")
    page.wait_for_text("running", ".job-head")

    page.button("Cancel").click()
    page.wait_for_text("cancelled", ".job-head")

    assert ended(base, job_id)["status"] == "cancelled"


def test_a_failure_shows_the_line_of_the_worker(page, base):
    """Code, message, line and traceback, as text."""
    job_id = submit(base, fail=True)
    page.open(f"{base}/#/jobs/{job_id}")

    page.wait_for_text("no such page: 4", ".failure")

    shown = page.text(".failure")
    assert "WORKER_ERROR" in shown and "worker.py:" in shown and 'raise ValueError("no such page: 4")' in shown


def test_what_is_broken_on_purpose_is_seen_in_the_timeline(page, base):
    """The next push fails, the worker tries again, and the job completes."""
    page.press("b")
    page.find("[data-fault=push_fails]").click()
    page.wait("return document.querySelector('[data-fault=push_fails]').ariaPressed === 'true'")
    assert page.run("return document.activeElement.dataset.fault") == "push_fails"
    job_id = submit(base, name="Ada")
    page.open(f"{base}/#/jobs/{job_id}")
    page.wait_for_text("completed", ".job-head")

    assert "fault" in page.text(".timeline")
    assert len(fetch(f"{base}/jobs/{job_id}/result")["pushes"]) == 2


def test_a_picture_is_shown_and_a_file_opens(page, base):
    """A picture is drawn in the page; each file is a download by its id."""
    job_id = submit(base)
    ended(base, job_id)
    page.open(f"{base}/#/jobs/{job_id}")
    page.wait("const i = document.querySelector('.files img'); i?.scrollIntoView(); return i?.naturalWidth === 1")

    head = page.run(
        "return fetch(document.querySelector('.files a').href).then(async (r) => "
        "[r.status, r.headers.get('Content-Disposition').split(';')[0], (await r.arrayBuffer()).byteLength])"
    )

    assert head == [200, "attachment", 69]


def test_the_page_of_a_job_that_is_not_there_says_so(base):
    """In its place, with the way back."""
    with browser() as page:
        page.open(f"{base}/#/jobs/nobody")
        page.wait_for_text("nobody", "main")
        page.find("main a").click()
        page.wait("return document.querySelector('table.jobs') !== null")


def test_what_a_worker_produced_is_never_run(page, base):
    """Markup in an input, an output, a log line or a file name is text."""
    hostile = "<img src=x onerror=\"document.title='run'\">\u202egnp.exe"
    job_id = submit(base, name=hostile)
    ended(base, job_id)
    page.wait_for_text("<img src=x", ".jobs")
    page.open(f"{base}/#/jobs/{job_id}")
    page.wait_for_text("completed", ".job-head")

    assert page.run("return document.title") != "run"
    assert page.run("return document.querySelectorAll('main img[onerror], main script, main b').length") == 0
    assert "\\u202e" in page.text("main")


def test_the_list_is_filtered_and_walked_with_the_keyboard(page, base):
    """j, k and Enter open a job; the filter takes text and a status."""
    wanted = submit(base, name="needle")
    ended(base, wanted)
    page.find("input[type=search]").type("needle")
    page.wait("return document.querySelectorAll('.jobs tbody tr').length === 1")

    page.run("document.activeElement.blur()")
    page.press("j")
    page.find(".jobs tbody tr[aria-selected=true] a").click()

    assert job_of(page) == wanted


def test_ten_thousand_jobs_are_a_page_of_rows(tmp_path):
    """The list holds the newest ones, and more when asked; what is further back is found by its text."""
    with dev(tmp_path) as url, browser() as page:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(partial(submit_many, url), range(0, 10_000, 250)))
        page.open(f"{url}/")
        page.wait_for_text("10000", ".counts")

        assert page.run("return document.querySelectorAll('.jobs tbody tr').length") == 100
        for count in (200, 400, 800):
            page.find("main > button").click()
            page.wait(f"return document.querySelectorAll('.jobs tbody tr').length === {count}")
        page.find("input[type=search]").type("needle-77-")
        page.wait("return document.querySelectorAll('.jobs tbody tr').length === 1")
        assert page.console() == []


def submit_many(url, first):
    """250 jobs over one connection."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=LIMIT_S)
    for number in range(first, first + 250):
        body = json.dumps({"name": f"needle-{number}-"})
        connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
        assert connection.getresponse().read()
    connection.close()


def test_six_tabs_share_one_stream(page, base):
    """A browser opens six connections to a server and no more: each tab goes on being live, and can still ask."""
    body = json.dumps({"status": "cancelled"}).encode()
    for _ in range(5):
        page.new_tab()
        page.open(f"{base}/")
        page.wait_for_text("live", "#connection")
    assert len(page.tabs()) == 6

    job_id = submit(base, name="for all tabs")
    for tab in page.tabs():
        page.switch(tab)
        page.wait_for_text("for all tabs", ".jobs")

    patch = Request(f"{base}/jobs/{job_id}", body, {"Content-Type": "application/json"}, method="PATCH")
    with _opener.open(patch, timeout=LIMIT_S) as response:
        assert response.status == 202


def test_much_of_a_job_is_shown_in_parts(page, base):
    """The last lines of a long log, and how many were before them; some outputs, and more when one asks."""
    job_id = submit(base, lines=2500, pushes=60)
    ended(base, job_id)
    page.open(f"{base}/#/jobs/{job_id}")
    page.wait_for_text("completed", ".job-head")

    log = page.text(".log")
    assert "line 2499." in log and "line 499." not in log
    before_these = int(page.text("section[aria-label=Log] .empty").split()[0])
    assert before_these + page.run("return document.querySelector('.log').childElementCount") >= 2500
    assert page.run("return document.querySelectorAll('.pushes li').length") == 50
    page.button("12 more").click()
    page.wait("return document.querySelectorAll('.pushes li').length === 62")
    assert page.run("return document.querySelectorAll('.timeline li.push').length") == 62


def test_a_tree_that_was_opened_stays_open_while_more_is_pushed(page, base):
    """What is new is added; what was there stays as the person has left it, the focus too."""
    job_id = submit(base, seconds=50)
    page.open(f"{base}/#/jobs/{job_id}")
    page.wait_for_text("of 10", ".bars")
    page.run("document.querySelector('section[aria-label=Input] summary').click()")
    page.run("[...document.querySelectorAll('.job-head button')][0].focus()")

    fetch(f"{base}/jobs/{job_id}/cancel", {})
    page.wait_for_text("cancelled", ".job-head")

    assert page.run("return document.querySelector('section[aria-label=Input] details').open") is False
    assert page.run("return document.activeElement.textContent") == "Rerun"


def test_the_focus_stays_in_its_row_while_jobs_come_in(page, base):
    """News throws nobody out of it; and who has looked at a job comes back to its row."""
    first = submit(base)
    ended(base, first)
    page.wait("return document.querySelector(`tr[data-id='${arguments[0]}'] .completed`) !== null", first)
    page.press("j")
    assert page.run("return document.activeElement.closest('tr').dataset.id") == first

    second = submit(base)
    page.wait("return document.querySelector(`tr[data-id='${arguments[0]}'] .completed`) !== null", second)
    assert page.run("return document.activeElement.closest('tr')?.dataset.id") == first

    running = submit(base, seconds=50)
    page.wait("return document.querySelector(`tr[data-id='${arguments[0]}'] .processing`) !== null", running)
    page.press("kk")
    fetch(f"{base}/jobs/{running}/cancel", {})
    page.wait("return document.querySelector(`tr[data-id='${arguments[0]}'] .cancelled`) !== null", running)
    assert page.run("return document.activeElement.closest('tr')?.dataset.id") == running
    page.press("jj")

    page.find("tr[aria-selected=true] a").click()
    page.wait_for_text("completed", ".job-head")
    page.press("\ue00c")  # Escape
    page.wait("return document.querySelector('tr[aria-selected=true]')?.dataset.id === arguments[0]", first)


def test_the_page_comes_back_with_the_server(tmp_path):
    """Whatever was at the port meanwhile, also if its record is another one: the list shows what there is now."""
    with browser() as page:
        with dev(tmp_path, "--ephemeral") as url:
            submit(url, name="of the first server")
            page.open(f"{url}/")
            page.wait_for_text("of the first server", ".jobs")
        page.wait_for_text("no connection", "#connection")
        port = int(url.rpartition(":")[2])
        with other_server(port) as is_asked:
            until(is_asked.is_set, what="the page to ask for the stream")
        with dev(tmp_path, "--ephemeral", port=port) as again:
            assert again == url
            submit(url, name="of the second server")
            page.wait_for_text("of the second server", ".jobs")

            assert "of the first server" not in page.text(".jobs")


@contextmanager
def other_server(port):
    """One that knows no page of ours; the event is set once it was asked for the stream."""
    is_asked = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)
            if self.path.startswith("/events"):
                is_asked.set()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield is_asked
        server.shutdown()


def test_a_page_from_another_machine_is_live_too(base):
    """Without HTTPS it has no locks."""
    with browser() as page:
        source = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })"
        page.developer("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        page.open(f"{base}/")
        page.wait_for_text("live", "#connection")

        submit(base, name="seen from afar")
        page.wait_for_text("seen from afar", ".jobs")


def test_an_address_that_is_none_is_answered(base):
    """Also one that cannot be decoded."""
    with browser() as page:
        page.open(f"{base}/#/jobs/%E0%A4%A")
        page.wait_for_text("All jobs", "main")


def test_a_duration_is_shown_as_people_say_it(page):
    """No sixty seconds, and nothing below nothing."""
    seconds = [-3600, 0.9996, 59.94, 59.96, 119.7, 3599.9, None]

    shown = page.run("return import('/static/dom.js').then(({ duration }) => arguments[0].map(duration))", seconds)

    assert shown == ["0 ms", "1.0 s", "59.9 s", "1 min 0 s", "2 min 0 s", "1 h 0 min", ""]


def test_what_is_asked_for_twice_at_once_is_done_once_more_and_never_twice_at_once(page):
    """Answers that overtake each other would be drawn twice, or in the wrong order."""
    script = """
        return import('/static/dom.js').then(async ({ oneAtATime }) => {
          const said = [];
          let finish;
          const work = oneAtATime(async () => {
            said.push("begin");
            await new Promise((resolve) => (finish = resolve));
            said.push("end");
          });
          const all = work();
          work();
          work();
          finish();
          await Promise.resolve().then(() => {});
          while (said.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
          finish();
          await all;
          return said;
        });
    """
    assert page.run(script) == ["begin", "end", "begin", "end"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_each_page_fits_and_can_be_read(page, base, width, scheme, tmp_path):
    """No page is wider than its window; text stands out from what is behind it (WCAG AA). SEEKAPI_SHOTS keeps them."""
    failed, refused = submit(base, fail=True), submit(base, code="W" * 64)
    ended(base, failed)
    ended(base, refused)
    page.resize(width, 800)
    page.prefer(scheme)
    shots = Path(os.environ.get("SEEKAPI_SHOTS") or tmp_path)
    shown = {
        "list": ("#/", "WORKER_ERROR"),
        "job": (f"#/jobs/{failed}", "no such page"),
        "code": (f"#/jobs/{refused}", "of its own"),
        "api": ("openapi", "/jobs"),
    }
    for name, (path, text) in shown.items():
        page.open(f"{base}/{path}")
        page.wait_for_text(text)
        page.screenshot(shots / f"{name}-{width}-{scheme}.png")

        assert page.run("return document.documentElement.scrollWidth - innerWidth") <= 0, name
        assert page.run("return [...document.querySelectorAll('.wide')].every((e) => e.scrollWidth <= e.clientWidth)")
        assert page.run(CONTRAST) == [], name


# Every text that is shown, against the nearest background behind it.
CONTRAST = """
const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const parsed = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = parsed(getComputedStyle(at).backgroundColor);
    if (color[3] !== 0) return color;
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || element.offsetParent === null || element.closest(".hidden")) continue;
  const [a, b] = [light(parsed(getComputedStyle(element).color)), light(behind(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) found.push(`${element.tagName}.${element.className}: ${ratio.toFixed(1)}`);
}
return [...new Set(found)];
"""
