# SPDX-License-Identifier: MIT
"""What is wrong with the inputs of the role rustdesk_bundle: one sentence for each fault.

Runs on the controller. A sentence names the variable, what is wrong with its value and the way out, and never repeats a
secret. Types and misspelt names are checked before, see `role_inputs`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.bundle_certificates import chain_faults
from ansible.module_utils.bundle_programs import program_fault
from ansible.module_utils.bundle_release import RELEASE
from ansible.module_utils.ed25519 import KeyFormatError, is_private, parse_public
from ansible.module_utils.probe_terms import ProbeArgumentError, Target
from ansible.module_utils.release import sha256_of

PREFIX = "rustdesk_bundle_"

STATE_FILE_NAMES = ("rustdesk", "rustdesk-reset")
"""Names that the other programs of the bundle have."""

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)({_LABEL}\.)+(?![0-9]+\Z){_LABEL}")
_HOST = re.compile(rf"(?=.{{1,253}}\Z)({_LABEL}\.)*{_LABEL}|[0-9A-Fa-f:.]+")
_URL_PATH = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._~-]*)*/?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VERSION = re.compile(r"[0-9]{1,5}(\.[0-9]{1,5}){0,3}")
_CLIENT_VERSION = re.compile(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_DIRECTORY = re.compile(r"/[A-Za-z0-9._@/-]+")
_SHARED = re.compile(
    r"/|/(bin|boot|dev|etc|home|lib[^/]*|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)(/(www|lib|local|log))?/?"
)
_MAIL = re.compile(r"[^@\s'\"`$\\]+@[^@\s'\"`$\\]+\.[A-Za-z0-9-]+")
_LOGIN = re.compile(r"(?<=://)[^/]*@")
"""Who logs in at an address."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

SIGNING_FILES = ("authenticode_certificate", "authenticode_key", "signature_key_file")
"""Variables that name what signs."""
_VAULTED = b"$ANSIBLE_VAULT"

Inputs = Mapping[str, Any]
"""The role's variables without their prefix, and what belongs to them:

* `paths`: where the files that variables name were found on the controller, by variable; "" for one that was not
* `texts_of`: what those of the certificate hold, decrypted
* `packages`: the pinned clients, version: kind: `{"file": …, "sha256": …}`
* `publishes`: whether a host is met, or it is only built
* `inventory_hosts`: the names of all hosts
* `now`: seconds since 1970
"""


def faults(inputs: Inputs) -> list[str]:
    """Return every fault that the variables show by themselves."""
    found = [*_download_url(inputs), *_root(inputs)]
    if inputs["state"] == "present":
        builds = not inputs["release"]
        checks = (
            *((_site, _names, _clients, _tools, _authenticode, _signature) if builds else ()),
            *((_release, _ports, _certificate, _verification) if inputs["publishes"] else ()),
        )
        found += [fault for check in checks for fault in check(inputs)]
    return found


def host_faults(inputs: Inputs, host: Mapping[str, Any]) -> list[str]:
    """Return every fault that shows when the variables meet the host.

    Args:
        inputs: as in `faults`, without a fault by themselves.
        host: what the module rustdesk_bundle_info returned.
    """
    if inputs["state"] == "absent":
        return []
    checks = (_system_faults, _room_faults, _web_server_faults, _release_faults, _remote_certificate_faults)
    return [fault for check in checks for fault in check(inputs, host)]


def _name(variable: str) -> str:
    return PREFIX + variable


# --- The site -----------------------------------------------------------------------------------------------------


def server_name(inputs: Inputs) -> str:
    """Return the host of the download URL; "" when it has none."""
    try:
        return urlsplit(str(inputs["download_url"])).hostname or ""
    except ValueError:
        return ""


def https_port(inputs: Inputs) -> int:
    """Return the port of the download URL; 0 for one that is none."""
    try:
        return urlsplit(str(inputs["download_url"])).port or 443
    except ValueError:
        return 0


def _download_url(inputs: Inputs) -> Iterator[str]:
    text = str(inputs["download_url"])
    if not text:
        yield (
            f"{_name('download_url')}: is empty, so there is no place to publish at; give an address such as "
            "https://dl.example.org/rd"
        )
        return
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        yield f"{_name('download_url')}: '{text}' has a port that is none; give 1 to 65535, or none for 443"
        return
    if url.scheme != "https":
        yield (
            f"{_name('download_url')}: '{text}' does not begin with https://, and nothing is published without TLS; "
            "correct it"
        )
    if url.username or url.password or url.query or url.fragment:
        yield f"{_name('download_url')}: has more than a host, a port and a path; remove users, ? and #"
    if port == 0:
        yield f"{_name('download_url')}: '{text}' has the port 0; give 1 to 65535, or none for 443"
    if url.hostname and not _HOST_NAME.fullmatch(url.hostname):
        yield (
            f"{_name('download_url')}: '{url.hostname}' is not the full name of a host; give one such as dl.example.org"
        )
    if not url.hostname:
        yield f"{_name('download_url')}: '{text}' names no host; give an address such as https://dl.example.org/rd"
    if not _URL_PATH.fullmatch(url.path):
        yield (
            f"{_name('download_url')}: the path '{url.path}' cannot be a site's; give letters, digits, '.', '_', "
            "'~' and '-' "
            "between single slashes, such as /rd"
        )


def _site(inputs: Inputs) -> Iterator[str]:
    host, key = str(inputs["host"]), str(inputs["key"])
    if not _HOST.fullmatch(host):
        yield (
            f"{_name('host')}: '{host}' is not a host, and launchers without one configure nothing; give the ID "
            "server's name"
        )
    if not key:
        yield (
            f"{_name('key')}: is empty, so clients would connect without encryption; give the content of id_ed25519.pub"
        )
    elif is_private(key):
        yield f"{_name('key')}: is a private key, which must never be published; give the content of id_ed25519.pub"
    else:
        try:
            parse_public(key)
        except KeyFormatError as error:
            yield f"{_name('key')}: {error}"
    for variable in ("port", "relay_port"):
        if not 3 <= int(inputs[variable]) <= 65533:
            yield f"{_name(variable)}: {inputs[variable]} cannot be used; give 3 to 65533"
    yield from _relays(inputs)
    api = str(inputs["api"])
    if api and not _is_url(api):
        yield f"{_name('api')}: '{api}' is not an http or https address; correct or empty it"
    if not inputs["ports"]:
        yield (
            f"{_name('ports')}: is empty, so the page could not say what has to be open; give rustdesk_ports in the "
            "site's variables"
        )
    yield from _contact(inputs)
    if not re.fullmatch(r"([A-Z]{2})?", str(inputs["country"])):
        yield f"{_name('country')}: '{inputs['country']}' is not a country; give two capital letters, such as DE"


def _relays(inputs: Inputs) -> Iterator[str]:
    for number, relay in enumerate(map(str, inputs["relays"]), start=1):
        if not _is_relay(relay):
            yield f"{_name('relays')}: entry {number}, '{relay}', is not a host or host:port; correct it"
    relay = str(inputs["relay_server"])
    if relay and not _is_relay(relay):
        yield f"{_name('relay_server')}: '{relay}' is not a host or host:port; correct or empty it"


def _is_relay(text: str) -> bool:
    try:
        Target.parse("relay.invalid", relay=text)
    except ProbeArgumentError:
        return False
    return True


def _contact(inputs: Inputs) -> Iterator[str]:
    contact = inputs["contact"]
    unknown = sorted(map(str, set(contact) - {"company", "email", "phone", "portal"}))
    if unknown:
        yield (
            f"{_name('contact')}: has {', '.join(unknown)}, which means nothing; give company, email, phone and portal"
        )
    for part in ("company", "email", "phone", "portal"):
        value = contact.get(part, "")
        if not isinstance(value, str) or _CONTROL.search(value) or len(value) > 200:
            yield f"{_name('contact')}: {part} is no text on one line; correct it"
    if not contact.get("company"):
        yield f"{_name('contact')}: has no company, and customers have to see whose bundle it is; give its name"
    if not contact.get("email") and not contact.get("phone"):
        yield f"{_name('contact')}: has neither email nor phone, so nobody could be asked for help; give one"


def _names(inputs: Inputs) -> Iterator[str]:
    name = str(inputs["name"])
    if not _NAME.fullmatch(name):
        yield (
            f"{_name('name')}: '{name}' cannot name a program and an archive; give letters, digits, '-' and '_', "
            "without .exe"
        )
    elif name.lower() in STATE_FILE_NAMES:
        yield f"{_name('name')}: '{name}' is the name of another program of the bundle; give one such as rustdesk-acme"
    if not _VERSION.fullmatch(str(inputs["launcher_version"])):
        yield (
            f"{_name('launcher_version')}: '{inputs['launcher_version']}' is not a version; give up to four numbers, "
            "such as 1.0.0"
        )
    directory = str(inputs["build_directory"])
    if not Path(directory).is_absolute():
        yield (
            f"{_name('build_directory')}: '{directory}' is relative, so it depends on where Ansible was started; "
            "give a whole path"
        )


# --- The stock client ---------------------------------------------------------------------------------------------


def clients(inputs: Inputs) -> list[dict[str, str]]:
    """Return the clients that go into archives: where each comes from, and what its digest has to be.

    Who logs in there is left out: what is returned is shown.
    """
    version = str(inputs["client_version"])
    pin = inputs["packages"].get(version, {}).get("exe", {})
    wanted = [("amd64", "x86_64", "", str(inputs["client_sha256"] or pin.get("sha256", "")), "client")]
    if inputs["client_arm64_sha256"]:
        wanted.append(("arm64", "aarch64", "-arm64", str(inputs["client_arm64_sha256"]), "client_arm64"))
    found = []
    for architecture, machine, suffix, digest, variable in wanted:
        given = str(inputs[f"{variable}_file"])
        file = f"rustdesk-{version}-{machine}.exe"
        own_url = str(inputs["client_url"]) if variable == "client" else ""
        url = "" if given else own_url or f"{str(inputs['client_mirror']).rstrip('/')}/{version}/{file}"
        found.append(
            {
                "architecture": architecture,
                "suffix": suffix,
                "sha256": digest.lower(),
                "path": inputs["paths"][f"{variable}_file"] if given else f"{inputs['build_directory']}/work/{file}",
                "url": _LOGIN.sub("", url),
                "variable": _name(f"{variable}_file" if given else "client_url" if own_url else "client_mirror"),
            }
        )
    return found


def _clients(inputs: Inputs) -> Iterator[str]:
    version = str(inputs["client_version"])
    if not _CLIENT_VERSION.fullmatch(version):
        yield (
            f"{_name('client_version')}: '{version}' is not a version of RustDesk; give one such as "
            f"{max(inputs['packages'])}"
        )
    elif version not in inputs["packages"] and not inputs["client_sha256"]:
        yield (
            f"{_name('client_sha256')}: is needed, because there is no pin for version {version} "
            f"(there are {', '.join(sorted(inputs['packages']))}); give the sha256 of its x86_64.exe"
        )
    for variable in ("client_sha256", "client_arm64_sha256"):
        digest = str(inputs[variable])
        if digest and not _SHA256.fullmatch(digest):
            yield (
                f"{_name(variable)}: has {len(digest)} characters and is not a sha256; give the 64 hexadecimal "
                "digits that "
                "sha256sum prints"
            )
    if inputs["client_url"] and inputs["client_file"]:
        yield f"{_name('client_url')} and {_name('client_file')}: name different sources of the client; keep one"
    for variable in ("client_mirror", "client_url"):
        value = str(inputs[variable])
        if value and not _is_url(value):
            yield f"{_name(variable)}: '{_without_password(value)}' is not an http or https address; correct it"
    if not inputs["client_mirror"] and not inputs["client_url"] and not inputs["client_file"]:
        yield (
            f"{_name('client_mirror')}: is empty, and no other source is named; remove the variable to take upstream's"
        )
    if inputs["client_arm64_file"] and not inputs["client_arm64_sha256"]:
        yield f"{_name('client_arm64_file')}: is not used without {_name('client_arm64_sha256')}; give its sha256 too"
    if int(inputs["client_timeout"]) < 1:
        yield f"{_name('client_timeout')}: {inputs['client_timeout']} is not a time; give seconds, 1 or more"
    yield from _given_clients(inputs)


def _given_clients(inputs: Inputs) -> Iterator[str]:
    for client in clients(inputs):
        if client["url"] or not _SHA256.fullmatch(client["sha256"]):
            continue
        given = inputs[client["variable"].removeprefix(PREFIX)]
        path = Path(client["path"])
        if not client["path"] or not _readable(client["path"]):
            yield f"{client['variable']}: there is no file {given} that can be read on the controller; correct the path"
            continue
        fault = program_fault(path, client["architecture"])
        if fault:
            yield f"{client['variable']}: {given} {fault}"
        found = sha256_of(path)
        if found != client["sha256"]:
            yield (
                f"{client['variable']}: {given} has the sha256 {found}, but {client['sha256']} is pinned; get it "
                "anew, and "
                f"do not give this one to customers (another version or build needs {_name('client_version')} "
                "and its digest)"
            )


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and not re.search(r"\s", text)
    except ValueError:
        return False


def _without_password(text: str) -> str:
    return _LOGIN.sub("…@", text)


def _readable(path: str) -> bool:
    return bool(path) and Path(path).is_file() and os.access(path, os.R_OK)


# --- What builds --------------------------------------------------------------------------------------------------


def found_program(given: str, name: str) -> str:
    """Return where a program is: as it was given, else beside Ansible's Python, else in the PATH; "" when nowhere."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(given) or "" if given else shutil.which(name, path=beside) or shutil.which(name) or ""


def has_package(name: str) -> bool:
    """Tell whether Ansible's Python has a package."""
    return importlib.util.find_spec(name) is not None


def _tools(inputs: Inputs) -> Iterator[str]:
    given = str(inputs["go"])
    if not found_program(given, "go"):
        what = (
            f"there is no program {given} on the controller"
            if given
            else "there is no go beside Ansible's Python or in the PATH"
        )
        yield f"{_name('go')}: {what}; install the tools of requirements.txt, or name the program"
    if not has_package("segno"):
        yield (
            f"{PREFIX.rstrip('_')}: the controller's Python has no segno, which draws the page's QR code; "
            "install it there, such as by pip install segno"
        )
    if not Path(str(inputs["launcher_source"])).is_dir():
        yield (
            f"{_name('launcher_source')}: there is no directory {inputs['launcher_source']} on the controller; "
            "give the one of "
            "the launchers' source"
        )


def _authenticode(inputs: Inputs) -> Iterator[str]:
    given = {name: str(inputs[f"authenticode_{name}"]) for name in ("certificate", "key")}
    if bool(given["certificate"]) != bool(given["key"]):
        lacking = "key" if given["certificate"] else "certificate"
        yield (
            f"{_name(f'authenticode_{lacking}')}: is empty, and a signature needs both certificate and key; give "
            "both or none"
        )
    for name, value in given.items():
        if value:
            yield from _signing_file(inputs, f"authenticode_{name}")
    if any(given.values()) and not found_program("", "osslsigncode"):
        yield (
            f"{_name('authenticode_certificate')}: osslsigncode is not installed on the controller; install it, or "
            "sign nothing"
        )
    stamp = str(inputs["authenticode_timestamp_url"])
    if stamp and not _is_url(stamp):
        yield f"{_name('authenticode_timestamp_url')}: '{stamp}' is not an http or https address; correct or empty it"


def _signing_file(inputs: Inputs, variable: str) -> Iterator[str]:
    path = str(inputs["paths"][variable])
    if not _readable(path):
        yield (
            f"{_name(variable)}: there is no file {inputs[variable]} that can be read on the controller; "
            "correct the path"
        )
        return
    with Path(path).open("rb") as stream:
        vaulted = stream.read(len(_VAULTED)) == _VAULTED
    if vaulted:
        yield (
            f"{_name(variable)}: {inputs[variable]} is vaulted, and the program that signs cannot read that; decrypt "
            "it (ansible-vault decrypt) and protect it with a password, which may be vaulted"
        )


def _signature(inputs: Inputs) -> Iterator[str]:
    method, key = str(inputs["signature"]), str(inputs["signature_key_file"])
    if method == "none":
        if key:
            yield (
                f"{_name('signature_key_file')}: is not used while {_name('signature')} is none; say what signs, or "
                "remove it"
            )
        return
    if not found_program("", method):
        yield f"{_name('signature')}: {method} is not installed on the controller; install it, or sign nothing"
    if not key:
        yield f"{_name('signature_key_file')}: is empty, and {method} signs with a key; give its file on the controller"
    else:
        yield from _signing_file(inputs, "signature_key_file")
    if not inputs["signature_public_key"]:
        yield (
            f"{_name('signature_public_key')}: is empty, so customers could not check the signature; give the "
            "public key of "
            "minisign, or the fingerprint of gpg's"
        )


# --- The host -----------------------------------------------------------------------------------------------------


def _root(inputs: Inputs) -> Iterator[str]:
    root = str(inputs["root"])
    if not _DIRECTORY.fullmatch(root) or "//" in root or {".", ".."} & set(root.split("/")):
        yield (
            f"{_name('root')}: '{root}' cannot be a web root; give a whole path of letters, digits, '.', '_', '@' "
            "and '-'"
        )
    elif _SHARED.fullmatch(root):
        yield (
            f"{_name('root')}: {root} holds what is not the role's; give a directory of its own, such as "
            "/srv/rustdesk-bundle"
        )


def _release(inputs: Inputs) -> Iterator[str]:
    release = str(inputs["release"])
    if release and not RELEASE.match(release):
        yield (
            f"{_name('release')}: '{release}' is not the name of a release; give one such as 1.4.9-0f3a9c21, or "
            "leave it empty"
        )
    if int(inputs["keep_releases"]) < 1:
        yield f"{_name('keep_releases')}: {inputs['keep_releases']} would remove what is served; give 1 or more"
    if int(inputs["hsts_seconds"]) < 0:
        yield f"{_name('hsts_seconds')}: {inputs['hsts_seconds']} is not a time; give 0 or more"


def _ports(inputs: Inputs) -> Iterator[str]:
    http = int(inputs["http_port"])
    if not 0 < http < 2**16:
        yield f"{_name('http_port')}: {http} is not a port; give 1 to 65535"
    if http == https_port(inputs):
        yield f"{_name('http_port')}: {http} is the port of {_name('download_url')} too; give each its own"
    if inputs["tls"] == "acme" and http != 80:
        yield f"{_name('http_port')}: is {http}, but certificate authorities ask on port 80; leave it at 80"


def _certificate(inputs: Inputs) -> Iterator[str]:
    given = {
        name: str(inputs[name])
        for name in (
            "certificate_file",
            "certificate_key_file",
            "certificate_remote_file",
            "certificate_remote_key_file",
        )
    }
    if inputs["tls"] != "given":
        for name, value in given.items():
            if value:
                yield (
                    f"{_name(name)}: is not used while {_name('tls')} is {inputs['tls']}; set that to given, or "
                    "remove it"
                )
        if inputs["tls"] == "acme":
            yield from _acme(inputs)
        return
    local, remote = given["certificate_file"], given["certificate_remote_file"]
    if bool(local) == bool(remote):
        what = (
            "name two certificates; keep one"
            if local
            else "are both empty; name the certificate, on the controller or the host"
        )
        yield f"{_name('certificate_file')} and {_name('certificate_remote_file')}: {what}"
    for name, key in (
        ("certificate_file", "certificate_key_file"),
        ("certificate_remote_file", "certificate_remote_key_file"),
    ):
        if bool(given[name]) != bool(given[key]):
            lacking = key if given[name] else name
            yield f"{_name(lacking)}: is empty, and nginx needs the certificate and its key; give both"
    for name in ("certificate_remote_file", "certificate_remote_key_file"):
        if given[name] and not _DIRECTORY.fullmatch(given[name]):
            yield f"{_name(name)}: '{given[name]}' cannot be a file of nginx's; give a whole path without spaces"
    if local and given["certificate_key_file"]:
        yield from _local_certificate(inputs)


def _local_certificate(inputs: Inputs) -> Iterator[str]:
    names = ("certificate_file", "certificate_key_file")
    missing = [name for name in names if not inputs["texts_of"].get(name)]
    for name in missing:
        yield f"{_name(name)}: there is no file {inputs[name]} that can be read on the controller; correct the path"
    if missing:
        return
    certificate, key = (inputs["texts_of"][name] for name in names)
    for at_key, fault in chain_faults(certificate, key, server_name(inputs), inputs["now"]):
        name = names[1] if at_key else names[0]
        yield f"{_name(name)}: {inputs[name]} {fault}"


def _acme(inputs: Inputs) -> Iterator[str]:
    mail = str(inputs["acme_email"])
    if not _MAIL.fullmatch(mail):
        yield f"{_name('acme_email')}: '{mail}' is not an address the certificate authority could write to; give one"
    if not _is_url(str(inputs["acme_directory"])) or not str(inputs["acme_directory"]).startswith("https://"):
        yield (
            f"{_name('acme_directory')}: '{inputs['acme_directory']}' is not an https address; give the authority's "
            "directory"
        )


def _verification(inputs: Inputs) -> Iterator[str]:
    place = str(inputs["verify_from"])
    known = ("controller", "host", *inputs["inventory_hosts"])
    if inputs["verify"] and place not in known:
        yield f"{_name('verify_from')}: '{place}' is no host of the inventory; give controller, host, or a host's name"
    if int(inputs["verify_timeout"]) < 1:
        yield f"{_name('verify_timeout')}: {inputs['verify_timeout']} is not a time; give seconds, 1 or more"
    ca_file = str(inputs["verify_ca_file"])
    if ca_file and not _readable(str(inputs["paths"]["verify_ca_file"])):
        yield (
            f"{_name('verify_ca_file')}: there is no file {ca_file} that can be read on the controller; correct the "
            "path"
        )


# --- What shows at the host ---------------------------------------------------------------------------------------

SYSTEMS = ("debian 12", "debian 13", "ubuntu 24.04")
ROOM = 512 * 1024 * 1024
"""Bytes that have to be free: some releases, each with a client or two of 25 MB, and the web server."""


def _system_faults(_inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if host["distribution"] not in SYSTEMS:
        yield f"{_name('state')}: this host has {host['distribution']}; publish on Debian 12 or 13, or Ubuntu 24.04"
    elif not host["systemd"]:
        yield (
            f"{_name('state')}: systemd does not run on this host, and nginx is run by it; publish on a host with "
            "systemd"
        )


def _room_faults(_inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if host["root_fault"]:
        yield f"{_name('root')}: {host['root_fault']}; mend that, or choose another directory"
    elif host["free_bytes"] < ROOM:
        yield (
            f"{_name('root')}: has {host['free_bytes'] // 2**20} MiB free and needs {ROOM // 2**20}; make room "
            "there or choose "
            "another directory"
        )


def _web_server_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    for sentence in host["occupied"]:
        port = int(str(sentence).partition("/")[0])
        variable = "http_port" if port == int(inputs["http_port"]) else "download_url"
        yield f"{_name(variable)}: {sentence}; stop that, or publish on another port or host"
    for path in host["claimed_by"]:
        yield (
            f"{_name('download_url')}: {path} describes a site for {server_name(inputs)} already; remove the "
            "name there, or "
            "publish under another"
        )


def _release_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    release = str(inputs["release"])
    if release and release not in host["releases"]:
        there = f"there are {', '.join(host['releases'])}" if host["releases"] else "there is none"
        yield f"{_name('release')}: {release} is not on this host; {there}"


def _remote_certificate_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if inputs["tls"] != "given" or not inputs["certificate_remote_file"]:
        return
    name = "certificate_remote_file"
    certificate = host["certificate"]
    if certificate["fault"]:
        yield f"{_name(name)}: {certificate['fault']}; correct the path, or put the right file there"
        return
    for _at_key, fault in chain_faults(certificate["pem"], "", server_name(inputs), inputs["now"]):
        yield f"{_name(name)}: {inputs[name]} {fault}"
