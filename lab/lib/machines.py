"""The lab's machines as a whole: created, destroyed, and shown what they are for."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from typing import TYPE_CHECKING

import inotify
from console import ROOT, Console, run

if TYPE_CHECKING:
    from pathlib import Path

OWNER = "default"
INVENTORY = "inventories/lab"
CACHE = ROOT / ".cache"
DEMO = "all:!endpoint-ufw:!endpoint-firewalld:!endpoint-nftables:!lab_browsers"
"""Machines of the demo, as Ansible's pattern: one endpoint of each system is enough to look at."""
DOWNLOADS = "downloads"
MACHINES_OF_A_LAB = 16
"""At most; a little more than there are."""


def lab_name() -> str:
    """The lab that ``RUSTDESK_LAB`` names; the one under test when it names none."""
    return os.environ.get("RUSTDESK_LAB") or "test"


def molecule_memory(lab: str) -> Path:
    """Where molecule keeps what it knows of a lab's machines."""
    return CACHE / "molecule" / lab


def forget_lost_machines(lab: str) -> None:
    """Let molecule start machines anew that are gone behind its back; it believes its notes."""
    status, running = run(["docker", "ps", "--quiet", "--filter", f"label=rustdesk-lab={lab}"])
    if status == 0 and not running.strip():
        shutil.rmtree(molecule_memory(lab), ignore_errors=True)


def create(console: Console, lab: str, limit: str = "all") -> bool:
    """Start a lab's machines of a pattern that do not run; returns whether all of them do."""
    _, running = run(["docker", "ps", "--quiet"])
    raised = inotify.allow(len(running.split()) + MACHINES_OF_A_LAB)
    if raised:
        console.say(f"fs.inotify.max_user_instances is now {raised}, as other labs stand beside this one")
    return _playbook("create", "starting", console, lab, limit)


def destroy(console: Console, lab: str) -> bool:
    """Remove a lab's machines, and the bundle that was built for them; returns whether they are gone."""
    for kept in (molecule_memory(lab), CACHE / "bundle" / lab):
        shutil.rmtree(kept, ignore_errors=True)
    return _playbook("destroy", "removing", console, lab)


def _playbook(name: str, doing: str, console: Console, lab: str, limit: str = "all") -> bool:
    console.say(f"{doing} the machines of lab {lab}")
    command = [
        "ansible-playbook",
        "--inventory",
        INVENTORY,
        "--limit",
        f"localhost:{limit}",
        f"molecule/{OWNER}/{name}.yml",
    ]
    with console.doing(f"{doing} the machines of lab {lab}"):
        status, output = run(command, None, {"RUSTDESK_LAB": lab})
    if status:
        console.write(output)
    return status == 0


def deploy(console: Console, lab: str, limit: str = "all") -> bool:
    """Run the site's playbook on a lab's machines of a pattern, as an operator would; returns whether it succeeded."""
    command = ["ansible-playbook", "--inventory", INVENTORY, "--limit", f"localhost:{limit}", "playbooks/site.yml"]
    with console.doing("deploying"):
        status, _ = run(command, console, {"RUSTDESK_LAB": lab})
    return status == 0


def page_address(lab: str) -> str:
    """Where this computer finds the download page, "" without the machine that serves it."""
    status, bound = run(["docker", "port", f"rustdesk-{lab}-{DOWNLOADS}", "443"])
    return "" if status else f"https://localhost:{bound.split()[0].rpartition(':')[2]}/rd/"


def demo(console: Console, lab: str) -> bool:
    """New machines, the service on them, and where to look next."""
    if not (destroy(console, lab) and create(console, lab, DEMO) and deploy(console, lab, DEMO)):
        return False
    page = page_address(lab)
    if page:
        console.write(f"\nThe page for customers:       {page} (https://dl.lab.test/rd for the machines; self-signed)")
    console.write(
        f"\nThe machines stay. A look inside: docker exec -it rustdesk-{lab}-server-deb12 bash\n"
        f"The client's view:           docker exec -it rustdesk-{lab}-client-deb12 bash\n"
        "Once more (changes nothing):  "
        f"RUSTDESK_LAB={lab} .venv/bin/ansible-playbook -i {INVENTORY} -l 'localhost:{DEMO}' playbooks/site.yml\n"
        "And away with them:           make demo-down\n"
    )
    return True


ACTS = {"create": create, "destroy": destroy, "demo": demo}


def main() -> int:
    """Command line of ``make demo`` and ``make demo-down``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("act", choices=ACTS)
    act = ACTS[parser.parse_args().act]
    console = Console()
    with console.alive():
        return int(not act(console, lab_name()))


if __name__ == "__main__":
    sys.exit(main())
