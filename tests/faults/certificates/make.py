"""Make the certificates of the TLS rows anew: `python tests/faults/certificates/make.py`. Needs `openssl`.

They ship with the tests, so that no run needs openssl. The keys protect nothing: every name in them is a test name.
Each `<name>.pem` holds one certificate and the key; `authority.pem` is the root that the tests trust.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LONG_AGO, FAR_AWAY = "20200101000000Z", "21200101000000Z"
LEAVES = {  # name: (subject alternative names, not before, not after)
    "good": ("DNS:localhost,IP:127.0.0.1", LONG_AGO, FAR_AWAY),
    "wrong_host": ("DNS:elsewhere.test", LONG_AGO, FAR_AWAY),
    "expired": ("DNS:localhost,IP:127.0.0.1", LONG_AGO, "20210101000000Z"),
    "not_yet_valid": ("DNS:localhost,IP:127.0.0.1", "21100101000000Z", FAR_AWAY),
}
CONFIG = """
[ca]
default_ca = it
[it]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""


def main() -> None:
    """Write every certificate beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "index").write_text("")
        (work / "serial").write_text("1000\n")
        _key(work, "root")
        _sign(work, "root", "seekapi test authority", "root", LONG_AGO, FAR_AWAY, "DNS:none", selfsign=True)
        (HERE / "authority.pem").write_bytes((work / "root.crt").read_bytes())
        for name, (names, start, end) in LEAVES.items():
            _key(work, name)
            _sign(work, name, name.replace("_", " "), "leaf", start, end, names)
            _bundle(work, name)
        _key(work, "self_signed")
        _sign(
            work, "self_signed", "self signed", "leaf", LONG_AGO, FAR_AWAY, "DNS:localhost,IP:127.0.0.1", selfsign=True
        )
        _bundle(work, "self_signed")


def _key(work: Path, name: str) -> None:
    _openssl(work, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")


def _sign(
    work: Path, name: str, subject: str, section: str, start: str, end: str, names: str, *, selfsign: bool = False
) -> None:
    (work / "config").write_text(CONFIG.format(names=names))
    _openssl(work, "req", "-new", "-key", f"{name}.key", "-subj", f"/CN={subject}", "-out", f"{name}.csr")
    signer = ["-selfsign", "-keyfile", f"{name}.key"] if selfsign else ["-cert", "root.crt", "-keyfile", "root.key"]
    # fmt: off
    _openssl(work, "ca", "-batch", "-notext", "-config", "config", "-extensions", section, *signer,
             "-startdate", start, "-enddate", end, "-in", f"{name}.csr", "-out", f"{name}.crt")
    # fmt: on


def _bundle(work: Path, name: str) -> None:
    (HERE / f"{name}.pem").write_bytes((work / f"{name}.crt").read_bytes() + (work / f"{name}.key").read_bytes())


def _openssl(work: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=work, check=True, capture_output=True)


if __name__ == "__main__":
    main()
