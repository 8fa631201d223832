"""A client that runs: stopped around the write, started as it was found, never in contact with public servers."""

from __future__ import annotations

import json
import time
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.testinfra.client.endpoints import (
    ENDPOINT,
    FOREIGN,
    SERVER,
    Package,
    apply,
    config,
    get,
    killed_before,
    put,
    reset,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testinfra.host import Host

PASSWORD = "Wald-Pferd-Batterie"
MOST_EXECUTIONS = 8
SECONDS = 15
DEB = "rustdesk/1.4.9/rustdesk-1.4.9-x86_64.deb"

LISTEN = """\
import selectors, socket, sys
log = open("/run/public-server.log", "a", buffering=1)
ready = selectors.DefaultSelector()
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", 21116))
    kind == socket.SOCK_STREAM and s.listen()
    ready.register(s, selectors.EVENT_READ)
print("ready", file=log)
while True:
    for key, _ in ready.select():
        s = key.fileobj
        is_udp = s.type == socket.SOCK_DGRAM
        log.write(("udp " + s.recvfrom(2048)[1][0] if is_udp else "tcp " + s.accept()[1][0]) + "\\n")
"""


def soon(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@contextmanager
def public_server(outside: Host) -> Iterator[Callable[[], list[str]]]:
    """Listen where a client without settings calls; what it heard from whom."""
    put(outside, "/run/public-server.py", LISTEN.encode(), "root")
    outside.check_output("rm -f /run/public-server.log")
    outside.check_output("systemd-run --quiet --collect --unit=public-server python3 /run/public-server.py")

    def heard() -> list[str]:
        return str(outside.check_output("cat /run/public-server.log")).splitlines()[1:]

    try:
        soon(lambda: outside.run("grep -q ready /run/public-server.log").rc == 0, "nothing listens")
        yield heard
    finally:
        outside.check_output("systemctl stop public-server")


def server_of(host: Host) -> str:
    return str(host.check_output("rustdesk --option custom-rendezvous-server"))


def serial(host: Host) -> int:
    return int(tomllib.loads(get(host, config("root")).decode()).get("serial", 0))


def install_by_hand(host: Host, outside: Host) -> None:
    """Install the stub without the role, as a user does."""
    assert outside.file(f"/srv/mirror/{DEB}").exists
    host.check_output(f"curl -sSf -o /tmp/rustdesk.deb http://mirror.lab.test/{DEB} && dpkg -i /tmp/rustdesk.deb")


def test_installed_client_meets_no_public_server(
    endpoint: Host, outside: Host, package: Package, tmp_path: Path
) -> None:
    address = endpoint.check_output("hostname -I").split()[0]
    with public_server(outside) as heard:
        install_by_hand(endpoint, outside)
        soon(
            lambda: f"udp {address}" in heard(), "even an unconfigured client was not heard, so silence proves nothing"
        )
    endpoint.check_output("DEBIAN_FRONTEND=noninteractive apt-get -qq -y purge rustdesk && rm -rf /root/.config")

    with public_server(outside) as heard:
        apply(**package.variables(users=["anna"]))
        assert endpoint.service("rustdesk").is_running
        assert server_of(endpoint) == SERVER
        endpoint.check_output("systemctl restart rustdesk")
        time.sleep(2)
        assert heard() == []

    counts = tmp_path / "executions.json"
    variables = {f"rustdesk_client_{name}": value for name, value in package.variables(users=["anna"]).items()}
    steady = run(variables, COUNT_EXECUTIONS_FILE=str(counts), ANSIBLE_CALLBACKS_ENABLED="count_executions")
    assert steady.status == 0, steady.output
    assert steady.changed == 0, steady.changes(ENDPOINT)
    assert 0 < json.loads(counts.read_text())[ENDPOINT]["remote"] <= MOST_EXECUTIONS

    reset(users=["anna"])
    assert endpoint.run("command -v rustdesk").rc != 0, "what the role has installed stayed"
    assert not endpoint.service("rustdesk").is_running
    assert "custom-rendezvous-server" not in get(endpoint, config("root")).decode()


def test_another_digest_is_refused(endpoint: Host, package: Package) -> None:
    assert package.sha256 != "0" * 64
    done = run({"rustdesk_client_install": True, "rustdesk_client_package_sha256": "0" * 64})
    assert done.status != 0
    assert "did not match" in done.failure(ENDPOINT) or "sha256" in done.failure(ENDPOINT)
    assert endpoint.run("dpkg -s rustdesk").rc != 0
    assert not endpoint.file("/var/cache/rustdesk-client").exists


@pytest.mark.usefixtures("package")
def test_running_client_is_stopped_for_the_write_and_runs_again(endpoint: Host, outside: Host) -> None:
    """The client writes what it knows when it ends, so what it wrote last is what has to be merged into."""
    install_by_hand(endpoint, outside)
    soon(lambda: endpoint.run("rustdesk --option key").rc == 0, "the stub does not answer")
    endpoint.check_output("rustdesk --option enable-audio N")
    before = serial(endpoint)
    secrets: dict[str, Any] = {"permanent_password": PASSWORD, "users": ["anna"]}
    apply(**secrets)
    assert endpoint.service("rustdesk").is_running
    assert server_of(endpoint) == SERVER
    assert endpoint.check_output("rustdesk --option enable-audio") == "N"
    assert serial(endpoint) > before
    assert not endpoint.file(config("root", "rustdesk_client.restart")).exists

    # Restarted, the client writes its own form, secrets encrypted: the next run has nothing to do all the same.
    endpoint.check_output("systemctl restart rustdesk")
    identity = tomllib.loads(get(endpoint, config("root", "RustDesk.toml")).decode())
    assert identity["password"][:2] in ("00", "01")
    assert apply(**secrets).changed == 0
    places = "journalctl --no-pager; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; :"
    assert PASSWORD not in endpoint.check_output(places)
    assert PASSWORD not in get(endpoint, config("root", "rustdesk_client.json")).decode()

    # Somebody wrote the file under the running client: its memory is what counts, and it is what is corrected.
    endpoint.check_output("rustdesk --option custom-rendezvous-server elsewhere.example.org")
    endpoint.check_output(f"sed -i s/elsewhere.example.org/{SERVER}/ {config('root')}")
    assert apply(**secrets).changed > 0
    assert server_of(endpoint) == SERVER

    reset(users=["anna"])
    assert endpoint.service("rustdesk").is_running
    assert server_of(endpoint) == ""
    assert endpoint.check_output("rustdesk --option enable-audio") == "N"


@pytest.mark.usefixtures("package")
def test_stopped_client_stays_stopped_unless_asked(endpoint: Host, outside: Host) -> None:
    install_by_hand(endpoint, outside)
    endpoint.check_output("systemctl disable --now rustdesk")
    apply(users=["anna"])
    assert not endpoint.service("rustdesk").is_running
    apply(users=["anna"], service="running")
    assert endpoint.service("rustdesk").is_running
    assert endpoint.service("rustdesk").is_enabled
    assert apply(users=["anna"], service="running").changed == 0


@pytest.mark.usefixtures("package")
def test_a_service_that_does_not_keep_running_is_told(endpoint: Host, outside: Host) -> None:
    install_by_hand(endpoint, outside)
    place = "/run/systemd/system/rustdesk.service.d"
    override = "[Service]\\nType=simple\\nRestart=no\\nExecStart=\\nExecStart=/bin/true\\n"
    endpoint.check_output(f"systemctl stop rustdesk; mkdir -p {place} && printf '{override}' >{place}/ends.conf")
    endpoint.check_output("systemctl daemon-reload")
    try:
        done = run({"rustdesk_client_users": ["anna"], "rustdesk_client_service": "running"})
        assert done.status != 0
        assert "rustdesk_client_service" in done.failure(ENDPOINT)
    finally:
        endpoint.check_output(f"rm -r {place} && systemctl daemon-reload")
    apply(users=["anna"], service="running")
    assert endpoint.service("rustdesk").is_running


def test_a_computer_that_is_to_be_controlled_has_no_service_that_stops_itself(endpoint: Host) -> None:
    content = FOREIGN.replace("[options]\n", "[options]\nstop-service = 'Y'\n").encode()
    put(endpoint, config("anna"), content, "anna")
    apply(users=["anna"])
    assert b"stop-service" not in get(endpoint, config("anna"))
    assert apply(users=["anna"]).changed == 0
    reset(users=["anna"])
    assert get(endpoint, config("anna")) == content


@pytest.mark.usefixtures("package")
def test_interrupted_while_stopped_runs_again(endpoint: Host, outside: Host) -> None:
    install_by_hand(endpoint, outside)
    killed_before("configure | Write the settings", users=["anna"])
    assert not endpoint.service("rustdesk").is_running
    apply(users=["anna"])
    assert endpoint.service("rustdesk").is_running
    assert server_of(endpoint) == SERVER
    assert apply(users=["anna"]).changed == 0


@pytest.mark.usefixtures("package")
def test_interrupted_while_stopped_runs_again_without_settings(endpoint: Host, outside: Host) -> None:
    """Somebody has taken the settings of the running service away, and with them the place for its mark."""
    install_by_hand(endpoint, outside)
    endpoint.check_output("rm -rf /root/.config/rustdesk")
    killed_before("service_stop | Stop the service", users=["anna"])
    assert endpoint.file(config("root", "rustdesk_client.restart")).exists
    endpoint.check_output("systemctl stop rustdesk")
    apply(users=["anna"])
    assert endpoint.service("rustdesk").is_running
    assert apply(users=["anna"]).changed == 0


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("task", "state"),
    [
        ("configure | Write the settings", "present"),
        ("remove | Put the settings back", "absent"),
        ("service_start | Start the service", "absent"),
    ],
)
def test_a_reset_after_an_interrupted_run_runs_the_service_again(
    endpoint: Host, outside: Host, task: str, state: str
) -> None:
    """With the first one nothing was written yet, with the last one all is given back already."""
    install_by_hand(endpoint, outside)
    soon(lambda: endpoint.run("rustdesk --option key").rc == 0, "the stub does not answer")
    if state == "absent":
        apply(users=["anna"])
    killed_before(task, users=["anna"], state=state)
    assert not endpoint.service("rustdesk").is_running
    reset(users=["anna"])
    assert endpoint.service("rustdesk").is_running
    assert not endpoint.file(config("root", "rustdesk_client.restart")).exists
    assert server_of(endpoint) == ""
    assert reset(users=["anna"]).changed == 0


def test_a_package_that_cannot_be_removed_leaves_the_service_running(endpoint: Host, package: Package) -> None:
    apply(**package.variables(users=["anna"]))
    script = "/var/lib/dpkg/info/rustdesk.prerm"
    endpoint.check_output(f"cp -a {script} /root/prerm && printf '#!/bin/sh\\nexit 1\\n' >{script}")
    try:
        done = run({"rustdesk_client_users": ["anna"], "rustdesk_client_state": "absent"})
        assert done.status != 0
        assert endpoint.service("rustdesk").is_running
        assert server_of(endpoint) == SERVER
    finally:
        endpoint.check_output(f"mv /root/prerm {script}")
    reset(users=["anna"])
    assert endpoint.run("command -v rustdesk").rc != 0


def test_a_package_that_somebody_else_has_installed_stays(endpoint: Host, outside: Host, package: Package) -> None:
    """The role's own installation failed, so it is not the role's."""
    variables = package.variables(users=["anna"], package_url="http://mirror.lab.test/rustdesk/none.deb")
    done = run({f"rustdesk_client_{name}": value for name, value in variables.items()})
    assert done.status != 0
    install_by_hand(endpoint, outside)
    apply(**package.variables(users=["anna"]))
    reset(users=["anna"])
    assert endpoint.service("rustdesk").is_running
    assert endpoint.run("dpkg -s rustdesk").rc == 0


@pytest.mark.parametrize(
    "task", ["install_deb | Install the package", "install_record | Record it", "install | Record whether it is there"]
)
def test_an_installation_that_was_killed_is_finished_and_taken_back(
    endpoint: Host, package: Package, task: str
) -> None:
    killed_before(task, **package.variables(users=["anna"]))
    apply(**package.variables(users=["anna"]))
    assert endpoint.service("rustdesk").is_running
    assert apply(**package.variables(users=["anna"])).changed == 0
    reset(users=["anna"])
    assert endpoint.run("command -v rustdesk").rc != 0


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_package_that_is_half_there_is_finished(endpoint: Host, package: Package, state: str) -> None:
    """As after a kill in the middle of a removal."""
    apply(**package.variables(users=["anna"]))
    endpoint.check_output(
        "sed -i '/^Package: rustdesk$/,/^$/s/^Status: .*/Status: deinstall ok half-configured/' /var/lib/dpkg/status"
    )
    assert "half-configured" in endpoint.check_output("dpkg -s rustdesk")
    if state == "present":
        apply(**package.variables(users=["anna"]))
        assert endpoint.service("rustdesk").is_running
        assert "install ok installed" in endpoint.check_output("dpkg -s rustdesk")
        assert apply(**package.variables(users=["anna"])).changed == 0
    reset(users=["anna"])
    assert endpoint.run("command -v rustdesk").rc != 0
    assert endpoint.run("dpkg -s rustdesk | grep -q 'ok installed$'").rc != 0


@pytest.mark.usefixtures("package")
def test_open_window_is_refused_or_closed(endpoint: Host) -> None:
    """A portable client that a user has open would write its own settings back."""
    endpoint.check_output(
        "mkdir -p /opt/portable && cd /opt/portable && "
        f"curl -sSf -o package.deb http://mirror.lab.test/{DEB} && dpkg -x package.deb ."
    )
    program = "/opt/portable/usr/share/rustdesk/rustdesk"
    endpoint.check_output(f"systemd-run --quiet --collect --uid=anna --unit=window {program}")
    soon(lambda: endpoint.file(config("anna")).exists, "the stub did not start")
    before = get(endpoint, config("anna"))
    # A program of somebody else's that only begins like it is none of the role's business.
    endpoint.check_output("cp /bin/sleep /usr/local/bin/rustdesk-api")
    endpoint.check_output("systemd-run --quiet --collect --uid=anna --unit=other /usr/local/bin/rustdesk-api 600")
    done = run({"rustdesk_client_portable": True})
    assert done.status != 0
    assert "rustdesk_client_close_programs" in done.failure(ENDPOINT)
    assert "anna" in done.failure(ENDPOINT)
    assert get(endpoint, config("anna")) == before
    apply(portable=True, close_programs=True)
    assert endpoint.run("pgrep -u anna -f rustdesk/rustdesk").rc != 0
    assert endpoint.run("pgrep -u anna -f rustdesk-api").rc == 0
    endpoint.check_output("systemctl stop other && rm /usr/local/bin/rustdesk-api")
    assert SERVER in get(endpoint, config("anna")).decode()
    assert apply(portable=True).changed == 0
    endpoint.check_output("rm -rf /opt/portable")
