# SPDX-License-Identifier: MIT
"""What the inputs of the role rustdesk_client mean, and what is wrong with them: one sentence for each fault.

Runs on the controller. A sentence names the variable, what is wrong with its value and the way out, and never repeats a
secret. Types and misspelt names are checked before, see `role_inputs`.
"""

from __future__ import annotations

import difflib
import importlib.util
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils import client_options
from ansible.module_utils.ed25519 import KeyFormatError, is_private, parse_public
from ansible.module_utils.server_inputs import is_host, split_endpoint

PREFIX = "rustdesk_client_"

DEFAULT_PORT = 21116
"""Of the ID server, where its name says no other (hbb_common src/config.rs, RENDEZVOUS_PORT)."""

LONGEST_SECRET = 128
"""Characters of a secret; the client drops a longer one in silence (hbb_common ENCRYPT_MAX_LEN)."""
SHORTEST_PASSWORD = 8

SCHEMES = ("socks5", "http", "https")
MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64"}
"""Architectures of the packages by the kernel's names for them."""

PACKAGE_NAMES = {"amd64": "x86_64.deb", "arm64": "aarch64.deb", "msi": "x86_64.msi", "exe": "x86_64.exe"}
"""What upstream's names of packages end in, after name and version, by kind or architecture."""

QOS_PATHS = ("/etc/nftables-rustdesk-client.nft", "/etc/systemd/system/rustdesk-client-qos.service")

_VERSION = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}(-[0-9]{1,9})?")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""What no value may have in it: control characters, and halves of characters, which JSON can hold and no file."""
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]{2,4})?")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:\\[^<>:\"/|?*\x00-\x1f]*[^<>:\"/|?*\x00-\x1f\\. ]")

Inputs = Mapping[str, Any]
"""The role's variables without their prefix, and what belongs to them:

* `windows`: whether the host is one
* `packages`: the pinned packages, version: kind or architecture: `{"file": …, "sha256": …}`
* `package_path`, `launcher_path`: where `package_file` and `verify_launcher` were found on the controller, "" when not
"""

Settings = dict[str, dict[str, dict[str, "str | None"]]]


def _name(variable: str) -> str:
    return PREFIX + variable


# --- What the inputs mean -------------------------------------------------------------------------------------------


def settings(inputs: Inputs) -> Settings:
    """Return what the client's files have to say: file, table, key, value; None for a key that must not be there.

    What nobody asked for is not in it and stays as the user has it. Which server is used is always asked for.
    """
    found: Settings = {"RustDesk2.toml": {"options": _options(inputs)}}
    proxy = _proxy(inputs)
    if proxy:
        found["RustDesk2.toml"]["socks"] = proxy
    local: dict[str, str | None] = dict(inputs["local_options"])
    local[client_options.CHECK_UPDATE] = _flag(inputs["check_update"])
    if inputs["language"]:
        local["lang"] = str(inputs["language"])
    found["RustDesk_local.toml"] = {"options": local}
    if inputs["display_options"]:
        found["RustDesk_default.toml"] = {"options": dict(inputs["display_options"])}
    if inputs["permanent_password"]:
        found["RustDesk.toml"] = {"": {"password": str(inputs["permanent_password"])}}
    return found


def server_name(inputs: Inputs) -> str:
    """Return the ID server as the client writes it: with a port where it is not the usual one."""
    host, port = split_endpoint(str(inputs["id_server"]))
    number = port or str(inputs["port"])
    shown = f"[{host}]" if ":" in host else host
    return shown if int(number) == DEFAULT_PORT else f"{shown}:{number}"


def probe(inputs: Inputs) -> dict[str, str]:
    """Return where the proofs find the server."""
    host, port = split_endpoint(str(inputs["id_server"]))
    relay_host, relay_port = split_endpoint(str(inputs["relay_server"] or host))
    number = relay_port or str(inputs["relay_port"])
    return {
        "host": host,
        "port": port or str(inputs["port"]),
        "relay": f"[{relay_host}]:{number}" if ":" in relay_host else f"{relay_host}:{number}",
    }


def _flag(value: object) -> str:
    return "Y" if value else "N"


def _options(inputs: Inputs) -> dict[str, str | None]:
    options: dict[str, str | None] = {
        "custom-rendezvous-server": server_name(inputs),
        "key": str(inputs["key"]).strip(),
        "relay-server": str(inputs["relay_server"]) or None,
        "api-server": str(inputs["api_server"]) or None,
        "allow-auto-update": _flag(inputs["auto_update"]),
        "direct-server": _flag(inputs["direct_access"]),
        "enable-lan-discovery": _flag(inputs["lan_discovery"]),
        "allow-remote-config-modification": _flag(inputs["remote_configuration"]),
    }
    if inputs["role"] == "controlled":
        options |= dict.fromkeys(client_options.UNREACHABLE)
    if inputs["direct_access"]:
        options["direct-access-port"] = str(inputs["direct_access_port"])
    if inputs["whitelist"]:
        options["whitelist"] = ",".join(map(str, inputs["whitelist"]))
    for variable, key in (
        ("approve_mode", "approve-mode"),
        ("verification_method", "verification-method"),
        ("access_mode", "access-mode"),
    ):
        if inputs[variable]:
            options[key] = str(inputs[variable])
    for permission, allowed in inputs["permissions"].items():
        options[client_options.PERMISSIONS[permission]] = _flag(allowed)
    return options | dict(inputs["options"])


def _proxy(inputs: Inputs) -> dict[str, str | None]:
    if inputs["proxy_url"]:
        return {
            "proxy": str(inputs["proxy_url"]),
            "username": str(inputs["proxy_username"]) or None,
            "password": str(inputs["proxy_password"] or "") or None,
        }
    return dict.fromkeys(("proxy", "username", "password")) if inputs["proxy_remove"] else {}


def package(inputs: Inputs, machine: str) -> dict[str, str]:
    """Return file, sha256 and kind of the package for a machine; without a digest there is none to trust."""
    kind = str(inputs["package_kind"]) if inputs["windows"] else MACHINES.get(machine, "")
    pin = inputs["packages"].get(str(inputs["version"]), {}).get(kind, {})
    given = Path(_path_of(str(inputs["package_url"])) or str(inputs["package_file"])).name
    of_upstream = f"rustdesk-{inputs['version']}-{PACKAGE_NAMES[kind]}" if kind in PACKAGE_NAMES else ""
    return {
        "file": str(pin.get("file", "")) or given or of_upstream,
        "sha256": (str(inputs["package_sha256"]) or str(pin.get("sha256", ""))).lower(),
        "kind": kind,
    }


def _path_of(url: str) -> str:
    """Return the path of an address, "" of what is none: where it matters, `faults` says so."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


# --- What the variables show by themselves --------------------------------------------------------------------------


def faults(inputs: Inputs) -> list[str]:
    """Return every fault that the variables show by themselves."""
    found = [*_controller(), *_users(inputs)]
    if inputs["state"] == "present":
        checks = (_server, _access, _secrets, _options_faults, _proxies, _packages, _qos, _verification)
        found += [fault for check in checks for fault in check(inputs)]
    return found


def _controller() -> Iterator[str]:
    if importlib.util.find_spec("tomlkit") is None:
        yield (
            "rustdesk_client: the controller's Python has no tomlkit, with which settings are merged; "
            "install it there, such as by pip install tomlkit"
        )


def _users(inputs: Inputs) -> Iterator[str]:
    users = list(map(str, inputs["users"]))
    for user in users:
        if not _is_user(user):
            yield f"{_name('users')}: '{user}' is not a user's name; give the name alone, without a path or a domain"
    for user in sorted({user for user in users if users.count(user) > 1}):
        yield f"{_name('users')}: names {user} twice; name every user once"
    if inputs["portable"] and not users and not inputs["discover_users"]:
        yield (
            f"{_name('discover_users')}: is off and {_name('users')} is empty, so with {_name('portable')} there is no "
            "profile to configure; name the users"
        )
    path = str(inputs["windows_users_directory"])
    if not _WINDOWS_PATH.fullmatch(path):
        yield f"{_name('windows_users_directory')}: '{path}' is not a directory of Windows; write it like C:\\Users"


def _is_user(name: str) -> bool:
    return bool(name.strip()) and not re.search(r"[/\\:\x00-\x1f]", name)


def _endpoint_fault(text: str) -> str:
    host, port = split_endpoint(text)
    if "://" in text:
        return f"'{text}' is a URL; give the name alone, such as rustdesk.example.org"
    if not is_host(host) or (port and not 0 < int(port) < 2**16):
        return f"'{text}' is not host or host:port; give a name such as rustdesk.example.org"
    return ""


def _server(inputs: Inputs) -> Iterator[str]:
    server, relay = str(inputs["id_server"]), str(inputs["relay_server"])
    if not server:
        yield f"{_name('id_server')}: is empty, so clients would use RustDesk's public servers; give the name of yours"
    else:
        fault = _endpoint_fault(server)
        if fault:
            yield f"{_name('id_server')}: {fault}"
    fault = _endpoint_fault(relay) if relay else ""
    if fault:
        yield f"{_name('relay_server')}: {fault}"
    for variable in ("port", "relay_port"):
        if not 2 < int(inputs[variable]) < 2**16 - 2:
            yield f"{_name(variable)}: {inputs[variable]} cannot be a port of the server; give 3 to 65533"
    yield from _public_key(str(inputs["key"]).strip())
    api = str(inputs["api_server"])
    if api and not _is_url(api):
        yield f"{_name('api_server')}: '{_without_password(api)}' is not an http or https address; correct or empty it"


def _public_key(key: str) -> Iterator[str]:
    if not key:
        yield (
            f"{_name('key')}: is empty, so sessions would not be encrypted end to end and the server would refuse "
            "them; give the server's public key, the content of id_ed25519.pub"
        )
    elif is_private(key):
        yield f"{_name('key')}: is a private key, which no client may have; give the content of id_ed25519.pub"
    else:
        try:
            parse_public(key)
        except KeyFormatError as error:
            yield f"{_name('key')}: {error}"


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return (
            url.scheme in ("http", "https")
            and bool(url.hostname)
            and url.port != 0
            and not re.search(f" |{_CONTROL.pattern}", text)
        )
    except ValueError:
        return False


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", text)


def _access(inputs: Inputs) -> Iterator[str]:
    for entry in map(str, inputs["whitelist"]):
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            yield (
                f"{_name('whitelist')}: '{entry}' is neither an address nor a network; "
                "write it like 192.0.2.7 or 192.0.2.0/24"
            )
            continue
        if network.network_address.is_unspecified:
            yield (
                f"{_name('whitelist')}: {entry} lets everybody in, whatever else is listed; "
                "remove it, or leave the list empty to allow everybody"
            )
    unknown = sorted(set(map(str, inputs["permissions"])) - set(client_options.PERMISSIONS))
    for name in unknown:
        yield (
            f"{_name('permissions')}: there is no permission '{name}'"
            f"{_did_you_mean(name, client_options.PERMISSIONS)}; known are {', '.join(client_options.PERMISSIONS)}"
        )
    for name, allowed in inputs["permissions"].items():
        if name in client_options.PERMISSIONS and not isinstance(allowed, bool):
            yield f"{_name('permissions')}: {name} has to be true or false, without quotes"
    if inputs["permissions"] and inputs["access_mode"] in ("full", "view"):
        yield (
            f"{_name('permissions')}: have no effect while {_name('access_mode')} is {inputs['access_mode']}; "
            "set that to custom, or leave the permissions out"
        )
    if not 1024 <= int(inputs["direct_access_port"]) < 2**16:
        yield f"{_name('direct_access_port')}: {inputs['direct_access_port']} cannot be used; give 1024 to 65535"
    language = str(inputs["language"])
    if language and not _LANGUAGE.fullmatch(language):
        yield f"{_name('language')}: '{language}' is not a language of RustDesk; write it like de, en or zh-cn"


def _did_you_mean(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (is {close[0]} meant?)" if close else ""


def _secrets(inputs: Inputs) -> Iterator[str]:
    password = str(inputs["permanent_password"] or "")
    if password:
        yield from (f"{_name('permanent_password')}: {fault}" for fault in _password_faults(password))
        if inputs["verification_method"] == "use-temporary-password":
            yield (
                f"{_name('permanent_password')}: has no effect while {_name('verification_method')} is "
                "use-temporary-password; remove one of them"
            )
    proxy_password = str(inputs["proxy_password"] or "")
    if len(proxy_password) > LONGEST_SECRET or _CONTROL.search(proxy_password):
        yield (
            f"{_name('proxy_password')}: is longer than {LONGEST_SECRET} characters or has a control character in it, "
            "and the client would drop it; correct it"
        )
    if _CONTROL.search(str(inputs["proxy_username"])):
        yield f"{_name('proxy_username')}: has a control character or half a character in it; remove it"


def _password_faults(password: str) -> Iterator[str]:
    if len(password) < SHORTEST_PASSWORD:
        yield f"has fewer than {SHORTEST_PASSWORD} characters; choose a longer one"
    if len(password) > LONGEST_SECRET:
        yield f"has more than {LONGEST_SECRET} characters, and the client would drop it in silence; shorten it"
    if password.startswith(client_options.ENCRYPTED):
        yield "begins with 00 or 01, which the client takes for one that is encrypted; let it begin with something else"
    if _CONTROL.search(password) or password != password.strip():
        yield "has a line break, another control character or a blank at its end; remove it"


def _options_faults(inputs: Inputs) -> Iterator[str]:
    for variable, file in client_options.FILES.items():
        for key, value in inputs[variable].items():
            fault = _option_fault(variable, key, value, file, inputs)
            if fault:
                yield f"{_name(variable)}: {fault}"


def _option_fault(variable: str, key: object, value: object, file: str, inputs: Inputs) -> str:
    if not isinstance(key, str):
        return f"the name {key} has to be text, which options have for a name; put it in quotes, or remove it"
    if key in client_options.OWN_VARIABLES:
        return f"{key} has a variable of its own; give it with {_name(client_options.OWN_VARIABLES[key])}"
    if not isinstance(value, str):
        return (
            f"{key} has to be text, because RustDesk ignores every option when one of them is not; "
            "put its value in quotes, for a switch 'Y' or 'N'"
        )
    if _CONTROL.search(value) or _CONTROL.search(key) or not key:
        return f"{key!r} has a control character or half a character in it, or no name; remove it"
    if value == "Y" and inputs["role"] == "controlled" and key in client_options.UNREACHABLE:
        return (
            f"{key} makes the computer unreachable, because the open-source server takes registrations from a running "
            f"service over UDP only; remove it, or set {_name('role')} to controlling where it only controls others"
        )
    return _name_fault(variable, key, file)


def _name_fault(variable: str, key: str, file: str) -> str:
    if key in client_options.KNOWN[variable]:
        return ""
    home = next((name for name, keys in client_options.KNOWN.items() if key in keys), "")
    if home:
        return f"{key} belongs to another file than {file}; give it with {_name(home)}"
    meant = _did_you_mean(key, client_options.KNOWN[variable])
    return f"RustDesk has no option {key}{meant}; correct it" if meant else ""


def _proxies(inputs: Inputs) -> Iterator[str]:
    url = str(inputs["proxy_url"])
    if not url:
        for variable in ("proxy_username", "proxy_password"):
            if inputs[variable]:
                yield f"{_name(variable)}: has no effect without {_name('proxy_url')}; give both, or remove it"
        return
    if inputs["role"] == "controlled":
        yield (
            f"{_name('proxy_url')}: a computer behind a proxy can control others but cannot be controlled, because "
            "registration with the open-source server is UDP only and goes through no proxy; remove it, or set "
            f"{_name('role')} to controlling"
        )
    if inputs["proxy_remove"]:
        yield f"{_name('proxy_remove')}: contradicts {_name('proxy_url')}; keep one of them"
    yield from _proxy_url(url)
    if inputs["proxy_password"] and not inputs["proxy_username"]:
        yield f"{_name('proxy_password')}: has no effect without {_name('proxy_username')}; give both"


def _proxy_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit("//"), "", None
    if "@" in url:
        yield (
            f"{_name('proxy_url')}: has a user or a password in it; give them with {_name('proxy_username')} and "
            f"{_name('proxy_password')}"
        )
    elif (
        parts.scheme not in SCHEMES
        or not is_host(host)
        or not port
        or parts.path not in ("", "/")
        or _CONTROL.search(url)
    ):
        yield (
            f"{_name('proxy_url')}: '{url}' is not a proxy; "
            "write it like socks5://proxy.example.org:1080 (or http, https)"
        )


def _packages(inputs: Inputs) -> Iterator[str]:
    if not inputs["install"]:
        return
    version, digest = str(inputs["version"]), str(inputs["package_sha256"])
    if inputs["portable"]:
        yield f"{_name('install')}: contradicts {_name('portable')}, which means that nothing is installed; keep one"
    if not _VERSION.fullmatch(version):
        yield (
            f"{_name('version')}: '{version}' is not a version of RustDesk; give one such as {max(inputs['packages'])}"
        )
    elif version not in inputs["packages"] and not digest:
        yield (
            f"{_name('package_sha256')}: is needed, because the role has no pin for version {version} "
            f"(it has {', '.join(sorted(inputs['packages']))}); give the sha256 of its package"
        )
    if digest and not _SHA256.fullmatch(digest):
        yield (
            f"{_name('package_sha256')}: has {len(digest)} characters and is not a sha256; "
            "give the 64 hexadecimal digits that sha256sum prints"
        )
    if inputs["package_url"] and inputs["package_file"]:
        yield f"{_name('package_url')} and {_name('package_file')}: name different sources of the package; keep one"
    for variable in ("package_mirror", "package_url"):
        value = str(inputs[variable])
        if value and not _is_url(value):
            yield f"{_name(variable)}: '{_without_password(value)}' is not an http or https address; correct it"
    if not inputs["package_mirror"] and not inputs["package_url"] and not inputs["package_file"]:
        yield f"{_name('package_mirror')}: is empty; remove the variable to take upstream's, or name another source"
    if inputs["package_file"] and not _readable(str(inputs["package_path"])):
        yield (
            f"{_name('package_file')}: there is no file {inputs['package_file']} that can be read on the controller; "
            "correct the path"
        )
    if int(inputs["package_timeout"]) < 1:
        yield f"{_name('package_timeout')}: {inputs['package_timeout']} is not a time; give seconds, 1 or more"


def _readable(path: str) -> bool:
    return bool(path) and Path(path).is_file() and os.access(path, os.R_OK)


def _qos(inputs: Inputs) -> Iterator[str]:
    if not 0 <= int(inputs["qos_dscp"]) < 64:
        yield f"{_name('qos_dscp')}: {inputs['qos_dscp']} is not a DSCP; give 0 to 63, such as 8 (CS1) for background"


def _verification(inputs: Inputs) -> Iterator[str]:
    if int(inputs["verify_timeout"]) < 1:
        yield f"{_name('verify_timeout')}: {inputs['verify_timeout']} is not a time; give seconds, 1 or more"
    if inputs["windows"] and inputs["verify_launcher"] and not _readable(str(inputs["launcher_path"])):
        yield (
            f"{_name('verify_launcher')}: there is no file {inputs['verify_launcher']} that can be read on the "
            "controller; build the launcher with playbooks/bundle.yml, or remove the variable to go without proofs on "
            "Windows"
        )


# --- What shows when they meet the host -----------------------------------------------------------------------------


def host_faults(inputs: Inputs, host: Mapping[str, Any]) -> list[str]:
    """Return every fault that shows when the variables meet the host, except those of its files (see client_plan).

    Args:
        inputs: as in `faults`.
        host: what the module rustdesk_client_info, or the tasks for Windows, returned.
    """
    found = [*_host_users(inputs, host)]
    if inputs["state"] == "present":
        checks = (_host_service, _host_package, _host_proxies, _host_qos)
        found += [fault for check in checks for fault in check(inputs, host)]
    return found


def _host_users(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    for user in filter(_is_user, host["unknown_users"]):
        yield f"{_name('users')}: the host has no user {user} with a profile; correct or remove the name"
    if inputs["state"] == "present" and not host["profiles"]:
        yield (
            f"{_name('users')}: there is no profile to configure, because nobody has one on this host; "
            f"name users, or leave {_name('portable')} off to configure the service"
        )


def _host_service(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    exists = host["service"]["exists"]
    if inputs["portable"] and exists:
        yield (
            f"{_name('portable')}: the host runs RustDesk as a service, which does not read users' settings; "
            "leave it off to configure the service too"
        )
    if inputs["service"] == "running" and not exists and not inputs["install"]:
        yield (
            f"{_name('service')}: there is no RustDesk service on this host that could run; "
            f"set {_name('install')}, or leave it as it is found"
        )


def _host_package(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if not inputs["install"] or host["package"]:
        return
    if not inputs["windows"] and not host["dpkg"]:
        yield (
            f"{_name('install')}: this host has no dpkg, and only packages of Debian are pinned; "
            "install RustDesk otherwise"
        )
        return
    wanted = package(inputs, host["machine"])
    if not wanted["sha256"]:
        yield (
            f"{_name('package_sha256')}: is needed, because the role has no pin of version {inputs['version']} for "
            f"{host['machine']}; give the sha256 of its package"
        )
    if not wanted["file"]:
        yield (
            f"{_name('package_url')}: is needed, because the role does not know how upstream names its package for "
            f"{host['machine']}; give its address, or {_name('package_file')}"
        )


def _host_proxies(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if inputs["role"] != "controlled" or inputs["proxy_remove"]:
        return
    for profile in host["profiles"]:
        if client_options.proxy_in(profile):
            yield (
                f"{_name('role')}: the settings of {profile['name']} hold a proxy that somebody has set, and behind it "
                f"the computer cannot be controlled; set {_name('proxy_remove')}, or {_name('role')} to controlling"
            )


def _host_qos(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if inputs["qos"] and not inputs["windows"] and not (host["nft"] and host["systemd"]):
        yield (
            f"{_name('qos')}: marks packets with nftables and systemd, and this host lacks one of them; "
            "install it, or leave it off"
        )
