"""What the other machines take for the internet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import testinfra

if TYPE_CHECKING:
    from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[3]

testinfra_hosts = ["ansible://lab_clients"]


def recorded() -> list[str]:
    outside = testinfra.get_host("ansible://outside", ansible_inventory=str(ROOT / "inventories" / "lab"))
    lines: list[str] = outside.check_output("cat /var/log/outside/connections").splitlines()
    return lines


def test_records_who_calls_the_vendor(host: Host) -> None:
    before = len(recorded())
    assert host.run("nc -z -w 3 api.rustdesk.com 443").rc == 0
    (entry,) = recorded()[before:]
    assert entry.split()[1] in host.check_output("hostname -I").split()


def test_records_nothing_else(host: Host) -> None:
    before = recorded()
    assert host.run("curl -s -m 3 http://api.rustdesk.com/").rc == 0
    assert recorded() == before


def test_serves_the_chosen_archive(host: Host) -> None:
    choice = json.loads((ROOT / ".cache" / "archive.json").read_text(encoding="utf-8"))
    url = f"http://mirror.lab.test/{choice['version']}/{choice['file']}"
    assert host.check_output(f"curl -sf -m 30 {url} | sha256sum").split()[0] == choice["sha256"]
