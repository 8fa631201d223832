"""An earlier release is one variable away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testinfra.bundle.bundle_lab import HOST, NAME, URL, changes, curl, other_contact, publish, run, served

if TYPE_CHECKING:
    from testinfra.host import Host


def test_back_and_forth(downloads: Host) -> None:
    old = served(downloads)
    publish(**other_contact("+49 30 1111111"))
    try:
        new = served(downloads)
        assert new.release != old.release
        back = publish(release=old.release)
        assert changes(back) == ["publish | Serve it"]
        assert served(downloads).release == old.release
        assert f"{old.sha256}  {NAME}.zip" in curl(downloads, f"{URL}/SHA256SUMS")
        assert old.sha256 in curl(downloads, f"{URL}/de/")
        assert publish(release=old.release).changed == 0
        # What was gone back from can still be had under its own name.
        path = f"{URL}/{new.release}/{NAME}-{new.release}.zip"
        curl(downloads, path, "--output", "/tmp/new.zip")
        assert downloads.check_output("sha256sum /tmp/new.zip").split()[0] == new.sha256
        unknown = run({"release": "1.4.9-00000000"})
        assert unknown.status != 0
        assert old.release in unknown.failure(HOST)
        assert new.release in unknown.failure(HOST)
    finally:
        publish()
    assert served(downloads).release == old.release


def test_the_oldest_go(downloads: Host) -> None:
    current = served(downloads).release
    try:
        for number in range(2):
            publish(**other_contact(f"+49 30 222222{number}"), keep_releases=2)
        there = served(downloads)
        assert len(there.releases) == 2
        assert there.release in there.releases
        assert current not in there.releases
    finally:
        publish()
    assert served(downloads).release == current
