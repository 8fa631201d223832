"""The proof of a download is green for a sound site, and tells each planted fault with its way out."""

from __future__ import annotations

import hashlib
import http.server
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from ansible.module_utils import bundle_download
from ansible.module_utils.bundle_build import checksums

from .support import DAY, NOW, Pair, certified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RELEASE = "1.4.9-0123abcd"
NAME = "rustdesk-acme.zip"
ARCHIVE = b"PK" + bytes(range(256)) * 50
DIGEST = hashlib.sha256(ARCHIVE).hexdigest()
TODAY = datetime.now(tz=UTC) - NOW
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=60",
}


@dataclass
class Reply:
    """What a server answers."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Pages = dict[str, Reply]


def page(language: str) -> Reply:
    text = f'<html lang="{language}">{DIGEST}'.encode()
    return Reply(200, text, {**HEADERS, "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache"})


def sound() -> Pages:
    """What a sound site answers; {language} in a header is that of the request."""
    kind = {"Content-Type": "application/zip", "Content-Disposition": "attachment"}
    immutable = {"Cache-Control": "public, max-age=31536000, immutable"}
    return {
        "/rd/": Reply(302, b"", {"Location": "/rd/{language}/", "Vary": "Accept-Language"}),
        "/rd/de/": page("de"),
        "/rd/en/": page("en"),
        f"/rd/{NAME}": Reply(200, ARCHIVE, kind),
        f"/rd/{RELEASE}/rustdesk-acme-{RELEASE}.zip": Reply(206, ARCHIVE[:100], {**kind, **immutable}),
        "/rd/SHA256SUMS": Reply(
            200, checksums({NAME: DIGEST}, RELEASE).encode(), {"Content-Type": "text/plain; charset=utf-8"}
        ),
    }


@contextmanager
def serving(answer: Callable[[str, str], Reply], pair: Pair | None, directory: Path) -> Iterator[int]:
    """Serve on a port of this machine, with TLS where there is a certificate."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = answer(self.path, self.headers.get("Accept-Language", "")[:2])
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if pair:
        (directory / "c.pem").write_text(pair.certificate + pair.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "c.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


TRUSTED = certified("dl.example.org", start=TODAY - DAY, end=TODAY + DAY)


def proven(directory: Path, pages: Pages, *, pair: Pair = TRUSTED, trusted: Pair = TRUSTED, to: str = "") -> list[str]:
    """Serve these pages, and return the faults that are told."""

    def answer(path: str, language: str) -> Reply:
        reply = pages.get(path, Reply(404))
        headers = {name: value.replace("{language}", language) for name, value in reply.headers.items()}
        return Reply(reply.status, reply.body, headers)

    with serving(answer, pair, directory) as port:
        url = f"https://dl.example.org:{port}/rd"
        with serving(
            lambda path, _language: Reply(301, b"", {"Location": to or url[:-3] + path}), None, directory
        ) as http_port:
            site = bundle_download.Site(url, "127.0.0.1", trusted.certificate, http_port, timeout=5)
            report = bundle_download.prove(site, {NAME: DIGEST}, RELEASE)
    assert {fault.check for fault in report.faults}.isdisjoint(report.passed)
    return [fault.sentence for fault in report.faults]


def test_a_sound_site_is_proven(tmp_path: Path) -> None:
    assert proven(tmp_path, sound()) == []


def without(path: str, header: str) -> Callable[[Pages], None]:
    def plant(pages: Pages) -> None:
        del pages[path].headers[header]

    return plant


def replaced(path: str, **changes: object) -> Callable[[Pages], None]:
    def plant(pages: Pages) -> None:
        for name, value in changes.items():
            setattr(pages[path], name, value)

    return plant


PLANTED: dict[str, tuple[Callable[[Pages], object], str]] = {
    "another archive": (replaced(f"/rd/{NAME}", body=ARCHIVE + b"x"), "has the sha256"),
    "no archive": (lambda pages: pages.pop(f"/rd/{NAME}"), "answers 404 instead of 200"),
    "no ranges": (replaced(f"/rd/{RELEASE}/rustdesk-acme-{RELEASE}.zip", status=200), "answers 200 instead of 206"),
    "another part": (replaced(f"/rd/{RELEASE}/rustdesk-acme-{RELEASE}.zip", body=ARCHIVE[1:101]), "not the part"),
    "no policy": (without("/rd/de/", "Content-Security-Policy"), "content-security-policy"),
    "no HSTS": (without("/rd/en/", "Strict-Transport-Security"), "strict-transport-security"),
    "no type": (without(f"/rd/{NAME}", "Content-Type"), "content-type"),
    "one language": (replaced("/rd/", headers={"Location": "/rd/de/", "Vary": "Accept-Language"}), "asks for 'en'"),
    "no Vary": (without("/rd/", "Vary"), "vary"),
    "the other language": (lambda pages: pages.update({"/rd/en/": page("de")}), "is not in 'en'"),
    "an earlier page": (replaced("/rd/de/", body=b'<html lang="de">'), "does not show the sha256"),
    "an earlier list": (replaced("/rd/SHA256SUMS", body=b"0" * 64 + b"  rustdesk-acme.zip\n"), "SHA256SUMS says"),
    "no list": (replaced("/rd/SHA256SUMS", body=b"<html>"), "no list of digests"),
    "a listing": (lambda pages: pages.update({"/rd/assets/": Reply(200, b"Index of")}), "/rd/assets/ answers 200"),
}


@pytest.mark.parametrize(("plant", "says"), PLANTED.values(), ids=PLANTED.keys())
def test_planted_fault_is_told(tmp_path: Path, plant: Callable[[Pages], object], says: str) -> None:
    pages = sound()
    plant(pages)
    told = proven(tmp_path, pages)
    assert any(says in sentence for sentence in told), told


def test_http_that_leads_elsewhere_is_told(tmp_path: Path) -> None:
    (sentence,) = proven(tmp_path, sound(), to="https://www.example.org/")
    assert "leads to https://www.example.org/" in sentence


@pytest.mark.parametrize(
    "pair",
    [
        certified("dl.example.org", start=TODAY - 2 * DAY, end=TODAY - DAY),
        certified("www.example.org", start=TODAY - DAY, end=TODAY + DAY),
        certified("dl.example.org", start=TODAY - DAY, end=TODAY + DAY),
    ],
    ids=["expired", "another host", "not trusted"],
)
def test_a_certificate_that_browsers_refuse_is_told(tmp_path: Path, pair: Pair, request: pytest.FixtureRequest) -> None:
    trusted = TRUSTED if "trusted" in request.node.name else pair
    told = proven(tmp_path, sound(), pair=pair, trusted=trusted)
    assert any("customers' browsers will refuse it too" in sentence for sentence in told), told


def test_a_host_that_does_not_answer_is_told() -> None:
    site = bundle_download.Site("https://dl.example.org:9/rd", "127.0.0.1", TRUSTED.certificate, 9, timeout=1)
    report = bundle_download.prove(site, {NAME: DIGEST}, RELEASE)
    assert report.passed == []
    assert "does not answer" in report.faults[0].sentence
