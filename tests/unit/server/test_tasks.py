"""What single tasks of the role need so that an earlier run, whole or not, does not lead them astray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from .support import ROLE, evaluated

if TYPE_CHECKING:
    from collections.abc import Iterator


def tasks(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return every task, those of blocks as well."""
    for entry in entries:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part, []))


def task(file: str, name: str) -> dict[str, Any]:
    """Return the one task of that name."""
    entries = yaml.safe_load((ROLE / "tasks" / f"{file}.yml").read_text(encoding="utf-8"))
    (found,) = [entry for entry in tasks(entries) if entry["name"] == f"{file} | {name}"]
    return found


def test_a_failed_installation_removes_only_what_it_made() -> None:
    path = task("install_release", "Remove what the failed attempt left")["ansible.builtin.file"]["path"]
    assert "__rustdesk_server_host.install_dir_exists" in path


def test_the_archive_of_an_interrupted_run_is_not_taken_for_the_wanted_one() -> None:
    assert task("install_download", "Fetch the archive")["ansible.builtin.get_url"]["force"] is True


def test_a_daemon_starts_with_the_unit_as_it_is_on_the_disk() -> None:
    assert task("service", "Enable and start the daemons")["ansible.builtin.systemd_service"]["daemon_reload"] is True


def test_the_state_directory_is_no_link_and_its_parents_are_roots() -> None:
    above = task("configure", "Create the directories above the state")
    assert above["ansible.builtin.file"]["owner"] == "root"
    assert above["when"] == "not __rustdesk_server_host.state_dir_parent_exists"
    assert task("configure", "Create the state directory")["ansible.builtin.file"]["follow"] is False


def test_a_slash_at_the_end_does_not_make_another_home() -> None:
    again = task("install", "Create the service user")["when"]
    homes = {"/srv/state": "/srv/state/", "/srv/state/": "/srv/state"}
    for given, home in homes.items():
        known = {"rustdesk_server_state_dir": given, "__rustdesk_server_host": {"user_home": home}}
        assert evaluated("{{ " + again + " }}", **known) == "False"
    other = {"rustdesk_server_state_dir": "/srv/state", "__rustdesk_server_host": {"user_home": ""}}
    assert evaluated("{{ " + again + " }}", **other) == "True"
