"""What the tests of the bundle have in common: programs, certificates and releases."""

from __future__ import annotations

import hashlib
import struct
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.bundle_build import CHECKSUMS, MANIFEST, checksums, listed, packed, release_name
from ansible.module_utils.bundle_programs import MACHINES
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Mapping

ROLE = Path(__file__).resolve().parents[3] / "roles" / "rustdesk_bundle"
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


# --- The role -----------------------------------------------------------------------------------------------------


def evaluated(expression: str, **variables: object) -> Any:
    """Return what an expression comes to in the role, with its defaults and variables."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
        init_plugin_loader()
    loader = DataLoader()
    known: dict[str, Any] = {"role_path": str(ROLE), "rustdesk_download_url": "https://dl.example.org/rd"}
    for part in ("defaults", "vars"):
        known |= loader.load_from_file(str(ROLE / part / "main.yml"), trusted_as_template=True)
    return Templar(loader, known | variables).template(trust_as_template(expression))


def rendered(template: str, **variables: object) -> str:
    """Return what the role makes of one of its templates."""
    return str(evaluated(f"{{{{ lookup('ansible.builtin.template', '{ROLE}/templates/{template}') }}}}", **variables))


# --- Programs -----------------------------------------------------------------------------------------------------


def program(machine: int = MACHINES["amd64"], *, body: bytes = b"code" * 100, signature: bytes = b"") -> bytes:
    """Return a program for Windows: headers, one section, and a signature behind it where there is one."""
    start, optional = 0x80, 112 + 16 * 8
    section = start + 24 + optional
    position = section + 40
    header = bytearray(position)
    header[:2] = b"MZ"
    struct.pack_into("<I", header, 0x3C, start)
    header[start : start + 4] = b"PE\0\0"
    struct.pack_into("<HHIIIH", header, start + 4, machine, 1, 0, 0, 0, optional)
    struct.pack_into("<I", header, start + 24 + 108, 16)
    if signature:
        struct.pack_into("<II", header, start + 24 + 112 + 4 * 8, position + len(body), len(signature))
    struct.pack_into("<II", header, section + 16, len(body), position)
    return bytes(header) + body + signature


# --- Certificates -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A certificate with its chain, and its key, in PEM form."""

    certificate: str
    key: str


def certified(
    *names: str, start: timedelta = -DAY, end: timedelta = 90 * DAY, password: str = "", issuer: str = ""
) -> Pair:
    """Return a certificate for these names, signed with its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0] if names else "nobody")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]) if issuer else subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return Pair(
        builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode(),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode(),
    )


# --- Releases -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Release:
    """A release as it is sent to a host."""

    name: str
    tar: Path
    sha256: str
    manifest: str
    files: Mapping[str, bytes]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def release_of(
    directory: Path,
    mark: str = "1",
    *,
    spoil: Mapping[str, bytes] | None = None,
    extra: Mapping[str, bytes] | None = None,
) -> Release:
    """Pack a release; `spoil` replaces files after the manifest was written, `extra` adds some that are not in it."""
    archive = b"PK" + f"archive {mark} ".encode() * 500
    files = {
        "rustdesk-acme.zip": archive,
        "page/de/index.html": b"<html lang=de>",
        "page/en/index.html": b"<html lang=en>",
    }
    name = release_name("1.4.9", {key: digest(content) for key, content in files.items()})
    files[CHECKSUMS] = checksums({"rustdesk-acme.zip": digest(archive)}, name).encode()
    manifest = listed({key: digest(content) for key, content in files.items()}).encode()
    tar = directory / f"{name}.tar"
    content = packed({**files, MANIFEST: manifest, **(spoil or {}), **(extra or {})})
    tar.write_bytes(content)
    return Release(name, tar, digest(content), digest(manifest), files)
