"""A folder with a worker in it, for the command to run."""

from __future__ import annotations

import textwrap

import pytest


@pytest.fixture
def write_worker(tmp_path):
    """`write_worker(source, "name.py")` puts a file into tmp_path."""

    def write(source: str, name: str = "worker.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    return write
