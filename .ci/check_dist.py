"""What is in the wheel and the sdist, and that building twice gives the same bytes: run by CI, not by pytest."""

from __future__ import annotations

import email
import hashlib
import pathlib
import sys
import tarfile
import zipfile


def the_only(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    found = list(folder.glob(pattern))
    assert len(found) == 1, f"expected one {pattern} in {folder}, found {[path.name for path in found]}"
    return found[0]


def check_wheel(wheel: pathlib.Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata_name = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(metadata_name))
    info = metadata_name.partition("/")[0]

    tops = {name.partition("/")[0] for name in names}
    assert tops == {"seekapi", info}, f"the wheel brings more than the package: {sorted(tops)}"
    strays = [name for name in names if "test_" in name or "/tests/" in name or "__pycache__" in name]
    assert not strays, f"not for users: {strays}"
    assert "seekapi/py.typed" in names, "py.typed is missing: users would lose every type"
    assert f"{info}/licenses/LICENSE" in names, "the license is missing"
    needs = metadata.get_all("Requires-Dist", [])
    unconditional = [need for need in needs if "extra ==" not in need]
    assert not unconditional, f"zero dependencies, that is the promise: {unconditional}"
    assert metadata["Requires-Python"] == ">=3.10", metadata["Requires-Python"]
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size} bytes, extras only: {needs}")
    return str(metadata["Version"])


def check_sdist(sdist: pathlib.Path, version: str) -> None:
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    top = f"seekapi-{version}"
    for needed in ("pyproject.toml", "LICENSE", "README.md", "src/seekapi/__init__.py", "tests"):
        assert any(name == f"{top}/{needed}" or name.startswith(f"{top}/{needed}/") for name in names), needed
    strays = [name for name in names if "__pycache__" in name or ".venv" in name or "/.git" in name[:-10]]
    assert not strays, f"not for users: {strays}"
    print(f"{sdist.name}: {len(names)} entries, {sdist.stat().st_size} bytes")


def main(first: pathlib.Path, second: pathlib.Path) -> None:
    wheel, again = the_only(first, "*.whl"), the_only(second, "*.whl")
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (wheel, again)}
    assert len(digests) == 1, "two builds of the same tree differ: the wheel is not reproducible"
    print(f"reproducible: sha256 {digests.pop()}")
    check_sdist(the_only(first, "*.tar.gz"), check_wheel(wheel))


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
