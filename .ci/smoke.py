"""What a user's first minute needs, with nothing but the wheel installed: run by CI, not by pytest."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pathlib
import sys
import tempfile

ALLOWED = {"pip", "setuptools", "wheel", "seekapi"}

installed = {str(found.metadata["Name"]).lower() for found in importlib.metadata.distributions()}
assert installed <= ALLOWED, f"not a bare environment: {sorted(installed - ALLOWED)}"

import seekapi  # noqa: E402
from seekapi import run  # noqa: E402

assert importlib.metadata.version("seekapi") == seekapi.__version__
assert (pathlib.Path(seekapi.__file__).parent / "py.typed").is_file()
missing = [name for name in seekapi.__all__ if getattr(seekapi, name, None) is None]
assert not missing, f"exported, but not there: {missing}"

with tempfile.TemporaryDirectory() as folder:
    job_input = pathlib.Path(folder, "input.json")
    job_input.write_text(json.dumps({"name": "smoke"}), encoding="utf-8")
    os.environ["SEEKAPI_LOCAL_MODE"] = "1"
    os.environ["SEEKAPI_LOCAL_DIR"] = os.path.join(folder, "artifacts")
    event = {"job_uuid": "smoke-1", "execution_token": "token", "input_presigned_url": job_input.as_uri()}

    envelope = run(event, None, lambda job_input: {"message": f"hello {job_input['name']}"})

    assert envelope == {"ok": True}, envelope
    stored = pathlib.Path(folder, "artifacts", "smoke-1", "response_json.json").read_text(encoding="utf-8")
    assert json.loads(stored) == {"message": "hello smoke"}, stored

print(f"seekapi {seekapi.__version__} runs on a bare CPython {sys.version.split()[0]}")
