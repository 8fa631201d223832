"""Bad input is refused with the variable's name and the way out, and what is published stays as it was."""

from __future__ import annotations

import datetime as dt
import hashlib
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.testinfra.bundle.bundle_lab import HOST, SNAPSHOT, WEB_ROOT
from tests.testinfra.refusals import ACCEPTED, Case, Place, alone, disturbed, port_taken, small_disk, told, undisturbed
from tests.unit.bundle.support import DAY, NOW, certified, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testinfra.host import Host

TODAY = dt.datetime.now(tz=dt.UTC) - NOW
"""What lies between the moment that certificates of the tests are made for, and now."""


@contextmanager
def read_only(host: Host) -> Iterator[None]:
    """The web root is on a file system that cannot be written."""
    host.check_output(f"mount --bind {WEB_ROOT} {WEB_ROOT} && mount -o remount,bind,ro {WEB_ROOT}")
    try:
        yield
    finally:
        host.check_output(f"umount {WEB_ROOT}")


@contextmanager
def claimed(host: Host) -> Iterator[None]:
    """Somebody else's site has the name; nginx has not read it yet."""
    path = "/etc/nginx/sites-available/theirs"
    host.check_output(f"echo 'server {{ listen 80; server_name www.lab.test dl.lab.test; }}' >{path}")
    host.check_output(f"ln -s {path} /etc/nginx/sites-enabled/theirs")
    try:
        yield
    finally:
        host.check_output("rm /etc/nginx/sites-*/theirs")


@contextmanager
def link_in_the_way(host: Host) -> Iterator[None]:
    """Where a publication unpacks, there is a link that leads elsewhere."""
    host.check_output(f"ln -s /etc {WEB_ROOT}/.staging")
    try:
        yield
    finally:
        host.check_output(f"rm {WEB_ROOT}/.staging")


def broken(content: bytes, directory: Path) -> dict[str, str]:
    """A program that is none, with a digest that was taken from it."""
    digest = hashlib.sha256(content).hexdigest()
    path = directory / f"{digest}.exe"
    path.write_bytes(content)
    return {"client_file": str(path), "client_sha256": digest}


def certificate(
    directory: Path, host: str = "dl.lab.test", start: dt.timedelta = -DAY, end: dt.timedelta = 9 * DAY
) -> dict[str, str]:
    """A certificate of the site's own, with its key; its days count from today."""
    pair = certified(host, start=TODAY + start, end=TODAY + end)
    mark = len(list(directory.iterdir()))
    files = {"certificate_file": pair.certificate, "certificate_key_file": pair.key}
    for name, text in files.items():
        (directory / f"{mark}-{name}.pem").write_text(text)
    return {"tls": "given", **{name: str(directory / f"{mark}-{name}.pem") for name in files}}


def another_key(directory: Path) -> dict[str, str]:
    """A certificate, and the key of another one."""
    key = certificate(directory)["certificate_key_file"]
    return {**certificate(directory), "certificate_key_file": key}


CASES = {
    "no stock exe": Case(("client_file", "/nowhere/rustdesk.exe"), {"client_file": "/nowhere/rustdesk.exe"}),
    "wrong hash": Case(("client_file", "is pinned", "0" * 64), {"client_sha256": "0" * 64}),
    "unpinned version": Case(("client_sha256", "1.4.8"), {"client_version": "1.4.8", "client_sha256": ""}),
    "misspelt variable": Case(("rustdesk_bundle_clinet_file", "client_file"), {"clinet_file": "/x"}),
    "wrong type": Case(("rustdesk_bundle_relays", "a list"), {"relays": "relay.example.org"}),
    "none of the choices": Case(("rustdesk_bundle_tls", "letsencrypt"), {"tls": "letsencrypt"}),
    "without TLS": Case(("download_url", "https://"), {"download_url": "http://dl.lab.test/rd"}),
    "path that climbs": Case(("download_url", "path"), {"download_url": "https://dl.lab.test/../rd"}),
    "name of another program": Case(("rustdesk_bundle_name", "another program"), {"name": "rustdesk"}),
    "key that is none": Case(("rustdesk_bundle_key", "32 bytes"), {"key": "c2hvcnQ="}),
    "go missing": Case(("rustdesk_bundle_go", "/nowhere/go"), {"go": "/nowhere/go"}),
    "no source of launchers": Case(("launcher_source", "/nowhere"), {"launcher_source": "/nowhere"}),
    "no key to sign with": Case(
        ("signature_key_file", "/nowhere"), {"signature": "minisign", "signature_key_file": "/nowhere/key"}
    ),
    "unknown release": Case(("rustdesk_bundle_release", "there are"), {"release": "1.4.9-00000000"}),
    "no release at all": Case(("rustdesk_bundle_release", "not the name"), {"release": "latest"}),
    "shared web root": Case(("rustdesk_bundle_root", "directory of its own"), {"root": "/srv"}),
    "unwritable web root": Case(("rustdesk_bundle_root", "read-only"), {}, read_only),
    "file as web root": Case(("rustdesk_bundle_root", "/etc/hostname"), {"root": "/etc/hostname/x"}),
    "no room": Case(
        ("rustdesk_bundle_root", "MiB free"), {"root": "/opt/small/bundle"}, small_disk("/opt/small", "1m")
    ),
    "link in the way": Case(("rustdesk_bundle_root", ".staging is in the way"), {}, link_in_the_way),
    "port taken": Case(("8443/tcp", "squatter"), {"download_url": "https://dl.lab.test:8443/rd"}, port_taken(8443)),
    "name claimed": Case(("download_url", "sites-enabled/theirs"), {}, claimed),
    "certificate missing": Case(
        ("certificate_file", "/nowhere/c.pem"),
        {"tls": "given", "certificate_file": "/nowhere/c.pem", "certificate_key_file": "/nowhere/k.pem"},
    ),
    "certificate missing on the host": Case(
        ("certificate_remote_file", "/etc/ssl/none.pem"),
        {
            "tls": "given",
            "certificate_remote_file": "/etc/ssl/none.pem",
            "certificate_remote_key_file": "/etc/ssl/none.key",
        },
    ),
    "nobody to write to": Case(("acme_email", "nobody"), {"tls": "acme", "acme_email": "nobody"}),
    "everything at once": Case(
        ("5 faults", "rustdesk_bundle_key", "rustdesk_bundle_name", "client_file", "rustdesk_bundle_root", "squatter"),
        {
            "key": "short",
            "name": "a/b",
            "client_file": "/nowhere/rustdesk.exe",
            "root": "/etc/hostname/x",
            "download_url": "https://dl.lab.test:8443/rd",
        },
        port_taken(8443),
    ),
    "program cut off": Case(("rustdesk_bundle_client_file", "cut off"), partial(broken, program()[:-10])),
    "page instead of a program": Case(
        ("rustdesk_bundle_client_file", "not a program for Windows"), partial(broken, b"<!DOCTYPE html>" * 100)
    ),
    "expired certificate": Case(
        ("rustdesk_bundle_certificate_file", "has expired"), partial(certificate, start=-2 * DAY, end=-DAY)
    ),
    "certificate of tomorrow": Case(
        ("rustdesk_bundle_certificate_file", "not valid before"), partial(certificate, start=DAY, end=9 * DAY)
    ),
    "certificate of another host": Case(
        ("rustdesk_bundle_certificate_file", "for www.lab.test and not for dl.lab.test"),
        partial(certificate, host="www.lab.test"),
    ),
    "key of another certificate": Case(("rustdesk_bundle_certificate_key_file",), another_key),
    "download that is not there": Case(
        ("rustdesk_bundle_client_mirror", "rustdesk_bundle_client_file"),
        {"client_file": "", "client_mirror": "http://127.0.0.1:9/none"},
    ),
}


def place(downloads: Host) -> Place:
    return Place(downloads, HOST, SNAPSHOT)


@pytest.fixture(scope="module")
def said(downloads: Host, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What was said where nothing is at fault but the variables."""
    directory = tmp_path_factory.mktemp("bad")
    messages = told(place(downloads), "rustdesk_bundle", undisturbed(CASES), directory)
    secrets = {line for path in directory.glob("*key_file.pem") for line in path.read_text().splitlines()}
    assert secrets
    assert not [message for message in messages.values() for line in secrets if line in message]
    return messages


@pytest.mark.parametrize("name", undisturbed(CASES))
def test_refused(said: dict[str, str], name: str) -> None:
    assert said[name] != ACCEPTED
    assert CASES[name].unsaid(said[name]) == [], said[name]


@pytest.mark.parametrize("name", disturbed(CASES))
def test_refused_where_the_host_is_at_fault(downloads: Host, tmp_path: Path, name: str) -> None:
    message = alone(place(downloads), "rustdesk_bundle", CASES[name], tmp_path, "bundle.yml")
    assert CASES[name].unsaid(message) == [], message
