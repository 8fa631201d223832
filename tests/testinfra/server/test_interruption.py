"""A run that is killed between any two tasks leaves nothing that the next run does not heal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.testinfra.plays import deploy, play
from tests.testinfra.server.consoles import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testinfra.host import Host

SERVER = "server-deb13"
CALLBACKS = Path(__file__).parent / "callbacks"
KILLED = -9


def killed_before(task: str, **variables: object) -> None:
    """Deploy, and kill the run right before a task starts."""
    plugins = os.pathsep.join([str(CALLBACKS), str(CALLBACKS.parents[3] / "plugins" / "callback")])
    done = play(
        SERVER,
        variables,
        extra_environment={
            "ANSIBLE_CALLBACK_PLUGINS": plugins,
            "ANSIBLE_CALLBACKS_ENABLED": "killer",
            "KILL_BEFORE_TASK": task,
        },
    )
    assert done.status == KILLED, f"the run was not killed before '{task}': {done.output[-2000:]}"


@pytest.fixture
def fresh() -> Iterator[None]:
    """Start without anything of the role, and end with a deployed server."""
    deploy(SERVER, rustdesk_server_state="absent", rustdesk_server_purge=True)
    yield
    deploy(SERVER)


@pytest.mark.parametrize(
    "task",
    [
        "install_release | Unpack the programs",
        "configure_key | Provide the key pair",
        "configure_units | Write the units",
        "service | Enable and start the daemons",
    ],
)
@pytest.mark.usefixtures("fresh")
def test_first_deployment_killed(task: str) -> None:
    killed_before(task)
    deploy(SERVER)
    assert deploy(SERVER).changed == 0


def environment_of(host: Host, daemon: str) -> list[str]:
    """What a running daemon has got as its environment."""
    number = host.check_output("systemctl show --property=MainPID --value rustdesk-%s", daemon)
    return list(host.check_output(f"tr '\\0' '\\n' </proc/{number}/environ").splitlines())


@pytest.mark.parametrize("runs", [True, False], ids=["running", "stopped"])
def test_change_killed_before_the_restart(on: Callable[[str], Host], runs: bool) -> None:
    """The notification is lost with the killed run: only the age of the daemon tells that it runs with the old unit.

    One that does not run has no age, and systemd still has the old unit in mind.
    """
    host = on(SERVER)
    if not runs:
        host.check_output("systemctl stop rustdesk-hbbr")
    killed_before("service | Notice what a running daemon has missed", rustdesk_server_bandwidth_single_mbit=77)
    assert "SINGLE_BANDWIDTH=77" in host.check_output("cat /etc/systemd/system/rustdesk-hbbr.service")
    deploy(SERVER, rustdesk_server_bandwidth_single_mbit=77)
    try:
        assert "SINGLE_BANDWIDTH=77" in environment_of(host, "hbbr")
    finally:
        deploy(SERVER)


def test_emptied_list_killed_before_the_restart(on: Callable[[str], Host]) -> None:
    """hbbr goes on refusing whom it has read about; the next run has to see it, and leaves hbbs alone."""
    host = on(SERVER)
    number = "systemctl show --property=MainPID --value rustdesk-hbbs"
    hbbs = host.check_output(number)
    deploy(SERVER, rustdesk_server_blocked_addresses=["192.0.2.77"])
    try:
        assert "192.0.2.77" in console(host, 21117, "blocklist")
        killed_before("service | Notice what a running daemon has missed")
        assert "192.0.2.77" in console(host, 21117, "blocklist")
    finally:
        done = deploy(SERVER)
    assert "192.0.2.77" not in console(host, 21117, "blocklist")
    assert "rustdesk_server : Restart hbbr" in done.changes(SERVER)
    assert host.check_output(number) == hbbs
    assert deploy(SERVER).changed == 0
