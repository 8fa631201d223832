"""Publish the bundle on the lab's machine for it, and look at what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.testinfra.plays import INVENTORY, ROOT, Play, environment, lab_name, play

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testinfra.host import Host

HOST = "downloads"
URL = "https://dl.lab.test/rd"
WEB_ROOT = "/srv/rustdesk-bundle"
SITE = "/etc/nginx/sites-enabled/zz-rustdesk-bundle.conf"
NAME = "rustdesk-lab"
CONTACT = {"company": "Lab", "email": "help@lab.test", "phone": "+49 30 1234567"}

PLACES = f"{WEB_ROOT} /etc/nginx /etc/ssl/rustdesk-bundle /var/lib/rustdesk-bundle"
SNAPSHOT = (
    f"find {PLACES} -type f -exec sha256sum {{}} + | sort; "
    f"find {PLACES} -printf '%p %m %u %g %l\\n' | sort; "
    "systemctl show --property=MainPID,ActiveState nginx; pgrep -x nginx | sort"
)
"""All of a host that a publication could change."""


def run(variables: Mapping[str, Any] | None = None, *options: str, **extra: str) -> Play:
    """Publish with extra variables, named without what the role's names begin with."""
    named = {f"rustdesk_bundle_{name}": value for name, value in (variables or {}).items()}
    return play(HOST, named, *options, playbook="bundle.yml", extra_environment=extra)


def changes(done: Play) -> list[str]:
    """Names of the role's tasks that changed something."""
    return [name.removeprefix("rustdesk_bundle : ") for name in done.changes(HOST)]


def publish(**variables: Any) -> Play:
    """Publish, and expect it to succeed."""
    done = run(variables)
    assert done.status == 0, done.failure(HOST) or done.output
    return done


def other_contact(phone: str) -> dict[str, Any]:
    """Variables that make another bundle: the number stands in the launcher, the texts and the page."""
    return {"contact": {**CONTACT, "phone": phone}}


@dataclass(frozen=True)
class Served:
    """What is served: the name of the release, its archive's digest, and the releases that are there."""

    release: str
    sha256: str
    releases: tuple[str, ...]


def served(host: Host) -> Served:
    """Look at what a host serves."""
    release = host.check_output(f"readlink {WEB_ROOT}/current").rpartition("/")[2]
    digest = host.check_output(f"sha256sum {WEB_ROOT}/current/{NAME}.zip").split()[0]
    return Served(release, digest, tuple(sorted(host.check_output(f"ls {WEB_ROOT}/releases").split())))


def curl(host: Host, path: str, *options: str) -> str:
    """Fetch something as a customer would, on the machine itself; the certificate is checked."""
    words = " ".join(f"'{option}'" for option in options)
    trusted = "--cacert /etc/ssl/rustdesk-bundle/fullchain.pem"
    return str(host.check_output(f"curl --silent --show-error {trusted} {words} {path}"))


@dataclass(frozen=True)
class Answer:
    """Status and headers, by their names in small letters."""

    status: int
    headers: dict[str, str]


def head(host: Host, path: str, *options: str) -> Answer:
    """Ask for something, and look at how it is answered."""
    lines = curl(host, path, "--dump-header", "-", "--output", "/dev/null", *options).splitlines()
    fields = (line.partition(":") for line in lines[1:] if ":" in line)
    return Answer(int(lines[0].split()[1]), {name.lower(): value.strip() for name, _colon, value in fields})


@dataclass(frozen=True)
class Said:
    """What one module came to: exit status, and what was printed, with line breaks and runs of spaces as one space."""

    status: int
    output: str


def ad_hoc(module: str, **arguments: Any) -> Said:
    """Run one module on the host."""
    command = [str(Path(sys.executable).with_name("ansible")), f"--inventory={INVENTORY}", HOST, "-m", module]
    done = subprocess.run(
        [*command, "-a", json.dumps(arguments)],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return Said(done.returncode, " ".join((done.stdout + done.stderr).split()))


def container(name: str) -> str:
    """Name of a machine's container."""
    return f"rustdesk-{lab_name()}-{name}"
