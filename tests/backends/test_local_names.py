"""Names on disk: what is ordinary stays as it is, everything else is made safe, and job ids never meet.

100,000 hostile names instead of 5,000: SEEKAPI_LONG=1.
"""

from __future__ import annotations

import os
import random
import re
import unicodedata

import pytest

from seekapi._backends import local_names
from seekapi.errors import ArgumentError

HOSTILE_COUNT = 100_000 if os.environ.get("SEEKAPI_LONG") else 5_000
PIECES = [
    *"abzABZ019._-~ /\\:*?\"<>|%$&'()\t\n\r\0éÉß你𝒳😀\u202e\u200b\ufeff\ud800\u0301",
    *["..", "../", "..\\", "/etc/passwd", "C:", "con", "NUL.txt", "~", "%2e%2e", "-rf", "a" * 250, "é" * 150, "aux."],
]


def hostile_names(seed: int):
    """Distinct texts of up to six pieces that have hurt somebody."""
    chance = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < HOSTILE_COUNT:
        name = "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 6)))
        if name not in seen:
            seen.add(name)
            yield name


@pytest.mark.parametrize("job_uuid", ["job-1", "a.b_c-D", "0", "550e8400-e29b-41d4-a716-446655440000", "a" * 200])
def test_an_ordinary_job_id_is_the_name_of_its_folder(job_uuid):
    """The documented layout."""
    assert local_names.job_folder_name(job_uuid) == job_uuid


@pytest.mark.parametrize(
    "job_uuid",
    ["a b", "a/b", "j_1~0123456789abcdef", "é", "a.", "con", "Nul.x", "a" * 201, "...", "\ud800", ".hidden", "../é"],
)
def test_any_other_job_id_is_marked(job_uuid):
    """Made safe, and marked with a digest that no ordinary id can carry."""
    name = local_names.job_folder_name(job_uuid)

    assert re.fullmatch(r"[A-Za-z0-9._-]{1,201}~[0-9a-f]{16}", name)
    assert len(name) < 230


@pytest.mark.parametrize("job_uuid", ["", ".", ".."])
def test_an_id_that_names_no_folder_is_refused(job_uuid):
    """`..` is above the base, `.` the base itself."""
    with pytest.raises(ArgumentError):
        local_names.job_folder_name(job_uuid)


@pytest.mark.parametrize(
    "name, stored",
    [
        ("hello.txt", "hello.txt"),
        ("r é/p.txt", "p.txt"),
        ("日本.txt", "_.txt"),
        ("é.txt", "_.txt"),
        ("e\u0301.txt", "_.txt"),
        ("a\\b.txt", "a_b.txt"),
        (" a b .txt", "a_b_.txt"),
        (".env", ".env"),
        ("", "file"),
        ("/", "file"),
        ("a/", "file"),
        (".", "file"),
        ("../..", "file"),
        ("../../etc/passwd", "passwd"),
        ("a.txt. ", "a.txt"),
        ("-rf", "_-rf"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("console.log", "console.log"),
        ("com1.txt", "_com1.txt"),
        ("a\0b\nc", "a_b_c"),
        ("%2e%2e", "_2e_2e"),
        ("x\u202egpj.exe", "x_gpj.exe"),
    ],
)
def test_a_file_is_stored_under_its_last_part_made_safe(name, stored):
    """As documented for ordinary names; what hurts shells and Windows is defused."""
    assert local_names.stored_name(name) == stored


def test_a_long_name_keeps_its_extension_and_is_marked():
    """Cut to what every file system takes; two long names stay two."""
    one, other = local_names.stored_name("a" * 300 + ".tar.gz"), local_names.stored_name("a" * 301 + ".tar.gz")

    assert len(one) <= 210
    assert one.endswith(".gz")
    assert one != other
    assert len(local_names.stored_name("." + "x" * 300)) <= 210


@pytest.mark.parametrize(
    "stored, second",
    [("a.tar.gz", "a.tar-2.gz"), (".env", ".env-2"), ("file", "file-2"), ("..a.b", "..a-2.b"), ("..", "..-2")],
)
def test_the_number_goes_before_the_extension(stored, second):
    """As documented."""
    assert local_names.numbered(stored, 2) == second


@pytest.mark.parametrize("taken_count", [0, 1, 2, 3, 7, 8, 9, 1000, 1_000_000])
def test_the_lowest_free_number_is_found_with_few_questions(taken_count):
    """Asking for each number in turn would make the thousandth file a thousand times dearer."""
    taken = range(1, taken_count + 1)
    questions = 0

    def is_taken(name: str) -> bool:
        nonlocal questions
        questions += 1
        number = 1 if name == "a.b" else int(name[2:-2])
        return number in taken

    assert local_names.first_free("a.b", is_taken) == local_names.numbered("a.b", taken_count + 1)
    assert questions <= 45


@pytest.mark.parametrize(
    "name, number",
    [
        ("a-2.b", 2),
        ("a-10.b", 10),
        ("a.b", 1),
        ("a-.b", 1),
        ("a-x.b", 1),
        ("a-02.b", 1),
        ("a-2.c", 1),
        ("None", 1),
        ("a-²", 1),
    ],
)
def test_the_number_of_a_name_is_read_back(name, number):
    """What was given out last says where to go on."""
    assert local_names.number_of("a.b", name) == number


def test_going_on_from_the_last_number_asks_twice():
    """The plain name, and the next number."""
    asked: list[str] = []

    assert local_names.first_free("a.b", lambda name: bool(asked.append(name)) or name == "a.b", 999) == "a-1000.b"
    assert asked == ["a.b", "a-1000.b"]


def test_a_gap_in_the_numbers_still_gives_a_free_name():
    """Files that were deleted in between make the answer higher, never wrong."""
    chance = random.Random(3)
    for _ in range(500):
        taken = {local_names.numbered("a", n) for n in range(1, 60) if chance.random() < 0.8}

        assert local_names.first_free("a", taken.__contains__) not in taken


def test_hostile_job_ids_neither_escape_nor_meet():
    """Every folder is one safe component, and no two ids share one, also where case is ignored or names are cut."""
    owner: dict[str, str] = {}
    for job_uuid in hostile_names(seed=1):
        if job_uuid in ("", ".", ".."):
            continue
        name = local_names.job_folder_name(job_uuid)

        assert re.fullmatch(r"[A-Za-z0-9._~-]+", name) and name not in (".", "..") and len(name) <= 255
        assert name.strip(".") == name and name.split(".")[0].lower() not in ("con", "nul", "aux")
        assert owner.setdefault(name, job_uuid) == job_uuid
        marked = local_names.marked_job_folder_name(job_uuid)
        assert owner.setdefault(marked.lower(), job_uuid) == job_uuid


def test_hostile_file_names_are_stored_safely():
    """One component of safe characters, short enough to be numbered, no option, no device."""
    for name in hostile_names(seed=2):
        stored = local_names.stored_name(name)

        assert re.fullmatch(r"[A-Za-z0-9._~-]+", stored) and stored.strip(".") and not stored.startswith("-")
        assert len(stored) <= 215 and not stored.endswith(".")
        assert stored.split(".")[0].lower() not in ("con", "nul", "aux")
        assert stored == local_names.stored_name(unicodedata.normalize("NFC", name)) or len(stored) > 200


def test_hostile_names_on_a_real_disk(local):
    """What was pushed under each name is found under the stored name of its row, inside the job's folder."""
    names = [name for name, _ in zip(hostile_names(seed=4), range(HOSTILE_COUNT // 10), strict=False)]

    for name in names:
        local.file(name, name.encode("utf-8", "surrogatepass"), job="names")
        local.push(name, job=name if name.strip(".") else "dots")

    rows = local.rows("file_pushes.jsonl", "names")
    assert [row["name"] for row in rows] == names
    stored = local.stored("names")
    assert len({name.lower() for name in stored}) == len(stored) == len(names)
    for row in rows:
        assert stored[row["stored_name"]] == row["name"].encode("utf-8", "surrogatepass")
    folders = [local.rows("data_pushes.jsonl", job) for job in os.listdir(local.base) if job != "names"]
    assert all(len({row["job_uuid"] for row in rows}) == 1 for rows in folders)
    assert sum(map(len, folders)) == len(names)
    assert os.listdir(local.base.parent) == ["out"]
