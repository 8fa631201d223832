# SPDX-License-Identifier: MIT
"""What is baked into the launchers, and what is wrong with it: one sentence for each fault."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .config_string import ConfigStringError, encode
from .ed25519 import KeyFormatError, parse_public
from .probe_terms import ProbeArgumentError, Target, address_of
from .windows_resources import MACHINES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HOST_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# The last label of a name is never a number (RFC 1123 section 2.1), so a mistyped address is not taken for a name.
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)({_HOST_LABEL}\.)*(?![0-9]+\.?\Z){_HOST_LABEL}\.?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}([-+][0-9A-Za-z.-]{1,40})?")
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}\.exe")
_SERVER = ("host", "relay", "proven_relay", "api", "key")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

CLIENT_PROGRAM = "rustdesk.exe"


def faults(arguments: Mapping[str, Any]) -> list[str]:
    """Return every fault of the module's arguments that shows without a look at files."""
    return [*_site(arguments["site"]), *_client(arguments["client"]), *_programs(arguments)]


def _site(site: Mapping[str, Any]) -> Iterator[str]:
    for name in ("company", *_SERVER, "download_url", "email", "phone"):
        if _CONTROL.search(str(site[name] or "")):
            yield f"site.{name}: holds a line break or another control character; take it out"
    for name in ("company", "host", "key"):
        if not str(site[name] or "").strip():
            yield f"site.{name}: is empty; give it, the launchers are built for it"
    yield from _server(site)
    for name in ("api", "download_url"):
        given = str(site[name] or "")
        if given and not _is_url(given):
            yield f"site.{name}: '{_without_password(given)}' is not an http or https address; correct or empty it"


def _server(site: Mapping[str, Any]) -> Iterator[str]:
    host = str(site["host"] or "").strip()
    if host:
        try:
            hosts = {"host": Target.parse(host, site["port"], f"relay.invalid:{site['relay_port']}").host}
            hosts |= {
                name: Target.parse(host, site["port"], site[name]).relay_host
                for name in ("relay", "proven_relay")
                if site[name]
            }
        except ProbeArgumentError as error:
            yield f"site: {error}"
        else:
            for name, value in hosts.items():
                if address_of(value) is None and not _HOST_NAME.fullmatch(value):
                    yield f"site.{name}: '{value}' is neither a host name nor an address; correct it"
    if str(site["key"] or "").strip():
        try:
            parse_public(str(site["key"]))
        except KeyFormatError as error:
            yield f"site.key: is not the content of id_ed25519.pub: {error}"
    try:
        encode({"host": "host", "api": site["api"]})
    except ConfigStringError as error:
        yield f"site.{error}; correct it"


def _client(client: Mapping[str, Any]) -> Iterator[str]:
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+(-[0-9]+)?", str(client["version"])):
        yield f"client.version: '{client['version']}' is not a version of RustDesk; write it as 1.4.9"
    if not _SHA256.fullmatch(str(client["sha256"]).lower()):
        yield "client.sha256: is not a sha256, which has 64 hexadecimal digits; give that of rustdesk.exe"


def _programs(arguments: Mapping[str, Any]) -> Iterator[str]:
    for name in ("launcher_name", "reset_name"):
        if not _PROGRAM.fullmatch(str(arguments[name])):
            yield f"{name}: '{arguments[name]}' is not a plain file name that ends in .exe; correct it"
    names = [str(arguments["launcher_name"]).lower(), str(arguments["reset_name"]).lower(), CLIENT_PROGRAM]
    if len(set(names)) < len(names):
        yield f"launcher_name: the programs need different names, and none may be {CLIENT_PROGRAM}"
    if not _VERSION.fullmatch(str(arguments["version"])):
        yield f"version: '{arguments['version']}' is not a version; write it as 1.2.3"
    if not arguments["architectures"]:
        yield f"architectures: is empty; name some of {', '.join(MACHINES)}"
    sign = arguments["sign"] or {}
    if bool(sign.get("certificate")) != bool(sign.get("key")):
        yield "sign: needs both a certificate and its key; give both, or neither to build unsigned programs"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"[\s\"'<>]", text)
    except ValueError:
        return False


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//", text)


def site_file(arguments: Mapping[str, Any]) -> str:
    """Return site.json as internal/site reads it."""
    site = arguments["site"]
    texts = {name: str(site[name] or "").strip() for name in ("company", *_SERVER)}
    target = Target.parse(texts["host"], site["port"])
    content = {
        **texts,
        "host": target.host,
        **{name: str(site[name] or "").strip() for name in ("download_url", "email", "phone")},
        "port": site["port"],
        "relay_port": site["relay_port"],
        "client": {
            "version": str(arguments["client"]["version"]),
            "sha256": str(arguments["client"]["sha256"]).lower(),
        },
        "version": str(arguments["version"]),
        "launcher_name": str(arguments["launcher_name"]),
        "reset_name": str(arguments["reset_name"]),
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def version_strings(arguments: Mapping[str, Any], name: str, purpose: str) -> dict[str, str]:
    """Return what Explorer shows of a program."""
    company = str(arguments["site"]["company"]).strip()
    return {
        "CompanyName": company,
        "FileDescription": f"{purpose} ({company})",
        "FileVersion": str(arguments["version"]),
        "InternalName": name.rsplit(".", 1)[0],
        "LegalCopyright": "MIT License",
        "OriginalFilename": name,
        "ProductName": f"RustDesk {company}",
        "ProductVersion": str(arguments["version"]),
    }
