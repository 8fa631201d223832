"""Every input of the role that cannot work is told by its name, with what is wrong and the way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ansible.module_utils import role_inputs, server_inputs
from ansible.module_utils.server_inputs import (
    faults,
    host_faults,
    masked,
    names_to_resolve,
    needed_ports,
    split_endpoint,
)

from .support import ROLE, as_nobody, pair, release_archive

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "rustdesk_server_"
PAIR, OTHER = pair(1), pair(2)
DIGEST = "0565c41affe6c3f409b0bddfaf5a24ccbf3f64f5f8e3fec250b69a0d5f6bdbcf"

SPEC: dict[str, dict[str, Any]] = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))[
    "argument_specs"
]["main"]["options"]
RELEASES: dict[str, Any] = yaml.safe_load((ROLE / "vars" / "main" / "releases.yml").read_text(encoding="utf-8"))[
    "__rustdesk_server_releases"
]

SITE: dict[str, object] = {
    "host": "rustdesk.example.org",
    "relays": [],
    "api": "",
    "port": 21116,
    "relay_port": 21117,
    "public_key": "",
    "private_key": "",
}
"""What has no default, or one that comes from the site."""

EXTRA: dict[str, object] = {
    "archive_path": "",
    "private_key_given": False,
    "private_key_defined": False,
    "inventory_hosts": ["server", "client"],
}


def inputs(**changes: object) -> dict[str, Any]:
    """Return good inputs with some changes; a private key counts as given by its variable."""
    defaults = {name.removeprefix(PREFIX): option.get("default") for name, option in SPEC.items()}
    made = defaults | SITE | EXTRA
    if changes.get("private_key") and not changes.get("private_key_file"):
        made |= {"private_key_given": True, "private_key_defined": True}
    if changes.get("archive_file"):
        made["archive_path"] = changes["archive_file"]
    return made | changes


# --- What the variables show by themselves ----------------------------------------------------------------------------

NOWHERE = "/no/such/archive.zip"

BAD: list[tuple[str, dict[str, object], str]] = [
    # Names.
    ("host", {"host": ""}, "is empty; give the name clients connect to, for all roles as rustdesk_host"),
    ("host", {"host": "my host"}, "'my host' is neither a host name nor an address; give the bare name"),
    ("host", {"host": "rustdesk.example.org:21116"}, "a port goes into rustdesk_server_port"),
    ("host", {"host": "https://rustdesk.example.org"}, "is neither a host name nor an address"),
    ("host", {"host": "192.168.1.300"}, "'192.168.1.300' is neither a host name nor an address"),
    ("host", {"host": "10.1"}, "is neither a host name nor an address"),
    ("host", {"host": "-rustdesk.example.org"}, "is neither a host name nor an address"),
    ("host", {"host": "rust_desk.example.org"}, "is neither a host name nor an address"),
    ("host", {"host": "a" * 64 + ".example.org"}, "is neither a host name nor an address"),
    ("host", {"host": ".".join(["a" * 60] * 5)}, "is neither a host name nor an address"),
    ("host", {"host": "fe80::1%eth0"}, "is neither a host name nor an address"),
    ("host", {"host": "127.0.0.1"}, "no client reaches 127.0.0.1; give the name or address clients connect to"),
    ("host", {"host": "::1"}, "no client reaches ::1; give the name or address clients connect to"),
    ("relays", {"relays": ["relay.example.org:0"]}, "'relay.example.org:0' is not host or host:port"),
    ("relays", {"relays": ["relay.example.org:70000"]}, "is not host or host:port; correct or remove it"),
    ("relays", {"relays": ["a.example.org,b.example.org"]}, "is not host or host:port"),
    ("relays", {"relays": [""]}, "'' is not host or host:port"),
    ("relays", {"relays": ["relay.example.org:"]}, "is not host or host:port"),
    ("relays", {"relays": ["a.example.org", "a.example.org"]}, "names a relay twice; remove one of them"),
    (
        "relays",
        {"relays": ["2001:db8::3"]},
        "hbbs reads an IPv6 address only with its port, and would drop 2001:db8::3 in silence; write",
    ),
    ("relays", {"relays": ["[2001:db8::3]"]}, "would drop [2001:db8::3] in silence; write [2001:db8::3]:21117"),
    ("rendezvous_servers", {"rendezvous_servers": ["2001:db8::3"]}, "in silence; write [2001:db8::3]:21116"),
    (
        "relays",
        {"mode": "rendezvous"},
        "is empty, but in the mode rendezvous no relay runs on this host; name at least",
    ),
    ("api", {"api": "rustdesk.example.org"}, "is not an http or https address, such as https://example.org/path"),
    ("api", {"api": "https://"}, "is not an http or https address"),
    ("api", {"api": "http://[::1"}, "is not an http or https address"),
    # Ports.
    ("port", {"port": 0}, "0 cannot be used; give 1025 to 65533"),
    (
        "port",
        {"port": 1024},
        "1024 cannot be used; give 1025 to 65533, because the services have no right to ports below",
    ),
    ("port", {"port": "65534"}, "65534 cannot be used; give 1025 to 65533"),
    ("port", {"port": -1}, "-1 cannot be used"),
    ("relay_port", {"relay_port": 1023}, "1023 cannot be used; give 1024 to 65533"),
    ("relay_port", {"relay_port": 65535}, "65535 cannot be used; give 1024 to 65533"),
    ("port and relay_port", {"relay_port": 21116}, "21116 and 21116 both need 21116/tcp, 21118/tcp"),
    ("port and relay_port", {"relay_port": 21118}, "both need 21118/tcp (hbbs takes port-1, port and port+2"),
    ("port and relay_port", {"relay_port": 21115}, "both need 21115/tcp"),
    ("port and relay_port", {"relay_port": 21114}, "both need 21116/tcp"),
    (
        "bind_address",
        {"bind_address": "eth0", "version": "1.1.17", "archive_sha256": DIGEST},
        "'eth0' is not an IPv4 or IPv6 address; give one of",
    ),
    (
        "bind_address",
        {"bind_address": "fe80::1%eth0", "version": "1.1.17", "archive_sha256": DIGEST},
        "is not an IPv4 or IPv6 address",
    ),
    (
        "bind_address",
        {"bind_address": "127.0.0.1", "version": "1.1.17", "archive_sha256": DIGEST},
        "no client reaches 127.0.0.1; give an address",
    ),
    (
        "bind_address",
        {"bind_address": "::1", "version": "1.1.17", "archive_sha256": DIGEST},
        "no client reaches ::1; give an address of the host",
    ),
    (
        "bind_address",
        {"bind_address": "192.0.2.1"},
        "needs version 1.1.17, but rustdesk_server_version is 1.1.16; leave",
    ),
    # The release.
    ("version", {"version": "latest"}, "'latest' is not a version of rustdesk-server; give one such as 1.1.16"),
    ("version", {"version": ""}, "'' is not a version of rustdesk-server"),
    ("version", {"version": "v1.1.16"}, "is not a version of rustdesk-server"),
    ("version", {"version": "1.1"}, "is not a version of rustdesk-server"),
    ("version", {"version": "../1.1.16"}, "is not a version of rustdesk-server"),
    ("version", {"version": "1.1.15"}, "1.1.15 can be used for UDP reflection (CVE-2026-30784); take 1.1.16 or newer"),
    ("version", {"version": "0.9.99"}, "can be used for UDP reflection"),
    ("version", {"version": "1.1.11-1", "archive_sha256": DIGEST}, "can be used for UDP reflection"),
    (
        "archive_sha256",
        {"version": "1.2.0"},
        "is needed, because the role has no pin for version 1.2.0 (it has 1.1.16)",
    ),
    (
        "archive_sha256",
        {"archive_sha256": DIGEST[:-1]},
        "has 63 characters and is not a sha256; give the 64 hexadecimal",
    ),
    ("archive_sha256", {"archive_sha256": "sha256:" + DIGEST}, "has 71 characters and is not a sha256"),
    ("archive_sha256", {"archive_sha256": "g" * 64}, "has 64 characters and is not a sha256"),
    (
        "archive_mirror",
        {"archive_mirror": ""},
        "is empty; remove the variable to take upstream's, or name another source",
    ),
    ("archive_mirror", {"archive_mirror": "ftp://mirror.example.org"}, "is not an http or https address"),
    ("archive_mirror", {"archive_mirror": "mirror.example.org/rustdesk"}, "is not an http or https address"),
    ("archive_url", {"archive_url": "file:///root/a.zip"}, "is not an http or https address"),
    ("archive_url", {"archive_url": "https://[broken/a.zip"}, "is not an http or https address"),
    ("archive_url", {"archive_url": "https://example.org:99999/a.zip"}, "is not an http or https address"),
    ("archive_url", {"archive_url": "https://example.org/a b.zip"}, "is not an http or https address"),
    (
        "archive_file",
        {"archive_file": NOWHERE},
        f"there is no file {NOWHERE} that can be read on the controller; correct",
    ),
    ("archive_file", {"archive_file": "/etc"}, "there is no file /etc that can be read on the controller"),
    ("archive_file", {"archive_file": "a.zip", "archive_path": ""}, "there is no file a.zip that can be read on the"),
    ("archive_file", {"archive_file": "/root\0"}, "that can be read on the controller"),
    (
        "archive_remote_file",
        {"archive_remote_file": "a.zip"},
        "'a.zip' is not an absolute path; give the whole path on",
    ),
    (
        "archive_url and archive_remote_file",
        {"archive_url": "https://example.org/a.zip", "archive_remote_file": "/a.zip"},
        "name different sources of the archive; keep one",
    ),
    (
        "archive_file and archive_remote_file",
        {"archive_file": __file__, "archive_remote_file": "/a.zip"},
        "name different sources of the archive; keep one",
    ),
    ("archive_timeout", {"archive_timeout": 0}, "0 is not a time; give seconds, 1 or more"),
    ("keep_versions", {"keep_versions": 0}, "0 would remove the running release; give 1 or more"),
    # Place and user.
    ("install_dir", {"install_dir": ""}, "'' is not a plain absolute path; use letters, digits and"),
    ("install_dir", {"install_dir": "opt/rustdesk"}, "is not a plain absolute path"),
    ("install_dir", {"install_dir": "/"}, "is not a plain absolute path"),
    ("install_dir", {"install_dir": "//etc/rustdesk"}, "is not a plain absolute path"),
    ("install_dir", {"install_dir": "/opt/../etc"}, "is not a plain absolute path"),
    ("install_dir", {"install_dir": "/opt/./rustdesk"}, "is not a plain absolute path"),
    ("install_dir", {"install_dir": "/opt/rust desk"}, "is not a plain absolute path"),
    ("install_dir", {"install_dir": "/opt/%n"}, "is not a plain absolute path"),
    ("install_dir", {"install_dir": "/opt/rustdesk\n"}, "is not a plain absolute path"),
    (
        "install_dir",
        {"install_dir": "/opt"},
        "belongs to the system, and would be changed and removed as a whole; give a",
    ),
    ("install_dir", {"install_dir": "/data"}, "belongs to the system"),
    ("install_dir", {"install_dir": "/usr/bin"}, "belongs to the system"),
    ("install_dir", {"install_dir": "/usr/lib/rustdesk"}, "belongs to the system"),
    ("install_dir", {"install_dir": "/usr/local/"}, "belongs to the system"),
    ("install_dir", {"install_dir": "/usr/local/bin"}, "belongs to the system"),
    ("install_dir", {"install_dir": "/lib64/rustdesk"}, "belongs to the system"),
    ("state_dir", {"state_dir": "/var/lib"}, "/var/lib belongs to the system"),
    ("state_dir", {"state_dir": "/etc/rustdesk"}, "belongs to the system"),
    (
        "state_dir",
        {"state_dir": "/home/rustdesk"},
        "is hidden from the services or emptied at boot; choose a place",
    ),
    ("state_dir", {"state_dir": "/root"}, "is hidden from the services"),
    ("state_dir", {"state_dir": "/tmp/rustdesk"}, "is hidden from the services"),
    ("state_dir", {"state_dir": "/var/tmp/rustdesk"}, "is hidden from the services"),
    ("state_dir", {"state_dir": "/run/rustdesk"}, "is hidden from the services or emptied at boot"),
    ("state_dir", {"state_dir": "/proc/1/rustdesk"}, "is hidden from the services"),
    (
        "install_dir and state_dir",
        {"state_dir": "/opt/rustdesk-server"},
        "lie in one another, so removing the programs",
    ),
    ("install_dir and state_dir", {"state_dir": "/opt/rustdesk-server/state/"}, "take the key along; separate them"),
    ("install_dir and state_dir", {"install_dir": "/var/lib/rustdesk-server/bin"}, "lie in one another"),
    ("user", {"user": "root"}, "must not be root; give the service an account of its own"),
    ("user", {"user": "nobody"}, "must not be nobody; give the service an account of its own"),
    (
        "user",
        {"user": ""},
        "'' is not a name for a system account; use lower-case letters, digits, _ and -, 32 at most",
    ),
    ("user", {"user": "Rust Desk"}, "is not a name for a system account"),
    ("user", {"user": "a" * 33}, "is not a name for a system account"),
    ("user", {"user": "0"}, "is not a name for a system account"),
    ("group", {"group": "root"}, "must not be root; give the service an account of its own"),
    ("group", {"group": "rust:desk"}, "is not a name for a system account"),
    # Keys.
    (
        "public_key",
        {"public_key": "no key"},
        "the public key is not standard base64 with its padding; give the content of",
    ),
    ("public_key", {"public_key": PAIR.public_text[:-1]}, "is not standard base64 with its padding"),
    ("public_key", {"public_key": PAIR.public_text[:-4]}, "; give the content of id_ed25519.pub"),
    ("public_key", {"public_key": PAIR.private_text}, "this is a private key (id_ed25519) where the public key"),
    (
        "public_key",
        {"public_key": f" {PAIR.public_text}"},
        "has a space in it, which would break the file it goes into",
    ),
    (
        "public_key",
        {"public_key": f"{PAIR.public_text}\n"},
        "has a line break in it, which would break the file it goes",
    ),
    (
        "public_key",
        {"public_key": f"{PAIR.public_text}\n", "private_key": PAIR.private_text},
        "has a line break in it, which would break the file it goes into",
    ),
    (
        "public_key",
        {"mode": "relay"},
        "is empty, but a relay needs it to refuse strangers; give the content of id_ed25519",
    ),
    ("private_key", {"private_key": "garbage"}, "the private key is not standard base64 with its padding; give the"),
    (
        "private_key",
        {"private_key": PAIR.private_text[:-4]},
        "must hold 64 bytes, it holds 63; give the content of id_ed25519",
    ),
    (
        "private_key",
        {"private_key": PAIR.public_text},
        "must hold 64 bytes, it holds 32; give the content of id_ed25519",
    ),
    (
        "private_key",
        {"private_key": PAIR.private_text[:44] + OTHER.private_text[44:]},
        "the private key's second half is not the public key that its seed derives; give the content",
    ),
    (
        "private_key",
        {"private_key": "$ANSIBLE_VAULT;1.1;AES256 6162"},
        "is vaulted text that Ansible does not recognise",
    ),
    ("private_key", {"private_key_defined": True}, "is empty, and another key would be generated; give the content of"),
    (
        "private_key",
        {"private_key": PAIR.private_text, "public_key": OTHER.public_text},
        f"has the fingerprint {PAIR.fingerprint}, but rustdesk_server_public_key has {OTHER.fingerprint}; give the two",
    ),
    (
        "private_key",
        {"private_key": PAIR.private_text, "mode": "relay", "public_key": PAIR.public_text},
        "is not needed by a relay, and should not lie on one; remove it",
    ),
    (
        "private_key_file",
        {"private_key_file": "/root/key", "mode": "relay", "public_key": PAIR.public_text},
        "is not needed by a relay, and should not lie on one; remove it",
    ),
    (
        "private_key_file",
        {"private_key_file": "/no/such/key"},
        "names no file with a key that can be read on the controller",
    ),
    ("private_key_file", {"private_key_file": PAIR.private_text}, "is a key and not the name of a file; move it to"),
    (
        "private_key_file",
        {"private_key_file": "/root/key", "private_key": "garbage"},
        "the private key is not standard base64 with its padding",
    ),
    (
        "private_key and private_key_file",
        {
            "private_key_file": "/root/key",
            "private_key": PAIR.private_text,
            "private_key_given": True,
            "private_key_defined": True,
        },
        "both give a key; keep one",
    ),
    # hbbs.
    (
        "database",
        {"database": ""},
        "'' is not a file in rustdesk_server_state_dir, the only place the service may write to",
    ),
    ("database", {"database": "/srv/db.sqlite3"}, "is not a file in rustdesk_server_state_dir"),
    ("database", {"database": "../db.sqlite3"}, "is not a file in rustdesk_server_state_dir"),
    ("database", {"database": "data/db.sqlite3"}, "give a file name such as db_v2.sqlite3"),
    ("database", {"database": "sqlite://db.sqlite3"}, "is not a file in rustdesk_server_state_dir"),
    ("database", {"database": "id_ed25519"}, "id_ed25519 is another file of the service; give a name such as"),
    ("database", {"database": "blocklist.txt"}, "blocklist.txt is another file of the service"),
    ("database_connections", {"database_connections": 0}, "0 cannot be used; give 1 to 1000"),
    ("database_connections", {"database_connections": 1001}, "1001 cannot be used; give 1 to 1000"),
    ("self_test", {"self_test": "rustdesk.example.org:21116"}, "is neither auto nor no nor IP:port; give one of these"),
    ("self_test", {"self_test": "192.0.2.1"}, "is neither auto nor no nor IP:port"),
    ("self_test", {"self_test": "192.0.2.1:0"}, "is neither auto nor no nor IP:port"),
    ("self_test", {"self_test": ""}, "is neither auto nor no nor IP:port"),
    ("self_test", {"self_test": "[192.0.2.1]:21116"}, "is neither auto nor no nor IP:port"),
    (
        "self_test",
        {"self_test": "127.0.0.1:21117"},
        "asks port 21117, but hbbs answers on rustdesk_server_port (21116), and would end itself again and again; give",
    ),
    (
        "self_test",
        {"self_test": "[::1]:21116", "port": 31116, "relay_port": 31117},
        "asks port 21116, but hbbs answers on",
    ),
    (
        "self_test",
        {
            "self_test": "127.0.0.1:21116",
            "bind_address": "192.0.2.1",
            "version": "1.1.17",
            "archive_sha256": DIGEST,
        },
        "asks 127.0.0.1, but hbbs listens on rustdesk_server_bind_address (192.0.2.1) alone, and would end itself",
    ),
    ("udp_receive_buffer", {"udp_receive_buffer": -1}, "-1 cannot be used; give 0 to 2147483647"),
    ("udp_receive_buffer", {"udp_receive_buffer": 2**31}, "cannot be used; give 0 to 2147483647"),
    ("lan_mask", {"lan_mask": "192.168.0.0"}, "is not an IPv4 network; give one such as 192.168.0.0/16"),
    ("lan_mask", {"lan_mask": "192.168.0.0/33"}, "is not an IPv4 network"),
    ("lan_mask", {"lan_mask": "192.168.0.0/255.255.0.0"}, "is not an IPv4 network"),
    ("lan_mask", {"lan_mask": "2001:db8::/32"}, "is not an IPv4 network"),
    (
        "lan_address",
        {"lan_mask": "192.168.0.0/16", "lan_address": "server"},
        "'server' is not an IPv4 address; give the",
    ),
    ("lan_address", {"lan_mask": "192.168.0.0/16", "lan_address": "2001:db8::1"}, "is not an IPv4 address"),
    (
        "lan_address",
        {"lan_address": "192.168.0.1"},
        "has no effect without rustdesk_server_lan_mask; give both or none",
    ),
    ("rendezvous_servers", {"rendezvous_servers": ["a b"]}, "'a b' is not host or host:port; correct or remove it"),
    ("rendezvous_servers", {"rendezvous_servers": ["a.example.org:99999"]}, "is not host or host:port"),
    ("serial", {"serial": -1}, "-1 cannot be used; give 0 to 2147483647"),
    ("serial", {"serial": 2**31}, "cannot be used; give 0 to 2147483647"),
    ("software_url", {"software_url": "example.org"}, "is not an http or https address"),
    (
        "software_url",
        {"software_url": "https://example.org/a%20b"},
        "has the character % in it, which would break the file",
    ),
    # hbbr.
    (
        "bandwidth_single_mbit",
        {"bandwidth_single_mbit": 0},
        "0 is not a bandwidth, and hbbr would ignore it in silence;",
    ),
    ("bandwidth_total_mbit", {"bandwidth_total_mbit": -1.5}, "-1.5 is not a bandwidth"),
    ("bandwidth_slowed_mbit", {"bandwidth_slowed_mbit": "0.0"}, "0.0 is not a bandwidth"),
    (
        "bandwidth_single_mbit",
        {"bandwidth_total_mbit": 64},
        "128 is more than all sessions may use (rustdesk_server_bandwid",
    ),
    (
        "bandwidth_slowed_mbit",
        {"bandwidth_slowed_mbit": 200},
        "200 is faster than any session may be (rustdesk_server_band",
    ),
    ("slowdown_threshold", {"slowdown_threshold": 0}, "0 is not a share; give a number above 0 and up to 1"),
    ("slowdown_threshold", {"slowdown_threshold": 66}, "66 is not a share"),
    ("slowdown_after_s", {"slowdown_after_s": 0}, "0 is not a time; give seconds, 1 or more"),
    (
        "blocked_addresses",
        {"blocked_addresses": ["192.0.2.0/24"]},
        "'192.0.2.0/24' is not an IP address; hbbr compares",
    ),
    (
        "blocked_addresses",
        {"blocked_addresses": ["192.0.2.1", "host"]},
        "knows no networks or names, so list each address",
    ),
    ("slowed_addresses", {"slowed_addresses": [""]}, "'' is not an IP address"),
    (
        "blocked_addresses",
        {"blocked_addresses": ["2001:DB8:0:0:0:0:0:7"]},
        "'2001:DB8:0:0:0:0:0:7' would never match, because hbbr compares text; write it as 2001:db8::7",
    ),
    ("slowed_addresses", {"slowed_addresses": ["2001:db8::0007"]}, "write it as 2001:db8::7"),
    (
        "slowed_addresses",
        {"slowed_addresses": ["::ffff:192.0.2.1"]},
        "is an IPv4 address in the form of IPv6, and would not match everywhere; write it as 192.0.2.1",
    ),
    # Both.
    ("limit_nofile", {"limit_nofile": 1000}, "1000 cannot be used; give 1024 to 1073741816"),
    ("limit_nofile", {"limit_nofile": 2**31}, "cannot be used; give 1024 to 1073741816"),
    ("memory_max_mib", {"memory_max_mib": 63}, "at least 64"),
    ("memory_max_mib", {"memory_max_mib": -1}, "0 for no limit"),
    # Verification.
    (
        "verify_from",
        {"verify_from": "somewhere"},
        "'somewhere' is neither controller nor host nor a host of the inventory",
    ),
    (
        "verify_from",
        {"verify_from": ""},
        "'' is neither controller nor host nor a host of the inventory; give one of these",
    ),
    (
        "verify_address",
        {"verify_address": "server:21116"},
        "is neither a host name nor an address; give what clients reach",
    ),
    ("verify_timeout", {"verify_timeout": 0}, "0 cannot be used; give seconds, 1 to 20"),
    ("verify_timeout", {"verify_timeout": 21}, "21 cannot be used; give seconds, 1 to 20"),
    (
        "verify_address",
        {"verify_address": "127.0.0.1"},
        "127.0.0.1 cannot be proven, because on loopback the ports of the NAT test and of the relay are consoles; give",
    ),
    ("verify_address", {"verify_address": "::1", "verify_from": "host"}, "::1 cannot be proven"),
    ("verify_address", {"verify_address": "::ffff:127.0.0.1"}, "cannot be proven, because on loopback"),
    ("verify_address", {"verify_address": "0.0.0.0"}, "cannot be proven, because on loopback"),
    # Characters.
    (
        "archive_mirror",
        {"archive_mirror": "https://example.org/\n"},
        "has a line break in it, which would break the file it",
    ),
    ("relays", {"relays": ["relay.example.org\n"]}, "is not host or host:port"),
    ("database", {"database": "db$HOME.sqlite3"}, "is not a file in rustdesk_server_state_dir"),
]


def subject(fault: str) -> str:
    return fault.partition(":")[0].replace(PREFIX, "")


SENTENCE = re.compile(r"rustdesk_server_\w+( and rustdesk_server_\w+)*: [^\n]+[;,] [^\n]+[^.\n]")
"""One line: the names, what is wrong, the way out."""


@pytest.mark.parametrize(
    ("variable", "changes", "sentence"), BAD, ids=[f"{entry[0]}-{entry[1]!r}"[:70] for entry in BAD]
)
def test_a_bad_input_is_told_by_its_name_with_the_way_out(
    variable: str, changes: dict[str, object], sentence: str
) -> None:
    found = faults(inputs(**changes), RELEASES)
    assert [subject(fault) for fault in found] == [variable]
    assert sentence in found[0]
    assert SENTENCE.fullmatch(found[0])
    # Under the type that its specification gives it, it would get this far.
    named = {PREFIX + name: value for name, value in changes.items() if PREFIX + name in SPEC}
    assert role_inputs.faults(named, SPEC, PREFIX) == {}


def test_there_are_many_bad_inputs() -> None:
    assert len(BAD) >= 60
    assert len({(variable, str(changes)) for variable, changes, _sentence in BAD}) == len(BAD)


def test_every_variable_that_can_be_wrong_has_a_bad_input() -> None:
    """What is true or false, or one of a few, is judged by its specification alone."""
    judged = {name for name, option in SPEC.items() if option["type"] == "bool" or "choices" in option}
    covered = {PREFIX + name for variable, _changes, _sentence in BAD for name in variable.split(" and ")}
    assert SPEC.keys() - judged - covered == set()
    assert covered <= SPEC.keys()
    for name in judged:
        assert role_inputs.faults({name: "no such choice"}, SPEC, PREFIX)


def test_every_variable_of_a_wrong_type_is_told() -> None:
    for name in SPEC:
        wrong: list[object] = [None, {"a": 1}]
        for value in wrong:
            assert role_inputs.faults({name: value}, SPEC, PREFIX)[name].startswith(f"{name}: has to be ")


def test_all_faults_come_together() -> None:
    several = {"host": "", "port": 1, "version": "1.0.0", "user": "root", "database": "/x", "verify_timeout": 0}
    found = faults(inputs(**several), RELEASES)
    assert {subject(fault) for fault in found} == several.keys()
    everything: dict[str, object] = {}
    for variable, changes, _sentence in BAD:
        if " and " not in variable and variable not in everything and len(changes) == 1:
            everything |= changes
    assert len({subject(fault) for fault in faults(inputs(**everything), RELEASES)}) > 30


GOOD: dict[str, dict[str, object]] = {
    "defaults": {},
    "relay": {"mode": "relay", "public_key": PAIR.public_text},
    "rendezvous": {"mode": "rendezvous", "relays": ["relay.example.org"]},
    "addresses": {"host": "2001:db8::1", "relays": ["192.0.2.1", "[2001:db8::2]:21117", "a.b:1"]},
    "one label": {"host": "server", "verify_address": "server."},
    "digits": {"host": "3com.example.org", "relays": ["1.2.3.4.example.org"]},
    "ports as text": {"port": "4000", "relay_port": "4001"},
    "lowest ports": {"port": 1025, "relay_port": 1030},
    "highest ports": {"port": 65530, "relay_port": 65533},
    "a relay's ports may be the other's": {"mode": "relay", "public_key": PAIR.public_text, "relay_port": 21116},
    "import": {"private_key": f"{PAIR.private_text}\n"},
    "import of a pair": {"private_key": PAIR.private_text, "public_key": PAIR.public_text},
    "import from a file": {"private_key": PAIR.private_text, "private_key_file": "/root/key"},
    "another version": {"version": "1.1.17", "archive_sha256": DIGEST.upper(), "bind_address": "192.0.2.1"},
    "a build of a version": {"version": "1.1.16-2", "archive_sha256": DIGEST, "keep_versions": 1},
    "url": {"archive_url": "https://user:word@example.org:8443/a%20b.zip?x=$1"},
    "mirror": {"archive_mirror": "http://[2001:db8::1]:8080/mirror/"},
    "file": {"archive_file": __file__},
    "remote file": {"archive_remote_file": "/root/my archive.zip", "archive_mirror": ""},
    "places": {"install_dir": "/usr/local/rustdesk", "state_dir": "/srv/rustdesk/state/"},
    "hbbs": {
        "self_test": "[2001:db8::1]:21116",
        "port": "21116",
        "udp_receive_buffer": 52428800,
        "lan_mask": "192.168.7.1/16",
        "lan_address": "192.168.0.1",
        "rendezvous_servers": ["a.example.org:21116", "192.0.2.1"],
        "serial": 4,
        "software_url": "https://example.org/rustdesk",
        "database": "/var/lib/rustdesk-server/other.sqlite3",
        "database_connections": "8",
    },
    "no self-test": {"self_test": "no"},
    "hbbr": {
        "bandwidth_single_mbit": "0.5",
        "bandwidth_total_mbit": 0.5,
        "bandwidth_slowed_mbit": 0.5,
        "slowdown_threshold": 1,
        "slowdown_after_s": 1,
        "blocked_addresses": ["192.0.2.1", "2001:db8::1"],
        "slowed_addresses": ["192.0.2.2"],
        "limit_nofile": 1024,
        "memory_max_mib": 0,
    },
    "verification": {"verify_from": "client", "verify_address": "192.0.2.1", "verify_timeout": 1},
    "longest verification": {"verify_timeout": 20},
    "an address for who does not verify": {"verify": False, "verify_address": "127.0.0.1"},
    "self-test of the bound address": {
        "self_test": "192.0.2.1:21116",
        "bind_address": "192.0.2.1",
        "version": "1.1.17",
        "archive_sha256": DIGEST,
    },
    # Who takes a server back need not be able to deploy it.
    "absent": {"state": "absent", "host": "", "version": "1.0.0", "archive_file": NOWHERE, "private_key": "garbage"},
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_input_is_no_fault(name: str) -> None:
    assert faults(inputs(**GOOD[name]), RELEASES) == []


@pytest.mark.parametrize(
    "changes", [{"install_dir": "/usr/bin"}, {"state_dir": "/"}, {"user": "root"}, {"group": "nobody"}]
)
def test_what_would_be_removed_is_checked_before_it_is(changes: dict[str, object]) -> None:
    assert [subject(fault) for fault in faults(inputs(state="absent", **changes), RELEASES)] == [*changes]


# --- Secrets ----------------------------------------------------------------------------------------------------------

SECRETS = [
    PAIR.private_text,
    f" {PAIR.private_text}\n",
    PAIR.private_text[:-4],
    PAIR.private_text[:44] + OTHER.private_text[44:],
    PAIR.private_text + "AAAA",
    PAIR.private_text.replace("=", ""),
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("mode", ["full", "relay"])
@pytest.mark.parametrize("variable", ["public_key", "private_key", "private_key_file"])
def test_a_private_key_is_never_told(variable: str, mode: str, secret: str) -> None:
    given = inputs(**{variable: secret, "mode": mode})
    found = faults(given, RELEASES) + host_faults(given, RELEASES, HOST)
    found += host_faults(given | {"key_rotate": True}, RELEASES, HOST)
    text = "\n".join(found)
    for start in range(0, len(secret) - 12, 4):
        assert secret[start : start + 12] not in text


@pytest.mark.parametrize("variable", sorted(name for name, option in SPEC.items() if option["type"] in ("str", "list")))
def test_a_private_key_in_a_wrong_place_is_masked(variable: str) -> None:
    value: object = [PAIR.private_text] if SPEC[variable]["type"] == "list" else PAIR.private_text
    given = inputs(**{variable.removeprefix(PREFIX): value})
    found = [*role_inputs.faults({variable: value}, SPEC, PREFIX).values()]
    if not found:
        found = faults(given, RELEASES)
    assert PAIR.private_text not in "\n".join(masked(found, {variable: value}))


def test_masking_leaves_everything_else() -> None:
    assert masked(["a: b"], {"x": "b", "y": 1, "z": ["b"], "n": None}) == ["a: b"]
    assert masked([f"a: '{PAIR.private_text}' is no host"], {"a": PAIR.private_text}) == [
        "a: '(a private key)' is no host"
    ]


def test_masking_overlooks_line_ends() -> None:
    assert masked([f"a: '{PAIR.private_text}' is"], {"a": f" {PAIR.private_text}\n"}) == ["a: '(a private key)' is"]


def test_an_archive_that_the_controller_may_not_read_is_told(reachable: Path) -> None:
    archive = reachable / "a.zip"
    archive.touch()
    closed = reachable / "closed"
    closed.mkdir()

    def told() -> str:
        given = [inputs(archive_file=str(path)) for path in (archive, closed / "a.zip")]
        return "\n".join(fault for entry in given for fault in faults(entry, RELEASES))

    archive.chmod(0)
    closed.chmod(0)
    assert as_nobody(told).count("that can be read on the controller; correct the path") == 2


def test_a_password_in_a_url_is_not_told() -> None:
    (fault,) = faults(inputs(archive_url="ftp://user:geheim@example.org/a.zip"), RELEASES)
    assert "geheim" not in fault
    assert "example.org/a.zip" in fault


# --- What shows when they meet the host -------------------------------------------------------------------------------

HOST: dict[str, Any] = {
    "machine": "x86_64",
    "architecture": "amd64",
    "systemd": True,
    "address": "192.0.2.7",
    "release_fault": "version 1.1.16 is not installed",
    "archive_fault": "",
    "occupied": [],
    "bind_fault": "",
    "unresolved": [],
    "free_bytes": {"install_dir": 10**9, "state_dir": 10**9},
    "foreign": {"install_dir": [], "state_dir": []},
    "links": {"install_dir": "", "state_dir": ""},
    "env_file": False,
    "traps": [],
    "user_exists": False,
    "user_home": "",
    "group_exists": False,
    "key": {"state": "absent", "public_key": "", "fingerprint": "", "detail": "", "public_file_fits": False},
}

VALID = {"state": "valid", "public_key": PAIR.public_text, "fingerprint": PAIR.fingerprint, "detail": ""}
MALFORMED = {"state": "malformed", "public_key": "", "fingerprint": "", "detail": "/var/lib/x/id_ed25519 is a link"}
HALF = {"state": "public_only", "public_key": PAIR.public_text, "fingerprint": "", "detail": "id_ed25519 is not there"}

MEETINGS: list[tuple[str, dict[str, object], dict[str, object], str]] = [
    (
        "state_dir",
        {},
        {"traps": ["blocklist.txt"]},
        "/var/lib/rustdesk-server/blocklist.txt is a link or something else",
    ),
    (
        "state",
        {},
        {"systemd": False},
        "present needs systemd, which does not run the services of this host; deploy to one",
    ),
    (
        "architecture",
        {},
        {"machine": "riscv64", "architecture": ""},
        "upstream has no release for riscv64, only for amd64,",
    ),
    ("architecture", {"architecture": "arm64"}, {}, "arm64 does not run on x86_64; leave it empty"),
    (
        "architecture",
        {"architecture": "amd64"},
        {"machine": "i686", "architecture": "i386"},
        "amd64 does not run on i686; leave it empty",
    ),
    ("archive_file", {"archive_file": __file__}, {}, "is expected; fetch it again, or correct the pin"),
    (
        "archive_remote_file",
        {"archive_remote_file": "/a.zip"},
        {"archive_fault": "there is no file /a.zip; put it there"},
        "there is no",
    ),
    (
        "install_dir",
        {},
        {"free_bytes": {"install_dir": 2**20, "state_dir": 10**9}},
        "has 1 MiB free, and 65 MiB are needed;",
    ),
    (
        "state_dir",
        {},
        {"free_bytes": {"install_dir": 10**9, "state_dir": 0}},
        "has 0 MiB free, and 5 MiB are needed; make",
    ),
    (
        "install_dir",
        {},
        {"foreign": {"install_dir": ["bin", "lib"], "state_dir": []}},
        "not the role's (bin, lib) and would",
    ),
    (
        "state_dir",
        {},
        {"foreign": {"install_dir": [], "state_dir": ["base"]}},
        "taken over and removed with it; give a",
    ),
    (
        "state_dir",
        {},
        {"links": {"install_dir": "", "state_dir": "/data/rustdesk"}},
        "/var/lib/rustdesk-server is a link, whose removal would leave what it leads to; give /data/rustdesk itself",
    ),
    (
        "install_dir",
        {},
        {"links": {"install_dir": "/data/programs", "state_dir": ""}},
        "/opt/rustdesk-server is a link, whose removal would leave what it leads to; give /data/programs itself",
    ),
    (
        "user",
        {},
        {"user_exists": True, "user_home": "/var/www"},
        "a user rustdesk-server already, whose home /var/www is not",
    ),
    ("group", {"group": "relays"}, {}, "the host has no group relays; create it, or give it the name of"),
    (
        "port",
        {},
        {"occupied": ["21116/udp is taken by x (pid 7)"]},
        "21116/udp is taken by x (pid 7); stop that, or choose",
    ),
    ("port", {}, {"occupied": ["21115/tcp is taken by x (pid 7)"]}, "21115/tcp is taken by x"),
    ("port", {}, {"occupied": ["21118/tcp is taken by x (pid 7)"]}, "21118/tcp is taken by x"),
    ("relay_port", {}, {"occupied": ["21117/tcp is taken by x (pid 7)"]}, "21117/tcp is taken by x"),
    ("relay_port", {}, {"occupied": ["21119/tcp is taken by x (pid 7)"]}, "21119/tcp is taken by x"),
    (
        "bind_address",
        {"bind_address": "192.0.2.1", "version": "1.1.17", "archive_sha256": DIGEST},
        {"bind_fault": "Cannot assign requested address"},
        "nothing can listen on 192.0.2.1 (Cannot assign requested address); give an address of the host",
    ),
    (
        "relays",
        {"relays": ["a.example.org"]},
        {"unresolved": ["a.example.org"]},
        "the host cannot resolve a.example.org, and",
    ),
    (
        "verify_from and verify_address",
        {"verify_from": "host"},
        {"address": ""},
        "the host has no address but loopback to prove the service at; give it one, or another place to prove it from",
    ),
    (
        "state_dir",
        {},
        {"env_file": True},
        "/var/lib/rustdesk-server/.env would override settings of the role; carry its",
    ),
    (
        "state_dir",
        {},
        {"key": MALFORMED},
        "/var/lib/x/id_ed25519 is a link; restore the key from a backup, or set rustdesk",
    ),
    (
        "state_dir",
        {},
        {"key": HALF},
        "id_ed25519 is not there; restore the key from a backup, or set rustdesk_server_key_",
    ),
    ("state_dir", {"private_key": OTHER.private_text}, {"key": HALF}, "restore the key from a backup"),
    (
        "private_key",
        {"private_key": OTHER.private_text},
        {"key": VALID},
        f"has the fingerprint {OTHER.fingerprint}, but the host has the key {PAIR.fingerprint}; remove the",
    ),
    (
        "private_key_file",
        {"private_key": OTHER.private_text, "private_key_file": "/root/key"},
        {"key": VALID},
        "set rustdesk_server_key_rotate once to replace it and then configure every client anew",
    ),
    (
        "public_key",
        {"public_key": OTHER.public_text},
        {"key": VALID},
        f"has the fingerprint {OTHER.fingerprint}, but the host has the key {PAIR.fingerprint} ({PAIR.public_text});",
    ),
    (
        "public_key",
        {"public_key": PAIR.public_text},
        {},
        "is given, but the host has no key yet and would generate another",
    ),
    (
        "key_rotate",
        {"public_key": PAIR.public_text, "key_rotate": True},
        {"key": VALID},
        f"a key, but rustdesk_server_public_key asks for the one with the fingerprint {PAIR.fingerprint}; give",
    ),
]


@pytest.mark.parametrize(
    ("variable", "changes", "facts", "sentence"), MEETINGS, ids=[f"{entry[0]}-{entry[3][:40]}" for entry in MEETINGS]
)
def test_a_host_that_does_not_fit_is_told_by_the_variable(
    variable: str, changes: dict[str, object], facts: dict[str, object], sentence: str
) -> None:
    given = inputs(**changes)
    assert faults(given, RELEASES) == []
    found = host_faults(given, RELEASES, HOST | facts)
    assert [subject(fault) for fault in found] == [variable]
    assert sentence in found[0]
    assert SENTENCE.fullmatch(found[0])


def test_a_release_without_a_pin_for_the_architecture_is_told() -> None:
    some = {"1.1.16": {"amd64": RELEASES["1.1.16"]["amd64"]}}
    (fault,) = host_faults(inputs(), some, HOST | {"machine": "aarch64", "architecture": "arm64"})
    assert subject(fault) == "archive_sha256"
    assert "the role has no pin of version 1.1.16 for arm64; give the sha256 of its archive" in fault
    assert host_faults(inputs(), some, HOST) == []


FITTING: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "a bare host": ({}, {}),
    "a deployed host": (
        {"public_key": PAIR.public_text},
        {"key": VALID, "user_exists": True, "user_home": "/var/lib/rustdesk-server", "release_fault": ""},
    ),
    "the state directory with a slash": (
        {"state_dir": "/srv/rustdesk/"},
        {"user_exists": True, "user_home": "/srv/rustdesk"},
    ),
    "a home with a slash": ({}, {"user_exists": True, "user_home": "/var/lib/rustdesk-server/"}),
    "an archive on the controller that is not needed": ({"archive_file": __file__}, {"release_fault": ""}),
    "the same key given": ({"private_key": PAIR.private_text}, {"key": VALID}),
    "another key by rotation": ({"private_key": OTHER.private_text, "key_rotate": True}, {"key": VALID}),
    "a known other key by rotation": (
        {"private_key": OTHER.private_text, "public_key": OTHER.public_text, "key_rotate": True},
        {"key": VALID},
    ),
    "a new key by rotation": ({"key_rotate": True}, {"key": MALFORMED}),
    "the lost half": ({"private_key": PAIR.private_text}, {"key": HALF}),
    "a relay has no key": ({"mode": "relay", "public_key": OTHER.public_text}, {"key": VALID}),
    "32 bits on 64": ({"architecture": "i386"}, {}),
    "a full disk that nothing is put on": (
        {},
        {"release_fault": "", "free_bytes": {"install_dir": 0, "state_dir": 10**9}},
    ),
    "an archive that is not needed": (
        {"archive_remote_file": "/a.zip"},
        {"release_fault": "", "archive_fault": "there is no file /a.zip"},
    ),
    "a group that is there": ({"group": "relays"}, {"group_exists": True}),
    "no address, proven from elsewhere": ({}, {"address": ""}),
    "no address, proven at a given one": ({"verify_from": "host", "verify_address": "192.0.2.7"}, {"address": ""}),
    "no address, not proven": ({"verify_from": "host", "verify": False}, {"address": ""}),
    "no address but the bound one": (
        {"verify_from": "host", "bind_address": "192.0.2.7", "version": "1.1.17", "archive_sha256": DIGEST},
        {"address": ""},
    ),
    "a host to take the server from": (
        {"state": "absent"},
        {
            "traps": ["blocklist.txt"],
            "architecture": "",
            "key": MALFORMED,
            "env_file": True,
            "free_bytes": {"install_dir": 0, "state_dir": 0},
        },
    ),
}


@pytest.mark.parametrize("name", FITTING)
def test_a_host_that_fits_is_no_fault(name: str) -> None:
    changes, facts = FITTING[name]
    assert host_faults(inputs(**changes), RELEASES, HOST | facts) == []


@pytest.mark.parametrize(
    ("variable", "facts"),
    [
        ("state", {"systemd": False}),
        ("user", {"user_exists": True, "user_home": "/home/alice"}),
        ("install_dir", {"foreign": {"install_dir": ["bin"], "state_dir": []}}),
        ("state_dir", {"foreign": {"install_dir": [], "state_dir": ["base"]}}),
        ("install_dir", {"links": {"install_dir": "/data/programs", "state_dir": ""}}),
        ("state_dir", {"links": {"install_dir": "", "state_dir": "/data/rustdesk"}}),
    ],
)
def test_nothing_of_somebody_else_is_removed(variable: str, facts: dict[str, object]) -> None:
    assert [subject(fault) for fault in host_faults(inputs(state="absent"), RELEASES, HOST | facts)] == [variable]


def test_a_good_archive_on_the_controller_is_weighed(tmp_path: Path) -> None:
    archive = release_archive(tmp_path / "a.zip", members={"amd64/hbbs": bytes(40 * 2**20)})
    given = inputs(archive_file=str(archive.path), archive_sha256=archive.sha256)
    assert host_faults(given, RELEASES, HOST) == []
    (fault,) = host_faults(given, RELEASES, HOST | {"free_bytes": {"install_dir": 80 * 2**20, "state_dir": 10**9}})
    assert "has 80 MiB free, and 85 MiB are needed" in fault


# --- What is derived --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "ports"),
    [
        ("full", ["21115/tcp", "21116/tcp", "21116/udp", "21118/tcp", "21117/tcp", "21119/tcp"]),
        ("rendezvous", ["21115/tcp", "21116/tcp", "21116/udp", "21118/tcp"]),
        ("relay", ["21117/tcp", "21119/tcp"]),
    ],
)
def test_the_ports_of_each_mode(mode: str, ports: list[str]) -> None:
    assert needed_ports(inputs(mode=mode)) == ports
    moved = [f"{int(port.split('/')[0]) + 1000}/{port.split('/')[1]}" for port in ports]
    assert needed_ports(inputs(mode=mode, port="22116", relay_port="22117")) == moved


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        ({"relays": ["b.example.org:1", "192.0.2.1", "[2001:db8::1]:1", "2001:db8::1", "a.example.org"]}, ["a.", "b."]),
        ({"relays": ["a.example.org:1", "a.example.org:2"]}, ["a."]),
        ({"relays": ["a.example.org"], "mode": "relay"}, []),
        ({"relays": ["a.example.org"], "state": "absent"}, []),
        # hbbs names its own host as the relay when clients would not guess its port.
        ({"relay_port": 21200}, ["rustdesk."]),
        ({"relay_port": "21117", "port": "21116"}, []),
        ({"relay_port": 21200, "relays": ["a.example.org"]}, ["a."]),
        ({"relay_port": 21200, "mode": "relay"}, []),
    ],
)
def test_the_names_that_hbbs_resolves(changes: dict[str, object], names: list[str]) -> None:
    assert names_to_resolve(inputs(**changes)) == [f"{name}example.org" for name in names]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("a.example.org", "a.example.org", ""),
        ("a.example.org:21117", "a.example.org", "21117"),
        ("192.0.2.1:1", "192.0.2.1", "1"),
        ("[2001:db8::1]:21117", "2001:db8::1", "21117"),
        ("[2001:db8::1]", "2001:db8::1", ""),
        ("2001:db8::1", "2001:db8::1", ""),
        ("a:b", "", ""),
        ("a:1:2", "", ""),
        ("", "", ""),
        (":21117", "", ""),
        ("a:123456", "", ""),
    ],
)
def test_endpoints_are_split(text: str, host: str, port: str) -> None:
    assert split_endpoint(text) == (host, port)


def test_digests_are_the_given_one_or_the_pinned_ones() -> None:
    pinned = server_inputs.archive_digests(inputs(), RELEASES)
    assert pinned.keys() == {"amd64", "arm64", "armv7", "i386"}
    assert pinned["amd64"] == DIGEST
    assert set(server_inputs.archive_digests(inputs(archive_sha256="ab"), RELEASES).values()) == {"ab"}
    assert server_inputs.archive_digests(inputs(version="9.9.9"), RELEASES) == {}
