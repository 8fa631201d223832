"""A certificate by ACME, from an authority of the lab's own: asked for, presented, and renewed without anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.testinfra.bundle.bundle_lab import HOST, SITE, container, publish, run
from tests.testinfra.plays import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testinfra.host import Host

MACHINE = container("outside")
HOME = "/srv/authority"
# renovate: datasource=pypi depName=serles-acme
SERLES = "1.3.0"
ON_HOST = "/etc/ssl/lab-authority.pem"


def call(*command: str | Path, check: bool = True) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "UV_SYSTEM_CERTS": "1"}
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Run the authority on the machine that stands for the internet; returns the role's variables for it."""
    directory = tmp_path_factory.mktemp("authority")
    version = call(
        "docker", "exec", MACHINE, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"
    ).strip()
    uv = Path(sys.executable).with_name("uv")
    packages = directory / "packages"
    # For the machine's Python, which need not be this one.
    options = ["--python-version", version, "--only-binary", ":all:", "--target", str(packages)]
    call(uv, "pip", "install", "--quiet", *options, f"serles-acme=={SERLES}")
    call("docker", "exec", MACHINE, "sh", "-c", f"systemctl stop authority 2>/dev/null; rm -rf {HOME}; mkdir {HOME}")
    call("docker", "cp", f"{ROOT}/lab/authority/.", f"{MACHINE}:{HOME}")
    call("docker", "cp", packages, f"{MACHINE}:{HOME}/packages")
    call("docker", "exec", MACHINE, "systemd-run", "--quiet", "--unit=authority", f"{HOME}/start")
    address = "https://outside.lab.test:14000/directory"
    ready = f"for i in $(seq 300); do curl -sf --cacert {HOME}/ca.pem {address} && exit 0; sleep 0.2; done; exit 1"
    call("docker", "exec", MACHINE, "sh", "-c", ready)
    certificate = directory / "ca.pem"
    call("docker", "cp", f"{MACHINE}:{HOME}/ca.pem", certificate)
    call("docker", "cp", certificate, f"{container(HOST)}:{ON_HOST}")
    yield {
        "tls": "acme",
        "acme_email": "help@lab.test",
        "acme_directory": address,
        "acme_ca_file": ON_HOST,
        "verify_ca_file": str(certificate),
    }
    call("docker", "exec", MACHINE, "systemctl", "stop", "authority", check=False)
    call("docker", "exec", container(HOST), "rm", "-f", ON_HOST)


def presented(host: Host) -> str:
    """Who has issued the certificate that nginx presents, and its number."""
    ask = "openssl s_client -connect 127.0.0.1:443 -servername dl.lab.test </dev/null 2>/dev/null"
    return str(host.check_output(f"{ask} | openssl x509 -noout -issuer -serial"))


def test_asked_for_and_renewed(downloads: Host, authority: dict[str, Any]) -> None:
    # From nothing: the authority's question has to be answered before there is a certificate.
    assert run({"state": "absent"}).status == 0
    try:
        publish(**authority)
        first = presented(downloads)
        assert "The lab's authority" in first
        assert run(authority).changed == 0
        timer = downloads.service("certbot.timer")
        assert timer.is_enabled
        assert timer.is_running
        # As if it ended soon, and the timer had come round.
        downloads.check_output(
            "sed -i '1i renew_before_expiry = 365 days' /etc/letsencrypt/renewal/rustdesk-bundle.conf"
        )
        downloads.check_output("systemctl start certbot.service")
        downloads.check_output("sleep 3")
        renewed = presented(downloads)
        assert "The lab's authority" in renewed
        assert renewed != first
        assert run(authority).changed == 0
        assert run({**authority, "state": "absent"}).status == 0
        assert not downloads.file("/etc/letsencrypt/live/rustdesk-bundle").exists
        assert not downloads.package("certbot").is_installed
    finally:
        publish()


def test_an_authority_that_refuses_is_told(downloads: Host, authority: dict[str, Any]) -> None:
    before = downloads.check_output(f"sha256sum {SITE}")
    try:
        done = run({**authority, "acme_directory": "https://outside.lab.test:14001/directory"})
        assert done.status != 0
        assert "rustdesk_bundle_acme_directory" in done.failure(HOST)
        assert downloads.check_output(f"sha256sum {SITE}") == before
    finally:
        publish()
