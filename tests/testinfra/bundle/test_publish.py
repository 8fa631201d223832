"""What is published stays as it is, is cheap to look after, and changes in one step."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.testinfra.bundle.bundle_lab import (
    HOST,
    NAME,
    SITE,
    SNAPSHOT,
    URL,
    WEB_ROOT,
    ad_hoc,
    changes,
    curl,
    other_contact,
    publish,
    run,
    served,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testinfra.host import Host

MOST_EXECUTIONS = 4
CA = "/etc/ssl/rustdesk-bundle/fullchain.pem"


def test_steady_run_changes_nothing_and_is_cheap(downloads: Host, tmp_path: Path) -> None:
    counts = tmp_path / "executions.json"
    before = downloads.check_output(SNAPSHOT)
    done = run(COUNT_EXECUTIONS_FILE=str(counts), ANSIBLE_CALLBACKS_ENABLED="count_executions")
    assert done.status == 0, done.output
    assert done.changed == 0, done.changes(HOST)
    assert 0 < json.loads(counts.read_text())[HOST]["remote"] <= MOST_EXECUTIONS
    assert downloads.check_output(SNAPSHOT) == before


def test_check_mode_finds_nothing_to_do_and_does_nothing(downloads: Host) -> None:
    before = downloads.check_output(SNAPSHOT)
    done = run({}, "--check", "--diff")
    assert done.status == 0, done.output
    assert done.changed == 0, done.changes(HOST)
    told = run({"hsts_seconds": 60}, "--check", "--diff")
    assert changes(told) == ["configure_site | Write the site", "Reload nginx"]
    assert "max-age=60" in told.output
    assert downloads.check_output(SNAPSHOT) == before


def test_a_download_during_a_publication_is_whole(downloads: Host) -> None:
    """One that is slow goes on with the file it has begun, one in parts with the release it has begun."""
    before = served(downloads)
    part = f"{URL}/{before.release}/{NAME}-{before.release}.zip"
    downloads.check_output("rm -rf /tmp/slow && mkdir /tmp/slow")
    size = int(downloads.check_output(f"stat -c %s {WEB_ROOT}/current/{NAME}.zip"))
    downloads.check_output(
        f"systemd-run --quiet --unit=slow curl --silent --cacert {CA} --limit-rate {size // 90} "
        f"--output /tmp/slow/whole.zip {URL}/{NAME}.zip"
    )
    curl(downloads, part, "--output", "/tmp/slow/part.zip", "--range", f"0-{size // 3}")
    publish(**other_contact("+49 30 7654321"))
    try:
        after = served(downloads)
        assert after.sha256 != before.sha256
        assert before.release in after.releases
        assert downloads.check_output("systemctl is-active slow") == "active", "the download was over too soon"
        curl(downloads, part, "--output", "/tmp/slow/part.zip", "--continue-at", "-")
        assert downloads.check_output("sha256sum /tmp/slow/part.zip").split()[0] == before.sha256
        downloads.check_output(
            "for i in $(seq 1200); do systemctl is-active --quiet slow || exit 0; sleep 0.1; done; exit 1"
        )
        assert downloads.check_output("sha256sum /tmp/slow/whole.zip").split()[0] == before.sha256
        fresh = curl(downloads, f"{URL}/{NAME}.zip", "--output", "/tmp/slow/new.zip")
        assert downloads.check_output("sha256sum /tmp/slow/new.zip").split()[0] == after.sha256, fresh
    finally:
        publish()
    assert served(downloads).release == before.release


def test_a_changed_file_is_healed(downloads: Host) -> None:
    before = served(downloads)
    downloads.check_output(f"printf x >>{WEB_ROOT}/current/{NAME}.zip")
    assert run().changes(HOST) != []
    assert served(downloads) == before


@contextmanager
def another_site(host: Host) -> Iterator[None]:
    """Somebody else's site on the same nginx."""
    text = "server { listen 80; server_name other.lab.test; location / { return 200 theirs; } }"
    host.check_output(
        f"echo '{text}' >/etc/nginx/sites-available/other && ln -s ../sites-available/other /etc/nginx/sites-enabled/"
    )
    host.check_output("systemctl reload nginx")
    try:
        yield
    finally:
        host.check_output("rm /etc/nginx/sites-*/other && systemctl reload nginx")


def test_other_sites_are_left_alone(downloads: Host) -> None:
    theirs = "curl --silent --header 'Host: other.lab.test' http://127.0.0.1/"
    with another_site(downloads):
        before = downloads.check_output("sha256sum /etc/nginx/sites-available/other; ls /etc/nginx/*")
        publish(hsts_seconds=60)
        assert downloads.check_output("sha256sum /etc/nginx/sites-available/other; ls /etc/nginx/*") == before
        assert downloads.check_output(theirs) == "theirs"
        publish()
        assert downloads.check_output(theirs) == "theirs"


def test_what_nginx_refuses_is_taken_back(downloads: Host) -> None:
    """Somebody else has broken the configuration, or the role's own file is what nginx does not take."""
    downloads.check_output("echo 'gibberish;' >/etc/nginx/conf.d/zz-broken.conf")
    before = downloads.check_output(f"sha256sum {SITE}")
    try:
        done = run({"hsts_seconds": 61})
        assert done.status != 0
        assert "zz-broken.conf" in done.failure(HOST)
        assert "mend that first" in done.failure(HOST)
        assert downloads.check_output(f"sha256sum {SITE}") == before
        assert "max-age=31536000" in curl(downloads, f"{URL}/de/", "--head")
    finally:
        downloads.check_output("rm /etc/nginx/conf.d/zz-broken.conf")
    refused = ad_hoc("rustdesk_bundle_site", path=SITE, content="server { listen 443 ssl; nonsense; }")
    assert refused.status != 0
    assert "nonsense" in refused.output
    assert downloads.check_output(f"sha256sum {SITE}") == before


def test_what_is_not_as_built_is_told_with_the_way_out(downloads: Host) -> None:
    certificate = downloads.file(CA).content_string
    good = {"url": URL, "release": served(downloads).release, "certificates": certificate}
    told = ad_hoc("rustdesk_bundle_check", **good, archives={f"{NAME}.zip": "0" * 64}).output
    assert "fetch it on the host itself" in told
    assert "SHA256SUMS says" in told
    told = ad_hoc("rustdesk_bundle_check", url=URL, release="1.4.9-00000000", archives={f"{NAME}.zip": "0" * 64}).output
    assert "customers' browsers will refuse it too" in told
    told = ad_hoc("rustdesk_bundle_check", **{**good, "release": "1.4.9-00000000"}, archives={}, http_port=81).output
    assert "does not answer" in told


def test_removed_and_published_again(downloads: Host) -> None:
    """What came with the role goes, and what customers have been told to download is there again afterwards."""
    before = served(downloads)
    done = run({"state": "absent"})
    assert done.status == 0, done.failure(HOST)
    assert not downloads.file(SITE).exists
    assert not downloads.file("/etc/ssl/rustdesk-bundle").exists
    assert not downloads.package("nginx").is_installed
    assert downloads.file(f"{WEB_ROOT}/releases/{before.release}").is_directory
    assert run({"state": "absent"}).changed == 0
    publish()
    assert served(downloads).release == before.release
    run({"state": "absent", "purge": True})
    assert not downloads.file(WEB_ROOT).exists
    # nginx of the site's own stays.
    downloads.check_output("DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y nginx")
    publish()
    run({"state": "absent", "purge": True})
    assert downloads.package("nginx").is_installed
    assert downloads.service("nginx").is_running
    downloads.check_output("DEBIAN_FRONTEND=noninteractive apt-get -qq purge -y nginx nginx-common")
    publish()
