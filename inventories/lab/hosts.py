#!/usr/bin/env python3
"""The lab's machines, as an Ansible inventory: containers named ``rustdesk-<lab>-<machine>``.

``RUSTDESK_LAB`` names the lab (default ``demo``), so that one to play with and one under test stand side by
side. A program and not a file because two things are known only when it runs: that name, and which machine
images this computer could build (``lab/bootstrap`` lists them in ``.cache/lab-suites``).
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITES = ROOT / ".cache" / "lab-suites"
WINDOWS = "windows"
BROWSER = "browser"
OPTIONAL_SUITES = frozenset({"noble", WINDOWS})
KEYS = ROOT / ".cache" / "lab-ssh"


@dataclass(frozen=True)
class Machine:
    """One container. It answers to ``aliases`` too on the lab's network; ``command`` goes to its systemd.

    ``needs`` is another suite whose image holds something for it. ``ports`` of it answer on this computer's loopback
    too, each at a number that the engine chooses.
    """

    name: str
    group: str
    suite: str
    aliases: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    needs: str = ""
    ports: tuple[int, ...] = ()


MACHINES = (
    Machine("server-deb12", "rustdesk_servers", "bookworm"),
    Machine("server-deb13", "rustdesk_servers", "trixie"),
    Machine("server-ubuntu2404", "rustdesk_servers", "noble"),
    Machine("relay-deb13", "rustdesk_relays", "trixie"),
    Machine("client-deb12", "lab_clients", "bookworm"),
    Machine("endpoint-ufw", "rustdesk_endpoints_linux", "bookworm"),
    Machine("endpoint-firewalld", "rustdesk_endpoints_linux", "trixie"),
    Machine("endpoint-nftables", "rustdesk_endpoints_linux", "bookworm"),
    Machine("endpoint-plain", "rustdesk_endpoints_linux", "trixie"),
    Machine("endpoint-windows", "rustdesk_endpoints_windows", WINDOWS),
    Machine("downloads", "rustdesk_downloads", "trixie", aliases=("dl.lab.test",), needs=WINDOWS, ports=(443,)),
    Machine("browser", "lab_browsers", BROWSER, ports=(9515,)),
    Machine(
        "outside",
        "lab_outside",
        "bookworm",
        aliases=("api.rustdesk.com", "rs-ny.rustdesk.com", "mirror.lab.test"),
        command=("--unit=outside.target",),
    ),
)

PARENTS = {"rustdesk_endpoints": ("rustdesk_endpoints_linux", "rustdesk_endpoints_windows")}
"""Groups of groups."""


def available(machines: tuple[Machine, ...], built: frozenset[str]) -> tuple[Machine, ...]:
    """The machines this computer can start: an optional suite needs its image, the others are always meant."""
    wanted = ({m.suite, m.needs} & OPTIONAL_SUITES for m in machines)
    return tuple(m for m, suites in zip(machines, wanted, strict=True) if suites <= built)


def built_suites(path: Path = SUITES) -> frozenset[str]:
    """Suites whose machine image exists, as ``lab/bootstrap`` left them; empty before its first run."""
    return frozenset(path.read_text(encoding="utf-8").split()) if path.exists() else frozenset()


def uplink_mtu(routes: Path = Path("/proc/net/route"), interfaces: Path = Path("/sys/class/net")) -> int:
    """Largest packet in bytes that leaves this computer whole, by its default route; 1500 without one.

    The engine gives networks 1500 whatever the uplink has, and then large packets to machines vanish.
    """
    if routes.exists():
        for route in routes.read_text(encoding="ascii").splitlines()[1:]:
            name, destination = route.split()[:2]
            if destination == "00000000":
                return int((interfaces / name / "mtu").read_text(encoding="ascii"))
    return 1500


def image(machine: Machine) -> str:
    """The image a machine is started from."""
    if machine.suite in (WINDOWS, BROWSER):
        return f"rustdesk-lab/{machine.suite}:trixie"
    return f"rustdesk-lab/host:{machine.suite}"


def windows_connection(container: str, keys: Path = KEYS) -> dict[str, object]:
    """How Ansible reaches the Windows machine: by ssh, as it would a real one with OpenSSH.

    Only the way there is the lab's own: through the engine, as no other works from every controller. The machine
    proves itself with the key of this checkout (``lab/windows/make-keys``).
    """
    options = {
        "ProxyCommand": f"docker exec --interactive {container} /usr/sbin/sshd -i",
        "HostKeyAlias": "endpoint-windows.lab.test",
        "UserKnownHostsFile": keys / "known_hosts",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
    }
    return {
        "ansible_connection": "ssh",
        "ansible_shell_type": "powershell",
        "ansible_user": "Administrator",
        "ansible_ssh_private_key_file": str(keys / "id_ed25519"),
        "ansible_ssh_common_args": " ".join(f'-o "{name}={value}"' for name, value in options.items()),
    }


def inventory(lab: str, machines: tuple[Machine, ...], mtu: int) -> dict[str, object]:
    """Ansible's ``--list`` form for these machines in the lab of this name.

    Raises ValueError when the name could not be part of a container's name.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*", lab):
        msg = f"RUSTDESK_LAB is {lab!r}: use a lower-case word such as demo or test"
        raise ValueError(msg)
    groups: dict[str, dict[str, list[str]]] = {
        group: {"hosts": [m.name for m in machines if m.group == group]}
        for group in sorted({m.group for m in MACHINES})
    }
    groups |= {
        parent: {"children": [child for child in children if child in groups]} for parent, children in PARENTS.items()
    }
    hostvars: dict[str, dict[str, object]] = {
        m.name: {
            "ansible_host": f"rustdesk-{lab}-{m.name}",
            "lab_image": image(m),
            "lab_aliases": [f"{m.name}.lab.test", *m.aliases],
            "lab_command": list(m.command),
            "lab_ports": [f"127.0.0.1::{port}" for port in m.ports],
            **(windows_connection(f"rustdesk-{lab}-{m.name}") if m.suite == WINDOWS else {}),
        }
        for m in machines
    }
    return {
        "_meta": {"hostvars": hostvars},
        "all": {"children": list(groups), "vars": {"lab_name": lab, "lab_network": f"rustdesk-{lab}", "lab_mtu": mtu}},
        **groups,
    }


def main() -> int:
    """Print the inventory; a wrong ``RUSTDESK_LAB`` is one sentence on stderr and exit status 1."""
    try:
        result = inventory(os.environ.get("RUSTDESK_LAB") or "demo", available(MACHINES, built_suites()), uplink_mtu())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
