"""Faults that leave every port open: the role tells each by the proof that failed, and heals those that are its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.testinfra.plays import deploy, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testinfra.host import Host

SERVER = "server-deb13"
RELAY = "relay-deb13"
STATE = "/var/lib/rustdesk-server"
CURRENT = "/opt/rustdesk-server/current"
READY_SECONDS = 30
LISTENING = "until [ $(ss -Hltn 'sport = 21115 or sport = 21117' | wc -l) -eq 2 ]; do sleep 0.1; done"


@contextmanager
def drop_in(host: Host, daemon: str, line: str) -> Iterator[None]:
    """Change a unit the way a colleague in a hurry does: by a drop-in of his own."""
    path = f"/etc/systemd/system/rustdesk-{daemon}.service.d/99-colleague.conf"
    host.check_output(
        "printf '[Service]\\n%%b\\n' %s >%s && systemctl daemon-reload && systemctl restart rustdesk-%s",
        line,
        path,
        daemon,
    )
    try:
        yield
    finally:
        host.check_output("rm %s && systemctl daemon-reload && systemctl restart rustdesk-%s", path, daemon)


@contextmanager
def blocked(host: Host, rule: str) -> Iterator[None]:
    """Drop packets to the server as a firewall would."""
    chain = "add table inet fault; add chain inet fault in { type filter hook input priority 0; }"
    host.check_output("nft %s", f"{chain}; add rule inet fault in {rule} drop")
    try:
        yield
    finally:
        host.check_output("nft delete table inet fault")


def failed_proofs(limit: str) -> tuple[set[str], str]:
    """Run the role on a host that is deployed already; return the proofs that failed, and the message."""
    done = play(limit, {"rustdesk_server_verify_timeout": 1})
    assert done.status != 0, "the role accepted the fault"
    probes = [result for name, result in done.results(limit) if "proofs" in result]
    return {proof["name"] for proof in probes[-1]["proofs"] if proof["state"] == "failed"}, done.failure(limit)


def unit_line(daemon: str, arguments: str) -> str:
    return f"ExecStart=\\nExecStart={CURRENT}/{daemon} {arguments}"


@pytest.mark.parametrize(
    ("daemon", "line", "expected"),
    [
        pytest.param(
            "hbbs", unit_line("hbbs", "--port=21116 --key="), {"key_enforced"}, id="rendezvous server without a key"
        ),
        pytest.param("hbbr", unit_line("hbbr", "--port=21117"), {"relay_enforced"}, id="relay without a key"),
        pytest.param(
            "hbbr",
            unit_line("hbbr", '--port=21117 "--key=_ Environment=RUST_LOG=info"'),
            {"relay_accepted", "relay_bytes"},
            id="key argument that swallowed the next line",
        ),
        pytest.param(
            "hbbs",
            unit_line("hbbs", '--port=21116 "--key=_ Environment=RUST_LOG=info"'),
            {"key_accepted"},
            id="key argument of the rendezvous server that swallowed the next line",
        ),
        pytest.param(
            "hbbs", unit_line("hbbs", "--port=21116 --key=PUBLIC"), set(), id="rendezvous server that signs nothing"
        ),
    ],
)
def test_wrong_key_argument_is_told(on: Callable[[str], Host], daemon: str, line: str, expected: set[str]) -> None:
    host = on(SERVER)
    with drop_in(host, daemon, line.replace("PUBLIC", host.check_output("cat %s/id_ed25519.pub", STATE))):
        failed, message = failed_proofs(SERVER)
    assert failed == expected
    assert all(name in message for name in expected)
    assert f"systemctl cat rustdesk-{daemon}.service" in message
    assert deploy(SERVER).changed == 0


def test_daemon_that_keeps_ending_is_told(on: Callable[[str], Host]) -> None:
    """Between its ends every proof passes."""
    host = on(SERVER)
    restarts = "$(systemctl show --property=NRestarts --value rustdesk-hbbs)"
    with drop_in(host, "hbbs", "RuntimeMaxSec=4\\nKillSignal=SIGKILL"):
        host.check_output("timeout 60 sh -c %s", f"until [ {restarts} -ge 3 ]; do sleep 0.2; done")
        done = play(SERVER, {"rustdesk_server_verify_timeout": 1})
    host.check_output("systemctl reset-failed rustdesk-hbbs")
    assert done.status != 0
    assert "rustdesk-hbbs.service keeps ending" in done.failure(SERVER)
    assert deploy(SERVER).changed == 0


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("udp dport 21116", {"rendezvous_udp"}),
        ("tcp dport 21117", {"relay_accepted", "relay_enforced", "relay_bytes"}),
        ("tcp dport 21115", {"nat_test"}),
    ],
)
def test_blocked_port_is_told(on: Callable[[str], Host], rule: str, expected: set[str]) -> None:
    with blocked(on(SERVER), rule):
        failed, message = failed_proofs(SERVER)
    assert failed == expected
    assert rule.rsplit(" ", 1)[1] in message


def test_relay_with_another_key_is_told() -> None:
    other = "P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA="
    try:
        done = play(RELAY, {"rustdesk_server_public_key": other})
        assert done.status == 0, "a relay is proven with the key it was given"
    finally:
        deploy("server-deb12," + RELAY)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("chown root:root id_ed25519", "cannot be read"),
        ("chmod 0000 id_ed25519", "cannot be read"),
        ("rm id_ed25519", "is missing"),
        ("rm id_ed25519.pub", "is missing"),
        ("truncate -s 40 id_ed25519", "64 bytes"),
        (": >id_ed25519", "64 bytes"),
        ("echo '!not base64!' >id_ed25519", "not base64"),
        ("printf P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA= >id_ed25519.pub", "does not belong"),
    ],
)
def test_no_daemon_starts_without_its_key(on: Callable[[str], Host], damage: str, reason: str) -> None:
    """Upstream would start, check no key at all, and serve everybody."""
    host = on(SERVER)
    host.check_output("cd %s && mkdir /root/kept && cp --archive id_ed25519* /root/kept/", STATE)
    try:
        host.check_output(f"cd {STATE} && {damage}")
        for daemon in ("hbbs", "hbbr"):
            assert host.run("systemctl restart rustdesk-%s", daemon).rc != 0
            assert not host.service(f"rustdesk-{daemon}").is_running
            journal = host.check_output("journalctl --no-pager --output=cat --lines=12 --unit=rustdesk-%s", daemon)
            assert "key refused, not starting" in journal
            assert reason in journal
    finally:
        host.check_output("cp --archive /root/kept/* %s/ && rm -r /root/kept", STATE)
        host.check_output("systemctl reset-failed; systemctl restart rustdesk-hbbs rustdesk-hbbr")
        # They have read their key when they listen; one that is lost before, they replace by a new one.
        host.check_output(f"timeout {READY_SECONDS} sh -c %s", LISTENING)


def test_drift_is_healed(on: Callable[[str], Host]) -> None:
    """What a colleague changes in the role's own files, the next run puts right, and restarts what ran with it."""
    host = on(SERVER)
    host.check_output(
        f"chown root {STATE}/id_ed25519; rm {STATE}/id_ed25519.pub; "
        f"echo '# tampered' >>{CURRENT}/hbbr; chmod 0777 {CURRENT}/hbbs; "
        "sed -i /ProtectSystem/d /etc/systemd/system/rustdesk-hbbs.service.d/10-hardening.conf; "
        "systemctl disable --quiet rustdesk-hbbr; systemctl stop rustdesk-hbbr"
    )
    done = deploy(SERVER)
    assert done.changed > 0
    assert host.file(f"{STATE}/id_ed25519").user == "rustdesk-server"
    assert host.file(f"{CURRENT}/hbbs").mode == 0o755
    assert "tampered" not in host.run("tail -c 20 %s/hbbr | base64 -w0 | base64 -d | tr -cd a-z", CURRENT).stdout
    assert "ProtectSystem=strict" in host.check_output("systemctl show --property=ProtectSystem rustdesk-hbbs")
    assert host.service("rustdesk-hbbr").is_enabled
    assert deploy(SERVER).changed == 0
