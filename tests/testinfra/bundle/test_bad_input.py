"""Bad input is refused with the variable's name and the way out, and what is published stays as it was."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.testinfra.bundle.bundle_lab import HOST, SNAPSHOT, WEB_ROOT, run
from tests.unit.bundle.support import DAY, NOW, certified, program

if TYPE_CHECKING:
    from pathlib import Path

    from testinfra.host import Host

Surroundings = Callable[["Host"], AbstractContextManager[None]]
TODAY = dt.datetime.now(tz=dt.UTC) - NOW
"""What lies between the moment that certificates of the tests are made for, and now."""


def undisturbed(_host: Host) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def port_taken(host: Host) -> Iterator[None]:
    """Another program holds the port that nginx is to take."""
    host.check_output("systemd-run --quiet --unit=squatter nc -l -k 0.0.0.0 8443")
    host.check_output("for i in $(seq 100); do ss -Hltn 'sport = 8443' | grep -q . && exit 0; sleep 0.1; done; exit 1")
    try:
        yield
    finally:
        host.check_output("systemctl stop squatter")


@contextmanager
def read_only(host: Host) -> Iterator[None]:
    """The web root is on a file system that cannot be written."""
    host.check_output(f"mount --bind {WEB_ROOT} {WEB_ROOT} && mount -o remount,bind,ro {WEB_ROOT}")
    try:
        yield
    finally:
        host.check_output(f"umount {WEB_ROOT}")


@contextmanager
def small(host: Host) -> Iterator[None]:
    """The web root is to be on a file system without room."""
    host.check_output("mkdir /opt/small && mount -t tmpfs -o size=1m tmpfs /opt/small")
    try:
        yield
    finally:
        host.check_output("umount /opt/small && rmdir /opt/small")


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


@dataclass(frozen=True)
class Case:
    """Variables that cannot work, and what the message has to say."""

    says: tuple[str, ...]
    variables: dict[str, Any] = field(default_factory=dict)
    surroundings: Surroundings = undisturbed


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
    "no room": Case(("rustdesk_bundle_root", "MiB free"), {"root": "/opt/small/bundle"}, small),
    "link in the way": Case(("rustdesk_bundle_root", ".staging is in the way"), {}, link_in_the_way),
    "port taken": Case(("8443/tcp", "squatter"), {"download_url": "https://dl.lab.test:8443/rd"}, port_taken),
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
        port_taken,
    ),
}


def refused(host: Host, case: Case) -> str:
    """Publish with a fault, see what is published unchanged, and return what was said."""
    with case.surroundings(host):
        before = host.check_output(SNAPSHOT)
        done = run(case.variables)
        assert host.check_output(SNAPSHOT) == before
    assert done.status != 0, "the fault was accepted"
    assert "Traceback" not in done.output
    return done.failure(HOST)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_refused(downloads: Host, case: Case) -> None:
    message = refused(downloads, case)
    assert [part for part in case.says if part not in message] == [], message


@pytest.mark.parametrize(
    ("content", "says"), [(program()[:-10], "cut off"), (b"<!DOCTYPE html>" * 100, "not a program for Windows")]
)
def test_broken_program_is_refused(downloads: Host, tmp_path: Path, content: bytes, says: str) -> None:
    """Also when its digest was taken from the broken file itself."""
    path = tmp_path / "rustdesk.exe"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    message = refused(downloads, Case((), {"client_file": str(path), "client_sha256": digest}))
    assert "rustdesk_bundle_client_file" in message
    assert says in message


@pytest.mark.parametrize(
    ("options", "host", "says"),
    [
        ({"start": TODAY - 2 * DAY, "end": TODAY - DAY}, "dl.lab.test", "has expired"),
        ({"start": TODAY + DAY, "end": TODAY + 9 * DAY}, "dl.lab.test", "not valid before"),
        ({"start": TODAY - DAY, "end": TODAY + 9 * DAY}, "www.lab.test", "for www.lab.test and not for dl.lab.test"),
    ],
)
def test_bad_certificate_is_refused(
    downloads: Host, tmp_path: Path, options: dict[str, dt.timedelta], host: str, says: str
) -> None:
    pair = certified(host, start=options["start"], end=options["end"])
    (tmp_path / "c.pem").write_text(pair.certificate)
    (tmp_path / "k.pem").write_text(pair.key)
    files = {"certificate_file": str(tmp_path / "c.pem"), "certificate_key_file": str(tmp_path / "k.pem")}
    message = refused(downloads, Case((), {"tls": "given", **files}))
    assert "rustdesk_bundle_certificate_file" in message
    assert says in message


def test_key_of_another_certificate_is_refused(downloads: Host, tmp_path: Path) -> None:
    pair = certified("dl.lab.test", start=TODAY - DAY, end=TODAY + 9 * DAY)
    (tmp_path / "c.pem").write_text(pair.certificate)
    (tmp_path / "k.pem").write_text(certified("dl.lab.test").key)
    files = {"certificate_file": str(tmp_path / "c.pem"), "certificate_key_file": str(tmp_path / "k.pem")}
    message = refused(downloads, Case((), {"tls": "given", **files}))
    assert "rustdesk_bundle_certificate_key_file" in message
    assert pair.key.splitlines()[1] not in message


def test_download_that_is_not_there_is_refused(downloads: Host) -> None:
    message = refused(downloads, Case((), {"client_file": "", "client_mirror": "http://127.0.0.1:9/none"}))
    assert "rustdesk_bundle_client_mirror" in message
    assert "rustdesk_bundle_client_file" in message
