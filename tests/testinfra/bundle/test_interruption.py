"""A run that is killed between any two tasks leaves what was served, and the next run finishes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.testinfra.bundle.bundle_lab import (
    HOST,
    SITE,
    URL,
    WEB_ROOT,
    curl,
    other_contact,
    publish,
    run,
    served,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testinfra.host import Host

CALLBACKS = Path(__file__).parents[1] / "server" / "callbacks"
KILLED = -9


def killed_before(task: str, **variables: object) -> None:
    """Publish, and kill the run right before a task starts."""
    plugins = os.pathsep.join([str(CALLBACKS), str(CALLBACKS.parents[3] / "plugins" / "callback")])
    done = run(
        variables,
        ANSIBLE_CALLBACK_PLUGINS=plugins,
        ANSIBLE_CALLBACKS_ENABLED="killer",
        KILL_BEFORE_TASK=task,
    )
    assert done.status == KILLED, f"the run was not killed before '{task}': {done.output[-2000:]}"


@pytest.fixture
def as_converged() -> Iterator[None]:
    yield
    publish()


@pytest.mark.parametrize(
    "task", ["install | Install the packages", "publish | Serve it", "service | Notice what nginx has missed"]
)
@pytest.mark.usefixtures("as_converged")
def test_first_publication_killed(downloads: Host, task: str) -> None:
    removed = run({"state": "absent", "purge": True})
    assert removed.status == 0, removed.failure(HOST)
    killed_before(task)
    publish()
    assert publish().changed == 0
    assert "200" in curl(downloads, f"{URL}/de/", "--head").splitlines()[0]
    # Also what the killed run had installed goes with the role.
    assert "nginx" in downloads.check_output("cat /var/lib/rustdesk-bundle/packages").split()


@pytest.mark.usefixtures("as_converged")
def test_next_publication_killed(downloads: Host) -> None:
    before = served(downloads)
    variables = other_contact("+49 30 3333333")
    killed_before("publish | Serve it", **variables)
    assert served(downloads) == before
    publish(**variables)
    assert served(downloads).release != before.release
    assert not downloads.file(f"{WEB_ROOT}/.incoming").exists


@pytest.mark.usefixtures("as_converged")
def test_killed_before_the_reload(downloads: Host) -> None:
    """The notification is lost with the killed run: only the age of nginx's workers tells of the old site."""
    killed_before("service | Notice what nginx has missed", hsts_seconds=77)
    assert "max-age=77" in downloads.file(SITE).content_string
    assert "max-age=77" not in curl(downloads, f"{URL}/de/", "--head")
    publish(hsts_seconds=77)
    assert "max-age=77" in curl(downloads, f"{URL}/de/", "--head")
