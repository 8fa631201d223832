"""Run the client role on the lab's endpoints, and look at what came of it."""

from __future__ import annotations

import base64
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.testinfra.plays import ROOT, Play, command, environment, lab_name, play

if TYPE_CHECKING:
    from testinfra.host import Host

FOREIGN = """\
rendezvous_server = 'rs.elsewhere.example:21116'   # last used
nat_type = 1

# set by somebody else's support
[options]
custom-rendezvous-server = "rs.elsewhere.example"  # theirs
relay-server = 'relay.elsewhere.example'
key = 'OTHERKEYOTHERKEYOTHERKEYOTHERKEYOTHERKEYOTH='
av1-test = 'N'

[socks]
username = ''
"""

ENDPOINT = "endpoint-plain"
HERE = "../tests/testinfra/client"
SERVER = "server-deb12.lab.test"
STUB_VERSION = "1.4.9"
MIRROR = "/srv/mirror/rustdesk"


def run(variables: dict[str, Any] | None = None, *options: str, host: str = ENDPOINT, **extra: str) -> Play:
    """Run the client role on one endpoint."""
    return play(host, variables or {}, *options, playbook=f"{HERE}/client.yml", extra_environment=extra)


def shown_of_run(variables: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Run the client role with everything shown that Ansible shows people who ask for it."""
    return subprocess.run(
        command(f"{HERE}/client.yml", ENDPOINT, variables, *options),
        env=environment(ANSIBLE_STDOUT_CALLBACK="default", ANSIBLE_DISPLAY_ARGS_TO_STDOUT="1"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def apply(host: str = ENDPOINT, **variables: Any) -> Play:
    """Run the client role, and expect it to succeed."""
    done = run({f"rustdesk_client_{name}": value for name, value in variables.items()}, host=host)
    assert done.status == 0, done.failure(host) or done.output
    return done


def reset(host: str = ENDPOINT, **variables: Any) -> Play:
    """Give back what was there, and expect it to succeed."""
    return apply(host, state="absent", **variables)


def killed_before(task: str, **variables: Any) -> None:
    """Run the role, and kill it when it comes to a task."""
    killer = ROOT / "tests" / "testinfra" / "server" / "callbacks"
    done = run(
        {f"rustdesk_client_{name}": value for name, value in variables.items()},
        ANSIBLE_CALLBACK_PLUGINS=os.pathsep.join(map(str, (killer, ROOT / "plugins" / "callback"))),
        ANSIBLE_CALLBACKS_ENABLED="killer",
        KILL_BEFORE_TASK=task,
    )
    assert done.status < 0, done.output


def put(host: Host, path: str, content: bytes, owner: str, mode: str = "600") -> None:
    """Write a file of a user's, directories included."""
    parent = path.rpartition("/")[0]
    host.check_output("install -d -m 700 -o %s -g %s %s", owner, owner, parent)
    host.check_output("echo %s | base64 -d > %s", base64.b64encode(content).decode(), path)
    host.check_output(f"chown {owner}:{owner} {path} && chmod {mode} {path}")


def get(host: Host, path: str) -> bytes:
    """Read a file as it is."""
    return base64.b64decode(host.check_output("base64 -w 0 %s", path))


def config(user: str, name: str = "RustDesk2.toml") -> str:
    """Path of a user's settings."""
    home = "/root" if user == "root" else f"/home/{user}"
    return f"{home}/.config/rustdesk/{name}"


@dataclass(frozen=True)
class Package:
    """The stub package on the lab's mirror."""

    sha256: str

    def variables(self, **extra: Any) -> dict[str, Any]:
        """What installs it."""
        return {"install": True, "package_sha256": self.sha256, **extra}


def build_package() -> Package:
    """Build the stub package on the machine that serves it."""
    outside = f"rustdesk-{lab_name()}-outside"
    target = f"{MIRROR}/{STUB_VERSION}"
    for step in (
        ["docker", "exec", outside, "rm", "-rf", "/tmp/client"],
        ["docker", "cp", str(ROOT / "lab" / "client"), f"{outside}:/tmp/client"],
        ["docker", "exec", outside, "mkdir", "-p", target],
    ):
        subprocess.run(step, check=True, capture_output=True)
    built = subprocess.run(
        ["docker", "exec", outside, "/tmp/client/pack", f"{target}/rustdesk-{STUB_VERSION}-x86_64.deb"],
        check=True,
        capture_output=True,
        text=True,
    )
    return Package(built.stdout.strip())
