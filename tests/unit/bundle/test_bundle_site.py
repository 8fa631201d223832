"""What the role tells nginx."""

from __future__ import annotations

import re
import time
from functools import cache
from typing import Any

import pytest
import yaml

from .support import ROLE, evaluated, rendered

HOST: dict[str, Any] = {"ipv6": True}


def site(**variables: Any) -> str:
    """Return the site's file."""
    return rendered("nginx/site.conf.j2", **{"__rustdesk_bundle_host": HOST, **variables})


def mapped(text: str, variable: str, value: str) -> str:
    """Return what one of the site's maps makes of a value, by Python's regular expressions, which are nginx's here."""
    (body,) = re.findall(rf"map [^{{]+ \${variable} {{\n(.*?)\n}}", text, re.DOTALL)
    entries = re.findall(r'^ +(?:"([^"]*)"|(\S+)) +"?([^";]*)"?;$', body, re.MULTILINE)
    default = ""
    for quoted, bare, result in entries:
        if bare == "default":
            default = result
        elif quoted.startswith("~"):
            flags = re.IGNORECASE if quoted.startswith("~*") else 0
            if re.search(quoted.removeprefix("~").removeprefix("*"), value, flags):
                return str(result)
        elif quoted == value:
            return str(result)
    return str(default)


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("de", "de"),
        ("EN", "en"),
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr,en;q=0.8,de;q=0.3", "en"),
        ("fr-FR, de;q=0.8, en;q=0.3", "de"),
        ("fr-FR,  en;q=0.8, de;q=0.3", "en"),
        ("den, enm, en", "en"),
        ("fr", "de"),
        ("", "de"),
    ],
)
def test_the_first_language_that_there_is(asked: str, language: str) -> None:
    assert mapped(site(), "rustdesk_bundle_language", asked) == language


@cache
def plain_site() -> str:
    """Return the site's file, without anything in particular."""
    return site()


@pytest.mark.parametrize("method", ["none", "minisign", "gpg"])
def test_every_signature_is_served(method: str) -> None:
    files = evaluated("{{ __rustdesk_bundle_signature_files }}", rustdesk_bundle_signature=method)
    assert len(files) == {"none": 0, "minisign": 1, "gpg": 2}[method]
    patterns = re.findall(r'location ~ "(\^/rd/\(\?<rustdesk_bundle_file>SHA256SUMS[^"]*)"', plain_site())
    assert len(patterns) == 1
    for file in ["SHA256SUMS", *files]:
        assert re.search(patterns[0].replace("?<", "?P<"), f"/rd/{file}")


@pytest.mark.parametrize("suffix", ["", "-arm64"])
@pytest.mark.parametrize("text", ["README", "LIESMICH"])
def test_an_archive_says_how_it_is_verified(text: str, suffix: str) -> None:
    own: dict[str, Any] = {
        "rustdesk_bundle_contact": {"company": "Acme"},
        "rustdesk_bundle_name": "rustdesk-acme",
        "__rustdesk_bundle_client": {"suffix": suffix},
    }
    assert f"certutil -hashfile rustdesk-acme{suffix}.zip SHA256" in rendered(f"archive/{text}.txt.j2", **own)


@pytest.mark.parametrize(
    ("text", "words"), [("README", "the ID and the one-time password"), ("LIESMICH", "ID und das Einmalpasswort")]
)
def test_an_archive_says_what_the_helper_needs(text: str, words: str) -> None:
    own = {"rustdesk_bundle_contact": {"company": "Acme"}, "__rustdesk_bundle_client": {"suffix": ""}}
    assert words in rendered(f"archive/{text}.txt.j2", **own)


def cached(path: str) -> str:
    """Return how long browsers keep what is under a path."""
    return mapped(plain_site(), "rustdesk_bundle_cache", path)


@pytest.mark.parametrize(
    ("path", "for_good"),
    [
        ("/rd/assets/page.0123456789ab.css", True),
        ("/rd/assets/page.css", False),
        ("/rd/de/", False),
        ("/rd/SHA256SUMS", False),
        ("/rd/rustdesk-acme.zip", False),
        ("/rd/1.4.9-0123abcd/rustdesk-acme-1.4.9-0123abcd.zip", True),
    ],
)
def test_what_browsers_keep(path: str, for_good: bool) -> None:
    assert ("immutable" in cached(path)) is for_good


@pytest.mark.parametrize("piece", [", ", ",", " ", "a, ", "de-", "\t,"])
def test_no_header_keeps_nginx_busy(piece: str) -> None:
    text = site()
    started = time.process_time()
    mapped(text, "rustdesk_bundle_language", piece * 10_000)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("url", "http_port", "seconds", "sent"),
    [
        ("https://dl.example.org/rd", 80, 31536000, True),
        ("https://dl.example.org:443/rd", 80, "60", True),
        ("https://dl.example.org/rd", 80, 0, False),
        ("https://dl.example.org:8443/rd", 80, 60, False),
        ("https://dl.example.org/rd", 8080, 60, False),
    ],
)
def test_where_browsers_are_told_to_insist_on_tls(url: str, http_port: int, seconds: object, sent: bool) -> None:
    """They would for every port, so also for one that answers http alone."""
    own = {
        "rustdesk_bundle_download_url": url,
        "rustdesk_bundle_http_port": http_port,
        "rustdesk_bundle_hsts_seconds": seconds,
    }
    assert ("Strict-Transport-Security" in site(**own)) is sent
    (check,) = yaml.safe_load((ROLE / "tasks" / "verify.yml").read_text("utf-8"))
    assert evaluated(check["rustdesk_bundle_check"]["hsts"], **own) is sent


# --- Without IPv6 -------------------------------------------------------------------------------------------------

DEFAULT = "/etc/nginx/sites-enabled/default"


@pytest.mark.parametrize(
    ("facts", "disabled"),
    [
        ({"installed": [], "noted": []}, True),
        ({"installed": [], "noted": [], "ipv6": True}, False),
        # A run was interrupted behind the installation.
        ({"installed": ["nginx"], "noted": ["nginx"], "stock_site": True}, True),
        ({"installed": ["nginx"], "noted": ["nginx"]}, False),
        ({"installed": ["nginx"], "noted": [], "stock_site": True}, False),
        ({"installed": [], "noted": [], "other_sites": [DEFAULT]}, False),
    ],
)
def test_the_stock_site_is_disabled_where_nginx_could_not_start(facts: dict[str, Any], disabled: bool) -> None:
    host = {"ipv6": False, "stock_site": False, "other_sites": [], **facts}
    own: dict[str, Any] = {"__rustdesk_bundle_host": host, "rustdesk_bundle_tls": "given"}
    *_others, apt, disable = yaml.safe_load((ROLE / "tasks" / "install.yml").read_text("utf-8"))
    assert evaluated(f"{{{{ {disable['when']} }}}}", **own) is disabled
    assert disable["ansible.builtin.file"] == {"path": DEFAULT, "state": "absent"}
    policy = evaluated(apt["ansible.builtin.apt"]["policy_rc_d"], omit="started", **own)
    assert policy == ("started" if host["ipv6"] else 101)
    assert ("[::]" in site(**own)) is host["ipv6"]


# --- Before the certificate ---------------------------------------------------------------------------------------


def test_the_authority_is_answered_before_it_is_asked() -> None:
    """Whatever an earlier run has left: nginx reads its files, and runs, before certbot does."""
    site_task, service, request = yaml.safe_load((ROLE / "tasks" / "configure_acme_request.yml").read_text("utf-8"))
    assert service["ansible.builtin.include_tasks"] == "service.yml"
    assert "ansible.builtin.command" in request["block"][0]
    for answers in (True, False):
        host = {**HOST, "site": {"answers": answers}, "certificate": {"pem": "", "fault": ""}}
        assert evaluated(f"{{{{ {site_task['when']} }}}}", __rustdesk_bundle_host=host) is not answers


@pytest.mark.parametrize(
    ("pem", "fault", "tls"), [("", "there is no file", False), ("x", "not the key", False), ("x", "", True)]
)
def test_what_was_served_with_tls_is_so_while_a_certificate_is_asked_for(pem: str, fault: str, tls: bool) -> None:
    site_task, *_rest = yaml.safe_load((ROLE / "tasks" / "configure_acme_request.yml").read_text("utf-8"))
    host = {**HOST, "certificate": {"pem": pem, "fault": fault}}
    with_tls = evaluated(site_task["vars"]["__rustdesk_bundle_with_tls"], __rustdesk_bundle_host=host)
    text = site(__rustdesk_bundle_host=host, __rustdesk_bundle_with_tls=with_tls)
    assert ("ssl_certificate" in text) is tls
    assert "acme-challenge" in text
