# SPDX-License-Identifier: MIT
"""What is wrong with the inputs of the role rustdesk_server: one sentence for each fault.

Runs on the controller. A sentence names the variable, what is wrong with its value and the way out, and never repeats a
secret. Types and misspelt names are checked before, see :mod:`role_inputs`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.ed25519 import KeyFormatError, KeyPair, fingerprint, parse_public
from ansible.module_utils.release import DIRECTORIES, archive_fault, unpacked_size

PREFIX = "rustdesk_server_"
OLDEST_VERSION = (1, 1, 16)
BIND_VERSION = (1, 1, 17)
SPARE_BYTES = 64 * 1024 * 1024
"""Room that must be left for the programs (some 20 MiB unpacked) when the archive is not at hand, and for the database."""

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?\Z"
)
_PATH = re.compile(r"/[A-Za-z0-9._+@/-]+\Z")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(-\d+)?\Z")
_SHARED_DIRECTORIES = (
    "/",
    "/etc",
    "/home",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/local",
    "/var",
    "/var/lib",
    "/var/tmp",
)
_HIDDEN_DIRECTORIES = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/", "/dev/", "/proc/", "/sys/")

Inputs = Mapping[str, Any]
"""The role's variables without their prefix."""


def faults(inputs: Inputs, releases: Mapping[str, Any]) -> list[str]:
    """Return every fault that the variables show by themselves.

    :param inputs: the variables, of the types of the role's specification
    :param releases: the pinned releases, version: architecture: ``{"file": …, "sha256": …}``
    """
    checks = (_text, _release, _directories, _ports, _names, _keys, _hbbs, _hbbr, _verification)
    return [fault for check in checks for fault in (check(inputs, releases) if check is _release else check(inputs))]


def host_faults(inputs: Inputs, releases: Mapping[str, Any], host: Mapping[str, Any]) -> list[str]:
    """Return every fault that shows when the variables meet the host.

    :param host: what the module rustdesk_server_info returned
    """
    return [*_platform_faults(inputs, releases, host), *_place_faults(inputs, host), *_key_faults(inputs, host)]


def needed_ports(inputs: Inputs) -> list[str]:
    """Return the ports the daemons will listen on, as ``21116/udp`` (rustdesk-server ``src/rendezvous_server.rs``, ``src/relay_server.rs``)."""
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
    """Return the relays' names that the host has to be able to resolve: hbbs drops the others in silence."""
    if inputs["mode"] == "relay":
        return []
    return [host for host in (split_endpoint(str(relay))[0] for relay in inputs["relays"]) if host]


def split_endpoint(text: str) -> tuple[str, str]:
    """Split ``host``, ``host:port`` or ``[v6]:port`` into host and port ("" when none is given); host "" when it is malformed."""
    match = re.match(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>\d{1,5}))?\Z", text)
    if match:
        return match["v6"] or match["host"], match["port"] or ""
    return (text, "") if _is_address(text) else ("", "")


def _name(variable: str) -> str:
    return PREFIX + variable


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_host(text: str) -> bool:
    return _is_address(text) or bool(_HOST_NAME.match(text))


def _text(inputs: Inputs) -> Iterator[str]:
    """Everything ends up in unit files, where a line break or a stray quote would change the meaning of what follows."""
    for variable, value in inputs.items():
        if variable.startswith("private_key"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str) and re.search(r"[\x00-\x1f\x7f\"'`\\$%{}]|\s", part):
                yield f"{_name(variable)}: has a space, a line break, a quote or another character that a unit file gives a meaning to; remove it"


def _release(inputs: Inputs, releases: Mapping[str, Any]) -> Iterator[str]:
    version = str(inputs["version"])
    match = _VERSION.match(version)
    pinned = sorted(releases)
    if not match:
        yield f"{_name('version')}: '{version}' is not a version of rustdesk-server; give one such as {pinned[-1]}"
    elif tuple(map(int, match.groups()[:3])) < OLDEST_VERSION:
        yield f"{_name('version')}: {version} can be used for UDP reflection (CVE-2026-30784); take 1.1.16 or newer"
    elif version not in releases and not inputs["archive_sha256"]:
        yield (
            f"{_name('archive_sha256')}: is needed, because the role has no pin for version {version} "
            f"(it has {', '.join(pinned)}); give the sha256 of its archive"
        )
    digest = str(inputs["archive_sha256"])
    if digest and not re.match(r"[0-9A-Fa-f]{64}\Z", digest):
        yield f"{_name('archive_sha256')}: is not a sha256 (64 hexadecimal digits, this has {len(digest)} characters)"
    sources = [name for name in ("archive_url", "archive_file", "archive_remote_file") if inputs[name]]
    if len(sources) > 1:
        yield f"{' and '.join(map(_name, sources))}: name different sources of the archive; keep one"
    for name in ("archive_mirror", "archive_url"):
        url = urlsplit(str(inputs[name]))
        if inputs[name] and (url.scheme not in ("http", "https") or not url.hostname):
            yield f"{_name(name)}: '{inputs[name]}' is not an http or https address"
    if inputs["archive_file"] and not Path(str(inputs["archive_file"])).is_file():
        yield f"{_name('archive_file')}: there is no file {inputs['archive_file']} on the controller"
    if inputs["archive_remote_file"] and not str(inputs["archive_remote_file"]).startswith("/"):
        yield f"{_name('archive_remote_file')}: '{inputs['archive_remote_file']}' is not an absolute path"
    if int(inputs["keep_versions"]) < 1:
        yield f"{_name('keep_versions')}: {inputs['keep_versions']} would remove the running release; give 1 or more"
    if int(inputs["archive_timeout"]) < 1:
        yield f"{_name('archive_timeout')}: {inputs['archive_timeout']} is not a time; give seconds, 1 or more"


def _directories(inputs: Inputs) -> Iterator[str]:
    for name in ("install_dir", "state_dir"):
        path = str(inputs[name])
        plain = path.rstrip("/") or "/"
        if not _PATH.match(path) or ".." in path.split("/"):
            yield f"{_name(name)}: '{path}' is not a plain absolute path; use letters, digits and . _ + @ - only"
        elif plain in _SHARED_DIRECTORIES:
            yield f"{_name(name)}: {path} belongs to the system and would be changed or removed as a whole; give a directory of its own"
        elif f"{plain}/".startswith(_HIDDEN_DIRECTORIES):
            yield f"{_name(name)}: {path} is hidden from the hardened services; choose a place such as /opt or /var/lib"
    install, state = (Path(str(inputs[name])) for name in ("install_dir", "state_dir"))
    if install == state or install in state.parents or state in install.parents:
        yield f"{_name('install_dir')} and {_name('state_dir')}: {install} and {state} lie in one another, so removing the programs would take the key along; separate them"
    for name in ("user", "group"):
        if not _USER.match(str(inputs[name])):
            yield f"{_name(name)}: '{inputs[name]}' is not a name for a system account (lower-case letters, digits, _ and -)"
        elif inputs[name] == "root":
            yield f"{_name(name)}: must not be root; give the service an account of its own"


def _ports(inputs: Inputs) -> Iterator[str]:
    for name, lowest in (("port", 1025), ("relay_port", 1024)):
        if not lowest <= int(inputs[name]) <= 65533:
            yield (
                f"{_name(name)}: {inputs[name]} cannot be used; give {lowest} to 65533, because the services have no right "
                "to ports below 1024 and also take neighbouring ports"
            )
    ports = needed_ports(inputs)
    clashes = sorted({port for port in ports if ports.count(port) > 1})
    if clashes:
        yield (
            f"{_name('port')} and {_name('relay_port')}: {inputs['port']} and {inputs['relay_port']} both need {', '.join(clashes)} "
            "(hbbs takes port-1, port and port+2, hbbr takes relay_port and relay_port+2); choose others"
        )
    address = str(inputs["bind_address"])
    if address and not _is_address(address):
        yield f"{_name('bind_address')}: '{address}' is not an IPv4 or IPv6 address"
    version = _VERSION.match(str(inputs["version"]))
    if address and version and tuple(map(int, version.groups()[:3])) < BIND_VERSION:
        yield f"{_name('bind_address')}: needs version 1.1.17, {_name('version')} is {inputs['version']}; leave it empty or take a newer version"


def _names(inputs: Inputs) -> Iterator[str]:
    host = str(inputs["host"])
    if inputs["state"] == "absent":
        return
    if not host:
        yield f"{_name('host')}: is empty; give the name clients connect to, for all roles as rustdesk_host"
    elif not _is_host(host):
        yield f"{_name('host')}: '{host}' is not a host name or an address (a port goes into {_name('port')})"
    for relay in map(str, inputs["relays"]):
        name, port = split_endpoint(relay)
        if not _is_host(name) or (port and not 0 < int(port) < 65536):
            yield f"{_name('relays')}: '{relay}' is not host or host:port"
    if len(set(map(str, inputs["relays"]))) < len(inputs["relays"]):
        yield f"{_name('relays')}: names a relay twice"
    if inputs["mode"] == "rendezvous" and not inputs["relays"]:
        yield f"{_name('relays')}: is empty, but in the mode rendezvous no relay runs on this host; name at least one"
    api = urlsplit(str(inputs["api"]))
    if inputs["api"] and (api.scheme not in ("http", "https") or not api.hostname):
        yield f"{_name('api')}: '{inputs['api']}' is not an http or https address"


def _keys(inputs: Inputs) -> Iterator[str]:
    public = str(inputs["public_key"])
    if public:
        try:
            parse_public(public)
        except KeyFormatError as error:
            yield f"{_name('public_key')}: {error}; give the content of id_ed25519.pub"
    if inputs["mode"] == "relay":
        if inputs["state"] == "present" and not public:
            yield f"{_name('public_key')}: is empty, but a relay needs it to refuse strangers; give the content of id_ed25519.pub of the ID server"
        if inputs["private_key"] or inputs["private_key_file"]:
            yield f"{_name('private_key')}: is not needed by a relay, and should not lie on one; remove it"
        return
    if inputs["private_key_given"] and inputs["private_key_file"]:
        yield f"{_name('private_key')} and {_name('private_key_file')}: both give a key; keep one"
    if not inputs["private_key"]:
        if inputs["private_key_file"]:
            yield f"{_name('private_key_file')}: {inputs['private_key_file']} cannot be read on the controller, or is empty"
        return
    source = _name("private_key" if inputs["private_key_given"] else "private_key_file")
    try:
        pair = KeyPair.parse(str(inputs["private_key"]))
        if public and public != pair.public_text:
            yield (
                f"{source}: has the fingerprint {pair.fingerprint}, {_name('public_key')} has {fingerprint(parse_public(public))}; "
                "give the two halves of one pair"
            )
    except KeyFormatError as error:
        if "private" in str(error):
            yield f"{source}: {error}; give the content of id_ed25519"


def _hbbs(inputs: Inputs) -> Iterator[str]:
    database = Path(str(inputs["state_dir"])) / str(inputs["database"])
    if (
        "://" in str(inputs["database"])
        or ".." in database.parts
        or Path(str(inputs["state_dir"])) not in database.parents
    ):
        yield f"{_name('database')}: '{inputs['database']}' is not a file below {_name('state_dir')}, the only place the service may write to"
    if not 1 <= int(inputs["database_connections"]) <= 1000:
        yield f"{_name('database_connections')}: {inputs['database_connections']} is not within 1 to 1000"
    test = str(inputs["self_test"])
    address, port = split_endpoint(test)
    if test not in ("auto", "no") and not (_is_address(address) and port and 0 < int(port) < 65536):
        yield f"{_name('self_test')}: '{test}' is neither auto nor no nor IP:port; with a host name hbbs would end at once"
    if not 0 <= int(inputs["udp_receive_buffer"]) < 2**31:
        yield f"{_name('udp_receive_buffer')}: {inputs['udp_receive_buffer']} is not a number of bytes"
    if inputs["lan_mask"]:
        try:
            ipaddress.IPv4Network(str(inputs["lan_mask"]), strict=False)
        except ValueError:
            yield f"{_name('lan_mask')}: '{inputs['lan_mask']}' is not an IPv4 network such as 192.168.0.0/16"
    if inputs["lan_address"]:
        if not _is_address(str(inputs["lan_address"])):
            yield f"{_name('lan_address')}: '{inputs['lan_address']}' is not an address"
        if not inputs["lan_mask"]:
            yield f"{_name('lan_address')}: has no effect without {_name('lan_mask')}; give both or none"
    for server in map(str, inputs["rendezvous_servers"]):
        if not _is_host(split_endpoint(server)[0]):
            yield f"{_name('rendezvous_servers')}: '{server}' is not host or host:port"
    if int(inputs["serial"]) < 0:
        yield f"{_name('serial')}: {inputs['serial']} is negative"
    url = urlsplit(str(inputs["software_url"]))
    if inputs["software_url"] and (url.scheme not in ("http", "https") or not url.hostname):
        yield f"{_name('software_url')}: '{inputs['software_url']}' is not an http or https address"


def _hbbr(inputs: Inputs) -> Iterator[str]:
    bandwidths = ("bandwidth_single_mbit", "bandwidth_total_mbit", "bandwidth_slowed_mbit")
    for name in bandwidths:
        if float(inputs[name]) <= 0:
            yield f"{_name(name)}: {inputs[name]} is not a bandwidth; give Mbit/s above 0 (hbbr would ignore it in silence)"
    single, total, slowed = (float(inputs[name]) for name in bandwidths)
    if 0 < total < single:
        yield f"{_name('bandwidth_single_mbit')}: {inputs['bandwidth_single_mbit']} is more than {_name('bandwidth_total_mbit')} ({inputs['bandwidth_total_mbit']}) allows"
    if 0 < single < slowed:
        yield f"{_name('bandwidth_slowed_mbit')}: {inputs['bandwidth_slowed_mbit']} is faster than {_name('bandwidth_single_mbit')} ({inputs['bandwidth_single_mbit']})"
    if not 0 < float(inputs["slowdown_threshold"]) <= 1:
        yield f"{_name('slowdown_threshold')}: {inputs['slowdown_threshold']} is not a share above 0 and up to 1"
    if int(inputs["slowdown_after_s"]) < 1:
        yield f"{_name('slowdown_after_s')}: {inputs['slowdown_after_s']} is not a time; give seconds, 1 or more"
    for name in ("blocked_addresses", "slowed_addresses"):
        for address in map(str, inputs[name]):
            if not _is_address(address):
                yield f"{_name(name)}: '{address}' is not an IP address; hbbr compares single addresses, it knows no networks or names"
    if not 1024 <= int(inputs["limit_nofile"]) <= 1073741816:
        yield f"{_name('limit_nofile')}: {inputs['limit_nofile']} is not within 1024 to 1073741816"


def _verification(inputs: Inputs) -> Iterator[str]:
    if int(inputs["verify_timeout"]) < 1:
        yield f"{_name('verify_timeout')}: {inputs['verify_timeout']} is not a time; give seconds, 1 or more"
    address = str(inputs["verify_address"])
    if address and not _is_host(address):
        yield f"{_name('verify_address')}: '{address}' is not a host name or an address"
    where = str(inputs["verify_from"])
    if where not in ("controller", "host", *inputs["inventory_hosts"]):
        yield f"{_name('verify_from')}: '{where}' is neither controller nor host nor the name of a host of the inventory"


def _platform_faults(inputs: Inputs, releases: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[str]:
    if not host["systemd"]:
        yield "the host is not managed by systemd, which runs and confines the services; deploy to one that is"
    if inputs["state"] == "absent":
        return
    architecture = inputs["architecture"] or host["architecture"]
    if not architecture:
        yield f"{_name('architecture')}: upstream has no release for {host['machine']}, only for {', '.join(DIRECTORIES)}; deploy to such a host"
        return
    if inputs["architecture"] and inputs["architecture"] != host["architecture"]:
        yield f"{_name('architecture')}: {inputs['architecture']} does not run on {host['machine']}; leave it empty"
    digest = archive_digests(inputs, releases).get(architecture, "")
    archive = Path(str(inputs["archive_file"]))
    if not digest and inputs["version"] in releases:
        yield f"{_name('archive_sha256')}: is needed, because the role has no pin of version {inputs['version']} for {architecture}"
    elif host["release_fault"] and digest and inputs["archive_file"] and archive.is_file():
        fault = archive_fault(archive, architecture, digest)
        if fault:
            yield f"{_name('archive_file')}: {fault}"
    if host["release_fault"] and host["archive_fault"]:
        yield f"{_name('archive_remote_file')}: {host['archive_fault']}"


def _place_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if inputs["state"] == "absent":
        return
    needed = SPARE_BYTES
    if inputs["archive_file"]:
        # The archive is staged beside what it is unpacked to.
        needed = unpacked_size(Path(str(inputs["archive_file"]))) * 2 + SPARE_BYTES // 16
    for name, room in (("install_dir", needed if host["release_fault"] else 0), ("state_dir", SPARE_BYTES // 16)):
        if host["free_bytes"][name] < room:
            yield f"{_name(name)}: {inputs[name]} has {host['free_bytes'][name] // 1048576} MiB free, {room // 1048576 + 1} MiB are needed; make room or choose another place"
    for sentence in host["occupied"]:
        yield f"{_port_variable(inputs, sentence)}: {sentence}; stop that, or choose another port"
    for name in host["unresolved"]:
        yield f"{_name('relays')}: the host cannot resolve {name}, and hbbs would drop that relay in silence; correct the name or the host's DNS"
    if host["env_file"]:
        yield f"{_name('state_dir')}: {inputs['state_dir']}/.env would override settings of the role; carry its values over to variables and remove it"


def _port_variable(inputs: Inputs, sentence: str) -> str:
    relay = int(inputs["relay_port"])
    port = int(sentence.partition("/")[0])
    return _name("relay_port" if inputs["mode"] != "rendezvous" and port in (relay, relay + 2) else "port")


def _key_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if inputs["state"] == "absent" or inputs["mode"] == "relay" or inputs["key_rotate"]:
        return
    key = host["key"]
    public = str(inputs["public_key"])
    try:
        given = KeyPair.parse(str(inputs["private_key"])) if inputs["private_key"] else None
        expected = fingerprint(parse_public(public)) if public else ""
    except KeyFormatError:
        return
    source = _name("private_key" if inputs["private_key_given"] else "private_key_file")
    restores = key["state"] == "public_only" and given and given.public_text == key["public_key"]
    if key["state"] in ("malformed", "public_only") and not restores:
        yield f"{_name('state_dir')}: {key['detail']}; restore the key from a backup, or set {_name('key_rotate')} once to replace it"
    elif key["state"] == "valid" and given and given.public_text != key["public_key"]:
        yield (
            f"{source}: has the fingerprint {given.fingerprint}, but the host has the key {key['fingerprint']}; remove the variable to keep "
            f"the host's key, or set {_name('key_rotate')} once to replace it and then configure every client anew"
        )
    elif key["state"] == "valid" and public and public != key["public_key"]:
        yield (
            f"{_name('public_key')}: has the fingerprint {expected}, but the host has the key {key['fingerprint']} ({key['public_key']}); "
            f"correct the variable, or import the key it belongs to with {_name('private_key')} and {_name('key_rotate')}"
        )
    elif key["state"] == "absent" and public and not given:
        yield (
            f"{_name('public_key')}: is given, but the host has no key yet and would generate another one; "
            f"give {_name('private_key')} (vaulted) to import the pair, or leave {_name('public_key')} empty to generate one"
        )
