# SPDX-License-Identifier: MIT
"""What is wrong with the inputs of the role rustdesk_server: one sentence for each fault.

Runs on the controller. A sentence names the variable, what is wrong with its value and the way out, and never repeats a
secret. Types and misspelt names are checked before, see `role_inputs`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.ed25519 import KeyFormatError, KeyPair, fingerprint, is_private, parse_public
from ansible.module_utils.probe_network import stays_here
from ansible.module_utils.probe_terms import DEFAULT_PORT, DEFAULT_RELAY_PORT, MAX_TIMEOUT
from ansible.module_utils.release import DIRECTORIES, archive_fault, unpacked_size

PREFIX = "rustdesk_server_"
OLDEST_VERSION = (1, 1, 16)
BIND_VERSION = (1, 1, 17)

SPARE_BYTES = 64 * 1024 * 1024
"""Room for the programs (some 20 MiB unpacked) that must be left when the archive is not at hand."""
STATE_BYTES = SPARE_BYTES // 16
"""Room for the key and the database that must be left."""

_MEBIBYTE = 1024 * 1024
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# The last label of a name is never a number (RFC 1123 section 2.1), so a mistyped address is not taken for a name.
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)({_LABEL}\.)*(?![0-9]+\.?\Z){_LABEL}\.?")
_PATH = re.compile(r"/[A-Za-z0-9._+@/-]+")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})(-[0-9]{1,9})?")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_NETWORK = re.compile(r"[0-9.]+/[0-9]{1,2}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_ENDPOINT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")

_VANISHING = re.compile(r"/(home|root|run|dev|proc|sys|tmp|var/run|var/tmp)/")
"""What the hardened services do not see, or the next boot empties."""
_SHARED = re.compile(
    r"/[^/]*/\Z|/(bin|boot|etc|lib[^/]*|sbin|usr/(?!local/))"
    r"|/usr/local/((bin|etc|games|include|lib|man|sbin|share|src)/)?\Z"
    r"|/var/(backups|cache|lib|local|lock|log|mail|opt|spool|www)/\Z"
)
_TAKEN_NAMES = re.compile(r"id_ed25519(\..*)?|bl(ock|ack)list\.txt|\.env")
"""Files of the state directory that are something else than the database."""

_IN_NO_UNIT = ("api", "archive_file", "archive_mirror", "archive_remote_file", "archive_url", "private_key_file")
"""Variables whose text does not get into a unit file; URLs and file names may hold more than a unit file can."""
_NO_VARIABLES = ("archive_path", "inventory_hosts")
_UNIT_SYNTAX = re.compile(r"[\x00-\x1f\x7f\s\"'`\\$%{}]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CHARACTERS = {" ": "a space", "\t": "a tab", "\n": "a line break", "\r": "a carriage return"}

Inputs = Mapping[str, Any]
"""The role's variables without their prefix, and what belongs to them:

* `archive_path`: where `archive_file` was found on the controller, "" when it was not
* `private_key`: the private key from whichever variable gives one
* `private_key_given`, `private_key_defined`: whether the variable private_key has a value, and whether it is there
* `inventory_hosts`: the names of all hosts
"""


def faults(inputs: Inputs, releases: Mapping[str, Any]) -> list[str]:
    """Return every fault that the variables show by themselves.

    Args:
        inputs: the variables, of the types of the role's specification.
        releases: the pinned releases, version: architecture: `{"file": …, "sha256": …}`.
    """
    found = [*_directories(inputs), *_accounts(inputs)]
    if inputs["state"] == "present":
        checks = (_archive, _ports, _bind, _names, _keys, _hbbs, _deprecated, _hbbr, _verification)
        found += [*_version(inputs, releases), *(fault for check in checks for fault in check(inputs))]
        told = {fault.partition(":")[0] for fault in found}
        found += [fault for fault in _text(inputs) if fault.partition(":")[0] not in told]
    return [_on_one_line(fault) for fault in found]


def host_faults(inputs: Inputs, releases: Mapping[str, Any], host: Mapping[str, Any]) -> list[str]:
    """Return every fault that shows when the variables meet the host.

    Args:
        inputs: as in `faults`, without a fault by themselves.
        releases: as in `faults`.
        host: what the module rustdesk_server_info returned.
    """
    found = [*_ownership_faults(inputs, host)]
    if inputs["state"] == "present":
        found += [
            *_trap_faults(inputs, host),
            *_platform_faults(inputs, releases, host),
            *_room_faults(inputs, host),
            *_network_faults(inputs, host),
            *_key_faults(inputs, host),
        ]
    return found


def masked(found: list[str], values: Mapping[str, Any]) -> list[str]:
    """Return the faults without any private key, wherever it was given by mistake."""
    texts = [part for value in values.values() for part in (value if isinstance(value, list) else [value])]
    secrets = {str(text) for text in texts if isinstance(text, str) and is_private(text)}
    for secret in secrets:
        found = [fault.replace(secret, "(a private key)").replace(secret.strip(), "(a private key)") for fault in found]
    return found


def needed_ports(inputs: Inputs) -> list[str]:
    """Return the ports the daemons will listen on, as `21116/udp`.

    See rustdesk-server `src/rendezvous_server.rs` and `src/relay_server.rs`.
    """
    rendezvous, relay = int(inputs["port"]), int(inputs["relay_port"])
    hbbs = [f"{rendezvous - 1}/tcp", f"{rendezvous}/tcp", f"{rendezvous}/udp", f"{rendezvous + 2}/tcp"]
    hbbr = [f"{relay}/tcp", f"{relay + 2}/tcp"]
    return {"full": [*hbbs, *hbbr], "rendezvous": hbbs, "relay": hbbr}[inputs["mode"]]


def archive_digests(inputs: Inputs, releases: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest the archive must have, for each architecture."""
    if inputs["archive_sha256"]:
        return dict.fromkeys(DIRECTORIES, str(inputs["archive_sha256"]))
    return {architecture: pin["sha256"] for architecture, pin in releases.get(inputs["version"], {}).items()}


def names_to_resolve(inputs: Inputs) -> list[str]:
    """Return the names of relays that the host has to be able to resolve: hbbs drops the others in silence."""
    if inputs["mode"] == "relay" or inputs["state"] == "absent":
        return []
    hosts = [split_endpoint(str(relay))[0] for relay in inputs["relays"]]
    if not hosts and inputs["mode"] == "full" and int(inputs["relay_port"]) != int(inputs["port"]) + 1:
        # Clients expect a relay on the next port, so this one is named to them.
        hosts = [str(inputs["host"])]
    return sorted({host for host in hosts if host and not is_address(host)})


def split_endpoint(text: str) -> tuple[str, str]:
    """Split `host`, `host:port` or `[v6]:port`; the port is "" when not given, the host when malformed."""
    match = _ENDPOINT.fullmatch(text)
    if match:
        return match["v6"] or match["host"], match["port"] or ""
    return (text, "") if is_address(text) else ("", "")


def is_address(text: str) -> bool:
    """Tell whether a text is an IPv4 or IPv6 address as the daemons read one, which know no scope."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _name(variable: str) -> str:
    return PREFIX + variable


def is_host(text: str) -> bool:
    """Tell whether a text can be the name or the address of a host."""
    return is_address(text) or bool(_HOST_NAME.fullmatch(text))


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 2**16


def _is_endpoint(text: str) -> bool:
    host, port = split_endpoint(text)
    return is_host(host) and (not port or _is_port(port))


def _unread_address(endpoint: str) -> str:
    """Return the IPv6 address that hbbs does not read as one, "" when there is none.

    What has a colon is taken for `host:port`, and what does not resolve is dropped (rustdesk-server `src/common.rs`,
    `test_if_valid_server`).
    """
    host, port = split_endpoint(endpoint)
    return host if ":" in host and not port else ""


def bound_address(inputs: Inputs) -> str:
    """Return the one address the daemons listen on, "" when they listen on all."""
    address = str(inputs["bind_address"])
    return "" if not is_address(address) or ipaddress.ip_address(address).is_unspecified else address


def _url_fault(text: str) -> str:
    """Say why a text is no address to fetch something from, or return ""; a password in it is left out."""
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if usable and " " not in text:
        return ""
    return f"'{re.sub(r'//[^/@]*@', '//…@', text)}' is not an http or https address, such as https://example.org/path"


def _on_one_line(fault: str) -> str:
    """Spell out what a value has of line breaks and the like."""
    return "".join(part if part.isprintable() else repr(part)[1:-1] for part in fault)


def _numbers(version: object) -> tuple[int, ...]:
    match = _VERSION.fullmatch(str(version))
    return tuple(map(int, match.groups()[:3])) if match else ()


# --- What the variables show by themselves ------------------------------------------------------------------------


def _text(inputs: Inputs) -> Iterator[str]:
    """Check text that ends up in unit files, where a stray character changes the meaning of what follows."""
    for variable, value in inputs.items():
        if variable.startswith("private_key") or variable in _NO_VARIABLES:
            continue
        unfit = _CONTROL if variable in _IN_NO_UNIT else _UNIT_SYNTAX
        for part in value if isinstance(value, list) else [value]:
            match = unfit.search(part) if isinstance(part, str) else None
            if match:
                character = _CHARACTERS.get(match[0]) or (
                    f"the character {match[0]}" if match[0].isprintable() else "a control character"
                )
                yield f"{_name(variable)}: has {character} in it, which would break the file it goes into; remove it"


def _version(inputs: Inputs, releases: Mapping[str, Any]) -> Iterator[str]:
    version, pinned = str(inputs["version"]), sorted(releases)
    numbers = _numbers(version)
    if not numbers:
        yield f"{_name('version')}: '{version}' is not a version of rustdesk-server; give one such as {pinned[-1]}"
    elif numbers < OLDEST_VERSION:
        yield f"{_name('version')}: {version} can be used for UDP reflection (CVE-2026-30784); take 1.1.16 or newer"
    elif version not in releases and not inputs["archive_sha256"]:
        yield (
            f"{_name('archive_sha256')}: is needed, because the role has no pin for version {version} "
            f"(it has {', '.join(pinned)}); give the sha256 of its archive"
        )


def _archive(inputs: Inputs) -> Iterator[str]:
    digest = str(inputs["archive_sha256"])
    if digest and not _SHA256.fullmatch(digest):
        yield (
            f"{_name('archive_sha256')}: has {len(digest)} characters and is not a sha256; "
            "give the 64 hexadecimal digits that sha256sum prints"
        )
    sources = [name for name in ("archive_url", "archive_file", "archive_remote_file") if inputs[name]]
    if len(sources) > 1:
        yield f"{' and '.join(map(_name, sources))}: name different sources of the archive; keep one"
    for name in ("archive_mirror", "archive_url"):
        fault = _url_fault(str(inputs[name])) if inputs[name] else ""
        if fault:
            yield f"{_name(name)}: {fault}"
    if not inputs["archive_mirror"] and not sources:
        yield (
            f"{_name('archive_mirror')}: is empty; remove the variable to take upstream's, "
            "or name another source of the archive"
        )
    if inputs["archive_file"]:
        yield from _archive_file(str(inputs["archive_file"]), str(inputs["archive_path"]))
    if inputs["archive_remote_file"] and not str(inputs["archive_remote_file"]).startswith("/"):
        yield (
            f"{_name('archive_remote_file')}: '{inputs['archive_remote_file']}' is not an absolute path; "
            "give the whole path on the host"
        )
    if int(inputs["keep_versions"]) < 1:
        yield f"{_name('keep_versions')}: {inputs['keep_versions']} would remove the running release; give 1 or more"
    if int(inputs["archive_timeout"]) < 1:
        yield f"{_name('archive_timeout')}: {inputs['archive_timeout']} is not a time; give seconds, 1 or more"


def _archive_file(given: str, path: str) -> Iterator[str]:
    try:
        usable = bool(path) and Path(path).is_file() and os.access(path, os.R_OK)
    except OSError:
        usable = False
    if not usable:
        yield f"{_name('archive_file')}: there is no file {given} that can be read on the controller; correct the path"


def _directories(inputs: Inputs) -> Iterator[str]:
    install, state = (str(inputs[name]) for name in ("install_dir", "state_dir"))
    found = {name: _directory_fault(path) for name, path in (("install_dir", install), ("state_dir", state))}
    yield from (f"{_name(name)}: {fault}" for name, fault in found.items() if fault)
    shorter, longer = sorted((Path(install), Path(state)), key=lambda path: len(path.parts))
    if not any(found.values()) and shorter in (longer, *longer.parents):
        yield (
            f"{_name('install_dir')} and {_name('state_dir')}: {install} and {state} lie in one another, "
            "so removing the programs would take the key along; separate them"
        )


def _directory_fault(path: str) -> str:
    plain = f"{path.rstrip('/')}/"
    if not _PATH.fullmatch(path) or {"", ".", ".."} & set(plain[1:-1].split("/")):
        return f"'{path}' is not a plain absolute path; use letters, digits and . _ + @ - between single slashes"
    if _VANISHING.match(plain):
        return f"{path} is hidden from the services or emptied at boot; choose a place such as /opt or /var/lib"
    if _SHARED.match(plain):
        return (
            f"{path} belongs to the system, and would be changed and removed as a whole; "
            "give a directory of its own, such as /opt/rustdesk-server"
        )
    return ""


def _accounts(inputs: Inputs) -> Iterator[str]:
    for name in ("user", "group"):
        value = str(inputs[name])
        if not _USER.fullmatch(value):
            yield (
                f"{_name(name)}: '{value}' is not a name for a system account; "
                "use lower-case letters, digits, _ and -, 32 at most"
            )
        elif value in ("root", "nobody", "nogroup"):
            yield f"{_name(name)}: must not be {value}; give the service an account of its own"


def _ports(inputs: Inputs) -> Iterator[str]:
    port, relay_port = int(inputs["port"]), int(inputs["relay_port"])
    for name, value, lowest in (("port", port, 1025), ("relay_port", relay_port, 1024)):
        if not lowest <= value <= 65533:
            yield (
                f"{_name(name)}: {value} cannot be used; give {lowest} to 65533, "
                "because the services have no right to ports below 1024 and take neighbouring ports as well"
            )
    ports = needed_ports(inputs)
    clashes = sorted({taken for taken in ports if ports.count(taken) > 1})
    if clashes:
        yield (
            f"{_name('port')} and {_name('relay_port')}: {port} and {relay_port} both need {', '.join(clashes)} "
            "(hbbs takes port-1, port and port+2, hbbr takes relay_port and relay_port+2); choose others"
        )


def _bind(inputs: Inputs) -> Iterator[str]:
    address = str(inputs["bind_address"])
    if not address:
        return
    if not is_address(address):
        yield (
            f"{_name('bind_address')}: '{address}' is not an IPv4 or IPv6 address; "
            "give one of the host, or leave it empty"
        )
    elif ipaddress.ip_address(address).is_loopback:
        yield f"{_name('bind_address')}: no client reaches {address}; give an address of the host, or leave it empty"
    elif () < _numbers(inputs["version"]) < BIND_VERSION:
        yield (
            f"{_name('bind_address')}: needs version 1.1.17, but {_name('version')} is {inputs['version']}; "
            "leave it empty or take a newer version"
        )


def _names(inputs: Inputs) -> Iterator[str]:
    host = str(inputs["host"])
    if not host:
        yield f"{_name('host')}: is empty; give the name clients connect to, for all roles as rustdesk_host"
    elif not is_host(host):
        yield (
            f"{_name('host')}: '{host}' is neither a host name nor an address; "
            f"give the bare name (a port goes into {_name('port')})"
        )
    elif stays_here(host):
        yield f"{_name('host')}: no client reaches {host}; give the name or address clients connect to"
    for relay in map(str, inputs["relays"]):
        if not _is_endpoint(relay):
            yield f"{_name('relays')}: '{relay}' is not host or host:port; correct or remove it"
        elif _unread_address(relay):
            yield _unread_fault("relays", relay, DEFAULT_RELAY_PORT)
    if len(set(map(str, inputs["relays"]))) < len(inputs["relays"]):
        yield f"{_name('relays')}: names a relay twice; remove one of them"
    if inputs["mode"] == "rendezvous" and not inputs["relays"]:
        yield (
            f"{_name('relays')}: is empty, but in the mode rendezvous no relay runs on this host; name at least one, "
            "or take the mode full"
        )
    fault = _url_fault(str(inputs["api"])) if inputs["api"] else ""
    if fault:
        yield f"{_name('api')}: {fault}"


def _unread_fault(variable: str, endpoint: str, port: int) -> str:
    return (
        f"{_name(variable)}: hbbs reads an IPv6 address only with its port, and would drop {endpoint} in silence; "
        f"write [{_unread_address(endpoint)}]:{port}"
    )


def _keys(inputs: Inputs) -> Iterator[str]:
    public = str(inputs["public_key"])
    if public:
        try:
            parse_public(public)
        except KeyFormatError as error:
            yield f"{_name('public_key')}: {error}; give the content of id_ed25519.pub"
    if inputs["mode"] != "relay":
        yield from _private_key(inputs)
        return
    if not public:
        yield (
            f"{_name('public_key')}: is empty, but a relay needs it to refuse strangers; "
            "give the content of id_ed25519.pub of the ID server"
        )
    for name, given in (("private_key", inputs["private_key_given"]), ("private_key_file", inputs["private_key_file"])):
        if given:
            yield f"{_name(name)}: is not needed by a relay, and should not lie on one; remove it"


def _private_key(inputs: Inputs) -> Iterator[str]:
    """Check the private key without ever repeating what was given for it."""
    path = str(inputs["private_key_file"])
    if inputs["private_key_given"] and path:
        yield f"{_name('private_key')} and {_name('private_key_file')}: both give a key; keep one"
    if inputs["private_key_defined"] and not inputs["private_key_given"]:
        yield (
            f"{_name('private_key')}: is empty, and another key would be generated; "
            "give the content of id_ed25519, or remove the variable"
        )
    if is_private(path):
        yield (
            f"{_name('private_key_file')}: is a key and not the name of a file; "
            f"move it to {_name('private_key')}, vaulted"
        )
        return
    text = str(inputs["private_key"])
    source = _name("private_key" if inputs["private_key_given"] else "private_key_file")
    if not text:
        if path:
            yield f"{source}: names no file with a key that can be read on the controller; correct the path or the mode"
        return
    if text.startswith("$ANSIBLE_VAULT"):
        yield f"{source}: is vaulted text that Ansible does not recognise as such; put !vault | before it"
        return
    try:
        pair = KeyPair.parse(text)
    except KeyFormatError as error:
        yield f"{source}: {error}; give the content of id_ed25519"
        return
    yield from _half_faults(source, pair, str(inputs["public_key"]))


def _half_faults(source: str, pair: KeyPair, public: str) -> Iterator[str]:
    try:
        other = fingerprint(parse_public(public))
    except KeyFormatError:
        return
    if public.strip() != pair.public_text:
        yield (
            f"{source}: has the fingerprint {pair.fingerprint}, but {_name('public_key')} has {other}; "
            "give the two halves of one pair"
        )


def _hbbs(inputs: Inputs) -> Iterator[str]:
    state, database = Path(str(inputs["state_dir"])), str(inputs["database"])
    path = state / database
    if path.parent != state or not _FILE_NAME.fullmatch(path.name):
        yield (
            f"{_name('database')}: '{database}' is not a file in {_name('state_dir')}, the only place the service may "
            "write to; give a file name such as db_v2.sqlite3"
        )
    elif _TAKEN_NAMES.fullmatch(path.name):
        yield f"{_name('database')}: {path.name} is another file of the service; give a name such as db_v2.sqlite3"
    for name, lowest, highest in (("database_connections", 1, 1000), ("udp_receive_buffer", 0, 2**31 - 1)):
        if not lowest <= int(inputs[name]) <= highest:
            yield f"{_name(name)}: {inputs[name]} cannot be used; give {lowest} to {highest}"
    yield from _self_test(inputs)


def _self_test(inputs: Inputs) -> Iterator[str]:
    """Check whom hbbs asks: it ends itself after 12 s without an answer (`src/rendezvous_server.rs`, `test_hbbs`)."""
    test, bound = str(inputs["self_test"]), bound_address(inputs)
    if test in ("auto", "no"):
        return
    address, port = split_endpoint(test)
    if not (is_address(address) and _is_port(port) and test.startswith("[") == (":" in address)):
        yield (
            f"{_name('self_test')}: '{test}' is neither auto nor no nor IP:port; give one of these "
            "(with a host name hbbs would end at once)"
        )
    elif int(port) != int(inputs["port"]):
        yield (
            f"{_name('self_test')}: asks port {port}, but hbbs answers on {_name('port')} ({inputs['port']}), and "
            "would end itself again and again; give that port, or auto"
        )
    elif bound and stays_here(address):
        yield (
            f"{_name('self_test')}: asks {address}, but hbbs listens on {_name('bind_address')} ({bound}) alone, and "
            "would end itself again and again; give that address, or auto"
        )


def _deprecated(inputs: Inputs) -> Iterator[str]:
    mask, address = str(inputs["lan_mask"]), str(inputs["lan_address"])
    if mask:
        try:
            usable = bool(_NETWORK.fullmatch(mask) and ipaddress.IPv4Network(mask, strict=False))
        except ValueError:
            usable = False
        if not usable:
            yield f"{_name('lan_mask')}: '{mask}' is not an IPv4 network; give one such as 192.168.0.0/16"
    if address and not (is_address(address) and "." in address):
        yield f"{_name('lan_address')}: '{address}' is not an IPv4 address; give the host's own in that network"
    if address and not mask:
        yield f"{_name('lan_address')}: has no effect without {_name('lan_mask')}; give both or none"
    for server in map(str, inputs["rendezvous_servers"]):
        if not _is_endpoint(server):
            yield f"{_name('rendezvous_servers')}: '{server}' is not host or host:port; correct or remove it"
        elif _unread_address(server):
            yield _unread_fault("rendezvous_servers", server, DEFAULT_PORT)
    if not 0 <= int(inputs["serial"]) < 2**31:
        yield f"{_name('serial')}: {inputs['serial']} cannot be used; give 0 to {2**31 - 1}"
    fault = _url_fault(str(inputs["software_url"])) if inputs["software_url"] else ""
    if fault:
        yield f"{_name('software_url')}: {fault}"


def _hbbr(inputs: Inputs) -> Iterator[str]:
    bandwidths = ("bandwidth_single_mbit", "bandwidth_total_mbit", "bandwidth_slowed_mbit")
    for name in bandwidths:
        if float(inputs[name]) <= 0:
            yield (
                f"{_name(name)}: {inputs[name]} is not a bandwidth, and hbbr would ignore it in silence; "
                "give Mbit/s above 0"
            )
    single, total, slowed = (float(inputs[name]) for name in bandwidths)
    if 0 < total < single:
        yield (
            f"{_name('bandwidth_single_mbit')}: {inputs['bandwidth_single_mbit']} is more than all sessions may use "
            f"({_name('bandwidth_total_mbit')} is {inputs['bandwidth_total_mbit']}); lower it or raise the other"
        )
    if 0 < single < slowed:
        yield (
            f"{_name('bandwidth_slowed_mbit')}: {inputs['bandwidth_slowed_mbit']} is faster than any session may be "
            f"({_name('bandwidth_single_mbit')} is {inputs['bandwidth_single_mbit']}); lower it or raise the other"
        )
    if not 0 < float(inputs["slowdown_threshold"]) <= 1:
        yield (
            f"{_name('slowdown_threshold')}: {inputs['slowdown_threshold']} is not a share; "
            "give a number above 0 and up to 1"
        )
    if int(inputs["slowdown_after_s"]) < 1:
        yield f"{_name('slowdown_after_s')}: {inputs['slowdown_after_s']} is not a time; give seconds, 1 or more"
    for name in ("blocked_addresses", "slowed_addresses"):
        for address in map(str, inputs[name]):
            if not is_address(address):
                yield (
                    f"{_name(name)}: '{address}' is not an IP address; hbbr compares single addresses and knows no "
                    "networks or names, so list each address"
                )
            else:
                yield from _spelling(name, address)
    if not 1024 <= int(inputs["limit_nofile"]) <= 1073741816:
        yield f"{_name('limit_nofile')}: {inputs['limit_nofile']} cannot be used; give 1024 to 1073741816"
    memory = int(inputs["memory_max_mib"])
    if memory != 0 and not 64 <= memory <= 1048576:
        yield (
            f"{_name('memory_max_mib')}: {memory} cannot be used; give MiB, at least 64 for a daemon to live, "
            "or 0 for no limit"
        )


def _spelling(name: str, address: str) -> Iterator[str]:
    """Check that an address is spelt as hbbr spells that of a client (`src/relay_server.rs`, `handle_connection`)."""
    read = ipaddress.ip_address(address)
    mapped = read.ipv4_mapped if isinstance(read, ipaddress.IPv6Address) else None
    if mapped:
        yield (
            f"{_name(name)}: '{address}' is an IPv4 address in the form of IPv6, and would not match everywhere; "
            f"write it as {mapped}"
        )
    elif str(read) != address:
        yield f"{_name(name)}: '{address}' would never match, because hbbr compares text; write it as {read}"


def _verification(inputs: Inputs) -> Iterator[str]:
    if not 1 <= int(inputs["verify_timeout"]) <= MAX_TIMEOUT:
        yield (
            f"{_name('verify_timeout')}: {inputs['verify_timeout']} cannot be used; give seconds, 1 to {MAX_TIMEOUT:g}"
        )
    address = str(inputs["verify_address"])
    if address and not is_host(address):
        yield (
            f"{_name('verify_address')}: '{address}' is neither a host name nor an address; "
            "give what clients reach the host by, without a port"
        )
    elif inputs["verify"] and stays_here(address):
        yield (
            f"{_name('verify_address')}: {address} cannot be proven, because on loopback the ports of the NAT test and "
            "of the relay are consoles; give an address of the host's network interface"
        )
    where = str(inputs["verify_from"])
    if where not in ("controller", "host", *inputs["inventory_hosts"]):
        yield (
            f"{_name('verify_from')}: '{where}' is neither controller nor host nor a host of the inventory; "
            "give one of these"
        )


# --- What shows when they meet the host ---------------------------------------------------------------------------


def _ownership_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    """Refuse to take over what belongs to something else; with the state absent it would be removed."""
    if not host["systemd"]:
        yield (
            f"{_name('state')}: {inputs['state']} needs systemd, which does not run the services of this host; "
            "deploy to one where it does"
        )
    for name in ("install_dir", "state_dir"):
        if host["foreign"][name]:
            yield (
                f"{_name(name)}: {inputs[name]} holds what is not the role's ({', '.join(host['foreign'][name])}) and "
                "would be taken over and removed with it; give a directory of its own"
            )
        if host["links"][name]:
            yield (
                f"{_name(name)}: {inputs[name]} is a link, whose removal would leave what it leads to; "
                f"give {host['links'][name]} itself, or mount that in the place of the link"
            )
    state_dir = str(inputs["state_dir"]).rstrip("/")
    if host["user_exists"] and host["user_home"].rstrip("/") != state_dir:
        yield (
            f"{_name('user')}: the host has a user {inputs['user']} already, whose home {host['user_home']} is not "
            f"{_name('state_dir')} ({state_dir}), and the role would take it over and remove it; "
            "give the service an account of its own, or the directory it had"
        )


def _trap_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    """Refuse to write where the service, should it be broken into, may lead root elsewhere."""
    for name in host["traps"]:
        yield (
            f"{_name('state_dir')}: {inputs['state_dir']}/{name} is a link or something else that is no file; "
            "find out who made it, and remove it"
        )


def _platform_faults(inputs: Inputs, releases: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[str]:
    architecture = inputs["architecture"] or host["architecture"]
    if not architecture:
        yield (
            f"{_name('architecture')}: upstream has no release for {host['machine']}, "
            f"only for {', '.join(DIRECTORIES)}; deploy to such a host"
        )
        return
    if inputs["architecture"] and not _runs(inputs["architecture"], host["architecture"]):
        yield f"{_name('architecture')}: {architecture} does not run on {host['machine']}; leave it empty"
    digest = archive_digests(inputs, releases).get(architecture, "")
    path = str(inputs["archive_path"])
    if not digest and inputs["version"] in releases:
        yield (
            f"{_name('archive_sha256')}: is needed, because the role has no pin of version {inputs['version']} for "
            f"{architecture}; give the sha256 of its archive"
        )
    elif digest and path and host["release_fault"]:
        fault = archive_fault(Path(path), architecture, digest)
        if fault:
            yield f"{_name('archive_file')}: {fault}"
    if host["release_fault"] and host["archive_fault"]:
        yield f"{_name('archive_remote_file')}: {host['archive_fault']}"


def _runs(architecture: str, machine: str) -> bool:
    """Tell whether programs of one architecture run on a machine of another one: 32-bit ones do on 64-bit x86."""
    return architecture == machine or (architecture, machine) == ("i386", "amd64")


def _room_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    size = unpacked_size(Path(str(inputs["archive_path"]))) if inputs["archive_path"] else 0
    # The archive is staged beside what it is unpacked to.
    needed = size * 2 + STATE_BYTES if size else SPARE_BYTES
    for name, room in (("install_dir", needed if host["release_fault"] else 0), ("state_dir", STATE_BYTES)):
        free = host["free_bytes"][name]
        if free < room:
            yield (
                f"{_name(name)}: {inputs[name]} has {free // _MEBIBYTE} MiB free, and {room // _MEBIBYTE + 1} MiB are "
                "needed; make room or choose another place"
            )


def _network_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    for sentence in host["occupied"]:
        yield f"{_port_variable(inputs, sentence)}: {sentence}; stop that, or choose another port"
    if host["bind_fault"]:
        yield (
            f"{_name('bind_address')}: nothing can listen on {inputs['bind_address']} ({host['bind_fault']}); "
            "give an address of the host, or leave it empty"
        )
    proven_at = inputs["verify_address"] or bound_address(inputs) or host["address"]
    if inputs["verify"] and inputs["verify_from"] == "host" and not proven_at:
        yield (
            f"{_name('verify_from')} and {_name('verify_address')}: the host has no address but loopback to prove the "
            "service at; give it one, or another place to prove it from"
        )
    for name in host["unresolved"]:
        yield (
            f"{_name('relays')}: the host cannot resolve {name}, and hbbs would drop that relay in silence; "
            "correct the name or the host's DNS"
        )
    if host["env_file"]:
        yield (
            f"{_name('state_dir')}: {inputs['state_dir']}/.env would override settings of the role; "
            "carry its values over to variables and remove it"
        )
    if inputs["group"] != inputs["user"] and not host["group_exists"]:
        yield (
            f"{_name('group')}: the host has no group {inputs['group']}; "
            f"create it, or give it the name of {_name('user')}"
        )


def _port_variable(inputs: Inputs, sentence: str) -> str:
    relay = int(inputs["relay_port"])
    port = int(sentence.partition("/")[0])
    return _name("relay_port" if inputs["mode"] != "rendezvous" and port in (relay, relay + 2) else "port")


def _key_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if inputs["mode"] == "relay":
        return
    public = str(inputs["public_key"]).strip()
    try:
        given = KeyPair.parse(str(inputs["private_key"])) if inputs["private_key"] else None
        expected = fingerprint(parse_public(public)) if public else ""
    except KeyFormatError:
        # Told as a fault of the variables.
        return
    if inputs["key_rotate"]:
        if public and not given:
            yield (
                f"{_name('key_rotate')}: would generate a key, but {_name('public_key')} asks for the one with the "
                f"fingerprint {expected}; give {_name('private_key')}, or leave {_name('public_key')} empty this time"
            )
        return
    source = _name("private_key" if inputs["private_key_given"] else "private_key_file")
    yield from _existing_key_faults(source, host["key"], given, public)


def _existing_key_faults(source: str, key: Mapping[str, Any], given: KeyPair | None, public: str) -> Iterator[str]:
    state = key["state"]
    restores = state == "public_only" and given is not None and given.public_text == key["public_key"]
    if state in ("malformed", "public_only") and not restores:
        yield (
            f"{_name('state_dir')}: {key['detail']}; restore the key from a backup, "
            f"or set {_name('key_rotate')} once to replace it"
        )
    elif state == "valid" and given and given.public_text != key["public_key"]:
        yield (
            f"{source}: has the fingerprint {given.fingerprint}, but the host has the key {key['fingerprint']}; "
            f"remove the variable to keep the host's key, or set {_name('key_rotate')} once to replace it and then "
            "configure every client anew"
        )
    elif state == "valid" and public and public != key["public_key"]:
        yield (
            f"{_name('public_key')}: has the fingerprint {fingerprint(parse_public(public))}, but the host has the key "
            f"{key['fingerprint']} ({key['public_key']}); correct the variable, or import the key it belongs to with "
            f"{_name('private_key')} and {_name('key_rotate')}"
        )
    elif state == "absent" and public and not given:
        yield (
            f"{_name('public_key')}: is given, but the host has no key yet and would generate another one; give "
            f"{_name('private_key')} (vaulted) to import the pair, or leave {_name('public_key')} empty to generate one"
        )
