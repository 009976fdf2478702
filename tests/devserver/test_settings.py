"""The worker's settings, from the platform that keeps them to the job that is run with them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from devserver.platforms import Dev, Runner
from devserver.running import running

WORKER = """
    import dataclasses
    from seekapi import worker

    @dataclasses.dataclass
    class Size:
        width: int = 3

    @dataclasses.dataclass
    class Settings:
        threshold: float = 0.5
        size: Size = dataclasses.field(default_factory=Size)

    @worker(settings=Settings)
    def handler(job_input, job):
        return dataclasses.asdict(job.settings)
    """
SCHEMA = {
    "type": "object",
    "properties": {
        "adjust": {"type": "number", "default": 0.5},
        "label": {"type": "string", "default": "x"},
        "mode": {"enum": ["a", "b"], "default": "a"},
        "size": {"type": "object"},
    },
    "additionalProperties": False,
}


@pytest.fixture
def dev():
    with Dev(runner=Runner(None, SCHEMA)) as dev:
        yield dev


def test_a_worker_with_settings_runs_with_them(tmp_path):
    """Before anybody has set anything, and after; each job with those of the moment it was submitted."""
    with running(tmp_path, WORKER) as platform:
        platform.runner.worker.describe()
        first = platform.run()
        changed = platform.ask("PATCH", "/settings", {"threshold": 0.9})
        second = platform.run()
        platform.ask("PATCH", "/settings", {"size": {"width": 4}})
        third = platform.run()
        shown = platform.ask("GET", f"/jobs/{second.job_id}")["settings"]

    assert [job.error for job in (first, second, third)] == [None] * 3
    assert first.pushes == [{"threshold": 0.5, "size": {"width": 3}}]
    assert second.pushes == [{"threshold": 0.9, "size": {"width": 3}}]
    assert third.pushes == [{"threshold": 0.9, "size": {"width": 4}}]
    assert (shown, changed["threshold"]) == (changed, 0.9) and changed["updated_datetime"]


def test_the_worker_of_the_documentation_runs(tmp_path):
    """docs/handlers.md, word for word."""
    text = Path(__file__).parents[2].joinpath("docs", "handlers.md").read_text(encoding="utf-8")
    (source,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "settings=Settings" in block]
    with running(tmp_path, source) as platform:
        platform.runner.worker.describe()
        before = platform.run()
        platform.ask("PATCH", "/settings", {"threshold": 0.2})
        after = platform.run()

    assert (before.error, before.pushes) == (None, [["cat"]])
    assert (after.error, after.pushes) == (None, [["cat", "dog"]])


def test_a_field_without_a_default_in_the_schema_is_left_to_the_class(dev):
    """A null would be a value that nobody has set; what GET gives may be sent back."""
    shown = dev.ask("GET", "/settings").json()

    assert shown == {"adjust": 0.5, "label": "x", "mode": "a", "updated_datetime": None}
    assert dev.ask("PATCH", "/settings", shown).status == 202


def test_a_number_that_is_none_in_json_is_refused(dev):
    """1e999 is read as infinity: 422, and nothing is set."""
    seen = dev.ask("PATCH", "/settings", b'{"label": "new", "adjust": 1e999}', Content_Type="application/json")

    assert seen.status == 422 and "adjust" in seen.json()[0]["msg"]
    assert dev.ask("GET", "/settings").json()["label"] == "x"


def test_a_value_that_the_worker_takes_no_more_gives_way_to_the_default(dev, caplog):
    """It is said once, stands in the way of no other setting, and is back as soon as it fits again."""
    dev.ask("PATCH", "/settings", {"mode": "b", "adjust": 0.9})
    runner = dev.platform.runner
    mode = {"enum": ["c"], "default": "c"}
    runner.settings_schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "mode": mode}}

    shown = dev.ask("GET", "/settings").json()
    assert (shown["mode"], shown["adjust"]) == ("c", 0.9)
    assert dev.ask("GET", f"/jobs/{dev.job()}").json()["settings"]["mode"] == "c"
    assert dev.ask("PATCH", "/settings", {"label": "new"}).status == 202
    assert dev.ask("PATCH", "/settings", {"mode": "b"}).status == 422
    (said,) = [record.getMessage() for record in caplog.records]
    assert "setting mode" in said and "adjust" not in said
    runner.settings_schema = SCHEMA
    assert dev.ask("GET", "/settings").json()["mode"] == "b"


def test_settings_have_room_for_a_megabyte(dev):
    """Together, and also in pieces: every job carries a copy."""
    for fields in ({"label": "x" * 2**20}, {"label": "x" * 600_000, "size": {"pad": "x" * 600_000}}):
        assert dev.ask("PATCH", "/settings", fields).status == 422
    assert dev.ask("PATCH", "/settings", {"label": "x" * 600_000}).status == 202
    assert dev.ask("PATCH", "/settings", {"size": {"pad": "x" * 600_000}}).status == 422
    assert len(json.dumps(dev.ask("GET", "/settings").json())) < 2**20
    without_label = {name: part for name, part in SCHEMA["properties"].items() if name != "label"}
    dev.platform.runner.settings_schema = {**SCHEMA, "properties": without_label}
    assert dev.ask("PATCH", "/settings", {"size": {"pad": "x" * 600_000}}).status == 202
