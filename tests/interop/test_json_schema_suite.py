"""Our JSON Schema against the official test suite, and against the validator that everybody uses.

The suite comes with the source package of `jsonschema`: it is fetched once, into the environment that holds the peers.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from interop.conftest import need
from protocol.made_up_types import function_of, made_up

from seekapi import schema
from seekapi._protocol import json_text, schemas
from seekapi._protocol.schemas import formats, keywords

DIALECT = "draft2020-12"
# Whole files about what we do not claim; every case in them has to be refused, or happens to need none of it.
UNCLAIMED = {"$anchor", "$dynamicAnchor", "$dynamicRef", "$vocabulary", "unevaluatedItems", "unevaluatedProperties"}
# As many cases of the suite are judged, at least: should a change have us refuse more, it shows here.
LEAST_JUDGED = 900
LIMIT_S = 300


@pytest.fixture(scope="session")
def suite() -> Path:
    """The folder with the cases, of the version of `jsonschema` that is installed."""
    need("jsonschema")
    home = Path(sys.prefix, "share", f"json-schema-suite-{version('jsonschema')}")
    if not home.is_dir():
        with TemporaryDirectory(dir=sys.prefix) as folder:
            _fetch(Path(folder), f"jsonschema=={version('jsonschema')}")
            home.parent.mkdir(parents=True, exist_ok=True)
            next(Path(folder).glob("*/json")).rename(home)
    return home / "tests" / DIALECT


def _fetch(folder: Path, requirement: str) -> None:
    """Download a source package and unpack it. A registry that stumbles is asked again."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "jsonschema", requirement]
    for attempt in (1, 2, 3):
        done = subprocess.run([*command, "-d", folder], capture_output=True, text=True, timeout=LIMIT_S)
        if not done.returncode:
            break
        assert attempt < 3, done.stderr
        time.sleep(attempt * 5)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        members = [member for member in source if "/json/tests/" in member.name and member.isfile()]
        source.extractall(folder, members=members, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))


def cases(path: Path) -> Iterator[tuple[str, Any, Any, bool]]:
    """Name, schema, value and verdict of each case in a file."""
    for group in json.loads(path.read_text(encoding="utf-8")):
        for test in group["tests"]:
            yield (
                f"{path.stem}: {group['description']}: {test['description']}",
                group["schema"],
                test["data"],
                test["valid"],
            )


def is_unclaimed(part: Any, *, is_root: bool = True) -> bool:
    """Whether a schema has anything in it that our table of keywords leaves out, wherever it stands."""
    if isinstance(part, list):
        return any(is_unclaimed(each, is_root=False) for each in part)
    if not isinstance(part, dict):
        return False
    reference = part.get("$ref")
    leads_out = isinstance(reference, str) and reference != "#" and not reference.startswith("#/")
    other_dialect = is_root and part.get("$schema", keywords.DIALECT) != keywords.DIALECT
    own_base = not is_root and isinstance(part.get("$id"), str)
    return (
        leads_out
        or other_dialect
        or own_base
        or bool(UNCLAIMED & part.keys())
        or any(is_unclaimed(each, is_root=False) for each in part.values())
    )


def verdict(judged_schema: Any, value: Any, *, formats: bool) -> bool | None:
    """Whether the value fits, None if the schema is refused."""
    try:
        return not schemas.problems(judged_schema, value, formats=formats)
    except keywords.SchemaError:
        return None


def test_every_case_of_what_is_claimed(suite: Path) -> None:
    """Each verdict is the suite's; what is refused has a keyword in it that we do not claim."""
    wrong, judged_count = [], 0
    for path in sorted(suite.glob("*.json")):
        for name, judged_schema, value, is_valid in cases(path):
            found = verdict(judged_schema, value, formats=False)
            judged_count += found is not None
            if found is not is_valid and not (found is None and is_unclaimed(judged_schema)):
                wrong.append((name, found))

    assert wrong == []
    assert judged_count >= LEAST_JUDGED


def test_every_file_is_about_a_keyword_that_is_claimed_or_not(suite: Path) -> None:
    """No keyword of the standard is in neither list: the claim is whole."""
    about = {path.stem for path in suite.glob("*.json")}
    others = {"anchor", "boolean_schema", "content", "default", "defs", "dynamicRef", "if-then-else"}
    others |= {"infinite-loop-detection", "ref", "refRemote", "vocabulary"}

    assert about - others - UNCLAIMED <= keywords.KEYWORDS.keys()


@pytest.mark.parametrize("name", sorted(set(formats.FORMATS) & {"date", "date-time", "uuid"}))
def test_every_case_of_the_formats_that_are_checked(suite: Path, name: str) -> None:
    """The other two are OpenAPI's, and not in the suite."""
    found = list(cases(suite / "optional" / "format" / f"{name}.json"))

    assert len(found) > 10
    assert [each[0] for each in found if verdict(each[1], each[2], formats=True) is not each[3]] == []


@pytest.mark.parametrize("name", ["bignum", "ecmascript-regex", "float-overflow", "no-schema", "non-bmp-regex"])
def test_of_what_is_optional_nothing_is_wrong(suite: Path, name: str) -> None:
    """A regular expression that Python does not know is refused, not misread."""
    found = [
        (case[0], verdict(case[1], case[2], formats=False), case[3])
        for case in cases(suite / "optional" / f"{name}.json")
    ]

    assert [case for case in found if case[1] not in (None, case[2])] == []


@pytest.mark.parametrize("seed", range(150))
def test_the_published_schema_means_the_same_to_others(seed: int) -> None:
    """What seekapi.schema() gives is valid 2020-12, and jsonschema's verdict on any value is ours."""
    need("jsonschema")
    from jsonschema import Draft202012Validator

    chance = random.Random(seed)
    annotation, make, _ = made_up(chance, depth=3)
    _, make_other, _ = made_up(chance, depth=3)
    published = schema(function_of(annotation))

    Draft202012Validator.check_schema(published)
    theirs = Draft202012Validator(published)
    for maker in [make, make_other] * 5:
        value = json_text.parse(json_text.encode(maker(chance)))
        assert theirs.is_valid(value) is verdict(published, value, formats=False)
