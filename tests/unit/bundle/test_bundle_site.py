"""What the role tells nginx."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from .support import rendered

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


@pytest.mark.parametrize("piece", [", ", ",", " ", "a, ", "de-", "\t,"])
def test_no_header_keeps_nginx_busy(piece: str) -> None:
    text = site()
    started = time.process_time()
    mapped(text, "rustdesk_bundle_language", piece * 10_000)
    assert time.process_time() - started < 1
