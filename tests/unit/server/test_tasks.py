"""What single tasks of the role need so that an earlier run, whole or not, does not lead them astray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from .support import ROLE

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
