"""What a browser is told, over which TLS, and what is nobody's business."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.testinfra.bundle.bundle_lab import NAME, URL, WEB_ROOT, curl, head, publish, run, served
from tests.unit.bundle.support import DAY, certified

if TYPE_CHECKING:
    from pathlib import Path

    from testinfra.host import Host

SECURITY = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize("path", ["/", "/de/", "/en/", f"/{NAME}.zip", "/SHA256SUMS", "/nowhere"])
def test_every_answer_protects(downloads: Host, path: str) -> None:
    answer = head(downloads, URL + path)
    assert SECURITY.items() <= answer.headers.items()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["server"] == "nginx"


@pytest.mark.parametrize(
    ("path", "status", "kind", "cache"),
    [
        ("/de/", 200, "text/html; charset=utf-8", "no-cache"),
        ("/en/", 200, "text/html; charset=utf-8", "no-cache"),
        ("/SHA256SUMS", 200, "text/plain; charset=utf-8", "no-cache"),
        (f"/{NAME}.zip", 200, "application/zip", "public, max-age=0, must-revalidate"),
        ("/{release}/" + NAME + "-{release}.zip", 200, "application/zip", "public, max-age=31536000, immutable"),
        ("/assets/{script}", 200, "application/javascript", "public, max-age=31536000, immutable"),
    ],
)
def test_types_and_caches(downloads: Host, path: str, status: int, kind: str, cache: str) -> None:
    script = downloads.check_output(f"basename {WEB_ROOT}/current/page/assets/page.*.js")
    answer = head(downloads, URL + path.format(release=served(downloads).release, script=script))
    assert (answer.status, answer.headers["cache-control"]) == (status, cache)
    assert answer.headers["content-type"].replace("text/javascript", "application/javascript").startswith(kind)
    assert (answer.headers.get("content-disposition") == "attachment") == path.endswith(".zip")


def test_an_asset_of_another_release_is_not_there(downloads: Host) -> None:
    answer = head(downloads, f"{URL}/assets/page.0123456789ab.js")
    assert answer.status == 404
    assert "cache-control" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("de", "de"),
        ("en", "en"),
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr,en;q=0.8,de;q=0.3", "en"),
        ("fr-FR, de;q=0.8, en;q=0.3", "de"),
        ("fr", "de"),
        ("", "de"),
    ],
)
def test_language_by_what_the_browser_asks_for(downloads: Host, asked: str, language: str) -> None:
    answer = head(downloads, f"{URL}/", "--header", f"Accept-Language: {asked}")
    assert (answer.status, answer.headers["location"]) == (302, f"/rd/{language}/")
    assert answer.headers["vary"] == "Accept-Language"


def test_http_only_redirects(downloads: Host) -> None:
    plain = URL.replace("https", "http")
    answer = head(downloads, f"{plain}/{NAME}.zip?x=1")
    assert (answer.status, answer.headers["location"]) == (301, f"{URL}/{NAME}.zip?x=1")
    assert head(downloads, URL).headers["location"] == "/rd/"
    downloads.check_output(
        "install -D -m 644 /dev/stdin /var/lib/rustdesk-bundle/acme/.well-known/acme-challenge/x <<'E'\ntoken\nE"
    )
    challenge = f"{plain.removesuffix('/rd')}/.well-known/acme-challenge/x"
    assert curl(downloads, challenge) == "token"
    downloads.check_output("rm -r /var/lib/rustdesk-bundle/acme/.well-known")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/",
        "/MANIFEST",
        "/releases/",
        "/current/",
        "/.incoming/release.tar",
        "/page/de/",
        "/de/../../../etc/passwd",
        "/de/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_nothing_else_is_shown(downloads: Host, path: str) -> None:
    answer = head(downloads, URL + path, "--path-as-is")
    assert answer.status in (400, 403, 404)
    assert "cache-control" not in answer.headers


def test_asked_again_it_is_not_sent_again(downloads: Host) -> None:
    first = head(downloads, f"{URL}/{NAME}.zip")
    again = head(downloads, f"{URL}/{NAME}.zip", "--header", f"If-None-Match: {first.headers['etag']}")
    assert again.status == 304
    part = head(downloads, f"{URL}/{NAME}.zip", "--range", "100-199")
    assert (part.status, part.headers["content-length"]) == (206, "100")
    assert part.headers["content-range"].startswith("bytes 100-199/")
    assert head(downloads, f"{URL}/{NAME}.zip", "--request", "POST").status == 405


@pytest.mark.parametrize(("version", "accepted"), [("1_1", False), ("1_2", True), ("1_3", True)])
def test_only_present_tls(downloads: Host, version: str, accepted: bool) -> None:
    ask = "openssl s_client -connect 127.0.0.1:443 -servername dl.lab.test -cipher ALL:@SECLEVEL=0"
    assert (downloads.run(f"{ask} -tls{version} </dev/null").rc == 0) == accepted


def given(directory: Path, mark: str) -> dict[str, str]:
    """A certificate on the controller, as variables of the role."""
    pair = certified("dl.lab.test", start=-4000 * DAY, end=4000 * DAY)
    files = {"certificate_file": pair.certificate, "certificate_key_file": pair.key}
    for name, text in files.items():
        (directory / f"{mark}-{name}.pem").write_text(text)
    own = {name: str(directory / f"{mark}-{name}.pem") for name in files}
    return {**own, "tls": "given", "verify_ca_file": own["certificate_file"]}


def presented(host: Host) -> str:
    """The digest of the certificate that nginx presents."""
    ask = "openssl s_client -connect 127.0.0.1:443 -servername dl.lab.test </dev/null 2>/dev/null"
    return str(host.check_output(f"{ask} | openssl x509 -noout -fingerprint"))


def test_a_certificate_that_is_given(downloads: Host, tmp_path: Path) -> None:
    """From the controller, then renewed there, then as a file of the host's own."""
    made = presented(downloads)
    try:
        first = given(tmp_path, "first")
        publish(**first)
        one = presented(downloads)
        assert run(first).changed == 0
        second = given(tmp_path, "second")
        publish(**second)
        assert len({made, one, presented(downloads)}) == 3
        facts = downloads.file("/etc/ssl/rustdesk-bundle/site.pem")
        assert (facts.user, facts.mode) == ("root", 0o600)
        key = (tmp_path / "second-certificate_key_file.pem").read_text()
        shown = run({**second, "hsts_seconds": 61}, "--diff", "-vvv")
        assert key.splitlines()[1] not in shown.output
        downloads.check_output("rm -rf /etc/ssl/theirs && cp -r /etc/ssl/rustdesk-bundle /etc/ssl/theirs")
        remote = {
            "tls": "given",
            "certificate_remote_file": "/etc/ssl/theirs/site.pem",
            "certificate_remote_key_file": "/etc/ssl/theirs/site.pem",
            "verify_ca_file": second["verify_ca_file"],
        }
        publish(**remote)
        assert run(remote).changed == 0
    finally:
        downloads.check_output("rm -rf /etc/ssl/theirs /etc/ssl/rustdesk-bundle")
        publish()
