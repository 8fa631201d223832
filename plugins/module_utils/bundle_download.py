# SPDX-License-Identifier: MIT
"""Download a published bundle as a customer does, and say what is not as it has to be.

Runs on Python 3.9+ without any dependency, wherever the download is to be proven from.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import ssl
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ansible.module_utils.bundle_build import CHECKSUMS, parse_list, versioned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LANGUAGES = ("de", "en")
PIECE = 100
"""Bytes that are asked for as a part of an archive."""

HEADERS = {
    "content-security-policy": re.compile(r"default-src 'none';(?!.*unsafe)"),
    "x-content-type-options": re.compile(r"nosniff\Z"),
    "referrer-policy": re.compile(r"no-referrer\Z"),
    "permissions-policy": re.compile(r".*camera=\(\)"),
    "cross-origin-opener-policy": re.compile(r"same-origin\Z"),
    "cross-origin-resource-policy": re.compile(r"same-origin\Z"),
}
"""What the page has to tell browsers."""

_CHUNK = 1024 * 1024
_LARGEST_TEXT = 16 * _CHUNK


@dataclass(frozen=True)
class Site:
    """Where the bundle is published.

    Attributes:
        url: the download URL.
        address: address to connect to; "" takes what the name resolves to.
        certificates: certificates that are trusted, in PEM form; "" takes the system's.
        http_port: the port that redirects.
        hsts: whether browsers are to be told to insist on TLS.
        timeout: seconds for each step of a request.
    """

    url: str
    address: str = ""
    certificates: str = ""
    http_port: int = 80
    hsts: bool = True
    timeout: float = 30.0

    @property
    def host(self) -> str:
        """Name of the site."""
        return urlsplit(self.url).hostname or ""

    @property
    def base(self) -> str:
        """Path of the site, without its last slash."""
        return urlsplit(self.url).path.rstrip("/")


@dataclass
class Answer:
    """What came back: the status, the headers by their names in small letters, and the body or its digest."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True)
class Fault:
    """What is not as it has to be, and what to do about it."""

    check: str
    sentence: str


@dataclass
class Report:
    """What was proven, by the names of the checks, and what was not."""

    passed: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def note(self, check: str, faults: list[str]) -> None:
        """Take down what came of a check."""
        self.faults += [Fault(check, sentence) for sentence in faults]
        if not faults:
            self.passed.append(check)


class Browser:
    """Requests to a site, with its certificate checked."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.context = ssl.create_default_context(cadata=site.certificates or None)

    def get(self, path: str, *, tls: bool = True, whole: bool = True, **headers: str) -> Answer:
        """Ask for a path.

        Args:
            path: what is asked for.
            tls: whether by https, else by http.
            whole: whether the body is wanted itself, and not only its digest.
            headers: headers of the request, with _ for -.

        Raises:
            OSError: there is no answer, or the certificate is not trusted.
            http.client.HTTPException: the answer is none.
        """
        port = (urlsplit(self.site.url).port or 443) if tls else self.site.http_port
        address = self.site.address or self.site.host
        connection = http.client.HTTPConnection(self.site.host, port, timeout=self.site.timeout)
        plain = socket.create_connection((address, port), timeout=self.site.timeout)
        try:
            connection.sock = self.context.wrap_socket(plain, server_hostname=self.site.host) if tls else plain
            connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            return _answer(connection.getresponse(), whole=whole)
        finally:
            connection.close()
            plain.close()


def _answer(response: http.client.HTTPResponse, *, whole: bool) -> Answer:
    answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()})
    digest = hashlib.sha256()
    kept = []
    for piece in iter(lambda: response.read(_CHUNK), b""):
        digest.update(piece)
        answer.size += len(piece)
        if whole and answer.size <= _LARGEST_TEXT:
            kept.append(piece)
    answer.body, answer.sha256 = b"".join(kept), digest.hexdigest()
    return answer


# --- Checks -------------------------------------------------------------------------------------------------------


def _status(answer: Answer, wanted: int, path: str) -> Iterator[str]:
    if answer.status != wanted:
        yield (
            f"{path} answers {answer.status} instead of {wanted}; look at nginx's error log "
            "(journalctl -u nginx, /var/log/nginx/error.log), and run the playbook again"
        )


def _header(answer: Answer, name: str, pattern: re.Pattern[str], path: str) -> Iterator[str]:
    if not pattern.match(answer.headers.get(name, "")):
        yield (
            f"{path} has the header {name} '{answer.headers.get(name, '')}'; something between here and nginx "
            "changes it, "
            "or another site of nginx answers: compare with a request on the host itself"
        )


def redirected(browser: Browser) -> Iterator[str]:
    """Say what is wrong with the way from http to https."""
    site = browser.site
    answer = browser.get(f"{site.base}/", tls=False, Host=site.host)
    port = urlsplit(site.url).port
    wanted = f"https://{site.host}{f':{port}' if port not in (None, 443) else ''}{site.base}/"
    yield from _status(answer, 301, f"http://{site.host}{site.base}/")
    if answer.status == 301 and answer.headers.get("location") != wanted:
        yield f"http://{site.host} leads to {answer.headers.get('location')} and not to {wanted}; another site answers"


def page(browser: Browser, language: str, digests: list[str]) -> Iterator[str]:
    """Say what is wrong with the page in a language."""
    base = browser.site.base
    choice = browser.get(f"{base}/", Accept_Language=f"{language},x-other;q=0.5")
    yield from _status(choice, 302, f"{base}/")
    if choice.status == 302 and choice.headers.get("location") != f"{base}/{language}/":
        yield (
            f"{base}/ leads a browser that asks for '{language}' to {choice.headers.get('location')}; a cache or "
            "another "
            "site answers"
        )
    yield from _header(choice, "vary", re.compile(r".*Accept-Language", re.IGNORECASE), f"{base}/")
    path = f"{base}/{language}/"
    answer = browser.get(path)
    yield from _status(answer, 200, path)
    if answer.status != 200:
        return
    text = answer.body.decode("utf-8", errors="replace")
    if not re.search(rf"<html[^>]*\blang=[\"']?{language}\b", text):
        yield f"{path} is not in '{language}'; another site or a cache answers"
    for digest in digests:
        if digest not in text:
            yield f"{path} does not show the sha256 {digest}; a cache has an earlier page, empty it"
    wanted = HEADERS | {
        "cache-control": re.compile(r"no-cache\Z"),
        "content-type": re.compile(r"text/html; charset=utf-8\Z"),
    }
    if browser.site.hsts:
        wanted["strict-transport-security"] = re.compile(r"max-age=[1-9]")
    for name, pattern in wanted.items():
        yield from _header(answer, name, pattern, path)


def archive(browser: Browser, name: str, sha256: str, release: str) -> Iterator[str]:
    """Say what is wrong with the download of an archive, whole and in part."""
    path = f"{browser.site.base}/{name}"
    answer = browser.get(path, whole=False)
    yield from _status(answer, 200, path)
    if answer.status == 200 and answer.sha256 != sha256:
        yield (
            f"{path} has the sha256 {answer.sha256} and not {sha256}; a cache or a filter on the way has changed it, "
            "or has an earlier one: fetch it on the host itself to see which"
        )
    yield from _header(answer, "content-type", re.compile(r"application/zip\Z"), path)
    yield from _header(answer, "content-disposition", re.compile(r"attachment\Z"), path)
    own = f"{browser.site.base}/{release}/{versioned(name, release)}"
    part = browser.get(own, Range=f"bytes=0-{PIECE - 1}")
    yield from _status(part, 206, f"a part of {own}")
    if part.status == 206 and (part.size, part.body[:2]) != (PIECE, b"PK"):
        yield f"a part of {own} is not the part that was asked for; something on the way does not know ranges"
    yield from _header(part, "cache-control", re.compile(r".*immutable"), own)


def checksums(browser: Browser, digests: Mapping[str, str]) -> Iterator[str]:
    """Say what is wrong with the list of digests."""
    path = f"{browser.site.base}/{CHECKSUMS}"
    answer = browser.get(path)
    yield from _status(answer, 200, path)
    if answer.status != 200:
        return
    yield from _header(answer, "content-type", re.compile(r"text/plain; charset=utf-8\Z"), path)
    try:
        told = parse_list(answer.body.decode())
    except ValueError:
        yield f"{path} is no list of digests; another site answers"
        return
    for name, digest in digests.items():
        if told.get(name) != digest:
            yield f"{path} says {told.get(name, 'nothing')} of {name} and not {digest}; a cache has an earlier one"


def closed(browser: Browser) -> Iterator[str]:
    """Say what can be seen that is nobody's business."""
    for path in (f"{browser.site.base}/assets/", f"{browser.site.base}/MANIFEST", f"{browser.site.base}/releases/"):
        answer = browser.get(path)
        if answer.status not in (403, 404):
            yield (
                f"{path} answers {answer.status}; nothing but the page and the archives is to be seen, so another "
                "site answers"
            )


def prove(site: Site, digests: Mapping[str, str], release: str) -> Report:
    """Download everything a customer meets, and say what is wrong with it.

    Args:
        site: where it is published.
        digests: the sha256 of each archive, by its name.
        release: the release that has to be served.
    """
    browser = Browser(site)
    report = Report()
    checks: dict[str, Callable[[], Iterator[str]]] = {"redirect": partial(redirected, browser)}
    checks |= {f"page {name}": partial(page, browser, name, list(digests.values())) for name in LANGUAGES}
    checks["checksums"] = partial(checksums, browser, digests)
    checks |= {name: partial(archive, browser, name, digest, release) for name, digest in digests.items()}
    checks["closed"] = partial(closed, browser)
    for name, check in checks.items():
        report.note(name, _told(site, check))
    return report


def _told(site: Site, check: Callable[[], Iterator[str]]) -> list[str]:
    """Return what a check finds, or why it got no answer."""
    try:
        return list(check())
    except ssl.SSLCertVerificationError as error:
        return [_untrusted(site, error)]
    except (OSError, http.client.HTTPException) as error:
        return [_unreachable(site, error)]


def _untrusted(site: Site, error: ssl.SSLCertVerificationError) -> str:
    return (
        f"the certificate of {site.host} is refused ({error.verify_message}); customers' browsers will refuse it too, "
        "so give nginx one for this name, with its chain"
    )


def _unreachable(site: Site, error: Exception) -> str:
    where = site.address or site.host
    return (
        f"{where} does not answer ({str(error) or type(error).__name__}); look whether the name leads to the host and "
        "whether a "
        "firewall closes its ports"
    )
