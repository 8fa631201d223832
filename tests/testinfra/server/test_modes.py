"""What the options promise is what the running daemons do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.testinfra.plays import deploy, play
from tests.testinfra.server.consoles import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testinfra.host import Host

SERVER = "server-deb13"


@pytest.fixture
def restored() -> Iterator[None]:
    """End with the server as the inventory wants it."""
    yield
    deploy(SERVER)


def address(host: Host) -> str:
    return str(host.check_output("hostname -I").split()[0])


@pytest.mark.usefixtures("restored")
def test_rendezvous_mode_names_its_relays_and_runs_none(on: Callable[[str], Host]) -> None:
    relays = ["relay-deb13.lab.test", "server-deb12.lab.test:21117"]
    deploy(SERVER, rustdesk_server_mode="rendezvous", rustdesk_server_relays=relays)
    host = on(SERVER)
    assert not host.file("/etc/systemd/system/rustdesk-hbbr.service").exists
    assert not host.file("/etc/systemd/system/rustdesk-hbbr.service.d").exists
    assert host.run("pgrep -x hbbr").rc != 0
    named = console(host, 21115, "relay-servers")
    assert "relay-deb13.lab.test" in named
    assert "server-deb12.lab.test:21117" in named
    assert deploy(SERVER, rustdesk_server_mode="rendezvous", rustdesk_server_relays=relays).changed == 0


@pytest.mark.usefixtures("restored")
def test_relay_that_did_not_resolve_when_hbbs_started_is_named_again(on: Callable[[str], Host]) -> None:
    """hbbs drops it for ever, and clients look for a relay on the server's next port."""
    host = on(SERVER)
    late = "late-relay.lab.test"
    mode = {"rustdesk_server_mode": "rendezvous", "rustdesk_server_relays": [late]}
    host.check_output("cp /etc/hosts /root/hosts && cp /etc/hosts /root/hosts.late")
    host.check_output("echo 192.0.2.10 %s >>/root/hosts.late && cat /root/hosts.late >/etc/hosts", late)
    try:
        deploy(SERVER, **mode)
        assert late in console(host, 21115, "relay-servers")
        # The container's file can be written, but not replaced.
        host.check_output("cat /root/hosts >/etc/hosts && systemctl restart rustdesk-hbbs")
        listening = "until ss -Hltn 'sport = 21115' | grep -q .; do sleep 0.1; done"
        host.check_output("timeout 60 sh -c %s", listening)
        assert late not in console(host, 21115, "relay-servers")
        host.check_output("cat /root/hosts.late >/etc/hosts")
        assert "rustdesk_server : Restart hbbs" in deploy(SERVER, **mode).changes(SERVER)
        assert late in console(host, 21115, "relay-servers")
        assert deploy(SERVER, **mode).changed == 0
    finally:
        host.check_output("cat /root/hosts >/etc/hosts && rm /root/hosts /root/hosts.late")


@pytest.mark.usefixtures("restored")
def test_other_ports_are_proven_and_told_to_clients(on: Callable[[str], Host]) -> None:
    done = deploy(
        SERVER, rustdesk_server_port=31116, rustdesk_server_relay_port=31130, rustdesk_server_always_use_relay=True
    )
    facts = next(
        result["ansible_facts"]["rustdesk_server_facts"]
        for _, result in done.results(SERVER)
        if "ansible_facts" in result
    )
    assert facts["config_string"]
    host = on(SERVER)
    assert f"{SERVER}.lab.test:31130" in console(host, 31115, "relay-servers"), (
        "clients would look for a relay on 31117"
    )
    assert "true" in console(host, 31115, "always-use-relay").lower()


@pytest.mark.usefixtures("restored")
def test_limits_reach_the_relay(on: Callable[[str], Host]) -> None:
    deploy(
        SERVER,
        rustdesk_server_bandwidth_single_mbit=64,
        rustdesk_server_bandwidth_total_mbit=512.5,
        rustdesk_server_bandwidth_slowed_mbit=0.5,
    )
    host = on(SERVER)
    assert "64" in console(host, 21117, "single-bandwidth")
    assert "512.5" in console(host, 21117, "total-bandwidth")
    assert "0.5" in console(host, 21117, "limit-speed")


@pytest.mark.usefixtures("restored")
def test_blocked_address_cannot_relay(client: Host) -> None:
    done = play(SERVER, {"rustdesk_server_blocked_addresses": [address(client)], "rustdesk_server_verify_timeout": 1})
    assert done.status != 0
    assert "relay_accepted" in done.failure(SERVER)
    assert "key_accepted" not in done.failure(SERVER)


@pytest.mark.parametrize("where", ["controller", "host"])
def test_proofs_run_from_where_they_are_wanted(on: Callable[[str], Host], where: str) -> None:
    done = deploy(
        SERVER,
        rustdesk_server_verify_from=where,
        rustdesk_server_verify_address=address(on(SERVER)) if where == "controller" else "",
    )
    (proofs,) = [result["proofs"] for _, result in done.results(SERVER) if "proofs" in result]
    assert {proof["state"] for proof in proofs} == {"passed"}
    assert len(proofs) == 9


def test_proofs_leave_no_row_in_the_database(on: Callable[[str], Host]) -> None:
    count = "sqlite3 /var/lib/rustdesk-server/db_v2.sqlite3 'select count(*) from peer'"
    before = on(SERVER).check_output(count)
    deploy(SERVER)
    assert on(SERVER).check_output(count) == before
