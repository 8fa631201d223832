"""Every fault of the inputs is told, with its variable and the way out."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import bundle_inputs, bundle_plan
from ansible.module_utils.bundle_certificates import to_be_made
from ansible.module_utils.bundle_programs import MACHINES, program_fault

from .support import DAY, NOW, certified, evaluated, program

ROLE = Path(__file__).resolve().parents[3] / "roles" / "rustdesk_bundle"
KEY = "P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA="
PRIVATE = "q" * 85 + "w=="
HOST_NAME = "dl.example.org"
OPTIONS = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text("utf-8"))["argument_specs"]["main"]["options"]
FILES = (
    "client_file",
    "client_arm64_file",
    "authenticode_certificate",
    "authenticode_key",
    "signature_key_file",
    "certificate_file",
    "certificate_key_file",
    "verify_ca_file",
)


def inputs(**changes: Any) -> dict[str, Any]:
    """Sound variables, with changes."""
    found = {name.removeprefix("rustdesk_bundle_"): option.get("default", "") for name, option in OPTIONS.items()}
    found |= {
        "download_url": f"https://{HOST_NAME}/rd",
        "host": "rustdesk.example.org",
        "key": KEY,
        "port": 21116,
        "relay_port": 21117,
        "relays": [],
        "api": "",
        "ports": [{"protocol": "tcp", "port": 21116, "purpose": "x"}],
        "contact": {"company": "Acme", "email": "help@example.org"},
        "country": "DE",
        "name": "rustdesk-acme",
        "acme_email": "help@example.org",
        "build_directory": "/tmp/dist",
        "launcher_source": str(ROLE),
        "packages": {"1.4.9": {"exe": {"file": "rustdesk-1.4.9-x86_64.exe", "sha256": "a" * 64}}},
        "publishes": True,
        "inventory_hosts": ["downloads"],
        "now": NOW.timestamp(),
        "texts_of": {},
        **changes,
    }
    found["paths"] = {name: str(found[name]) if Path(str(found[name])).is_file() else "" for name in FILES}
    return found


HOST: dict[str, Any] = {
    "distribution": "debian 13",
    "systemd": True,
    "root_fault": "",
    "free_bytes": 2**40,
    "occupied": [],
    "claimed_by": [],
    "releases": ["1.4.9-0123abcd"],
    "certificate": {"pem": "", "fault": ""},
    "authority": "",
}


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """All programs and packages are there, whatever this machine has."""
    monkeypatch.setattr(bundle_inputs, "has_package", lambda _name: True)
    monkeypatch.setattr(bundle_inputs, "found_program", lambda given, name: "" if given else f"/usr/bin/{name}")


def test_sound_variables_have_no_fault() -> None:
    assert bundle_inputs.faults(inputs()) == []
    assert bundle_inputs.host_faults(inputs(), HOST) == []
    assert bundle_inputs.faults(inputs(state="absent", key="", host="")) == []
    assert bundle_inputs.faults(inputs(download_url=f"https://{HOST_NAME}:8443")) == []
    # To go back, nothing has to be there that builds.
    assert bundle_inputs.faults(inputs(release="1.4.9-0123abcd", key="")) == []
    # What is only built has no host to be at fault.
    assert bundle_inputs.faults(inputs(publishes=False, acme_email="", http_port=0)) == []


FAULTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no download url": ({"download_url": ""}, ("download_url", "empty")),
    "http": ({"download_url": f"http://{HOST_NAME}/rd"}, ("download_url", "https://")),
    "port of letters": ({"download_url": f"https://{HOST_NAME}:x/rd"}, ("download_url", "port")),
    "port 0": ({"download_url": f"https://{HOST_NAME}:0/rd"}, ("download_url", "port 0")),
    "short name": ({"download_url": "https://dl/rd"}, ("download_url", "full name")),
    "no host": ({"download_url": "https:///rd"}, ("download_url", "no host")),
    "path with dots": ({"download_url": f"https://{HOST_NAME}/../rd"}, ("download_url", "path")),
    "path with spaces": ({"download_url": f"https://{HOST_NAME}/r d;"}, ("download_url", "path")),
    "double slash": ({"download_url": f"https://{HOST_NAME}//rd"}, ("download_url", "path")),
    "user in url": ({"download_url": f"https://a:b@{HOST_NAME}/rd"}, ("download_url", "more than a host")),
    "query": ({"download_url": f"https://{HOST_NAME}/rd?x"}, ("download_url", "more than a host")),
    "no host of the server": ({"host": ""}, ("host", "not a host")),
    "no key": ({"key": ""}, ("key", "empty")),
    "short key": ({"key": "c2hvcnQ="}, ("key", "32 bytes")),
    "private key": ({"key": PRIVATE}, ("key",)),
    "port out of range": ({"port": 1}, ("port", "3 to 65533")),
    "bad relay": ({"relays": ["a b"]}, ("relays", "entry 1")),
    "bad relay port": ({"relays": ["a:99999"]}, ("relays", "entry 1")),
    "bad relay for clients": ({"relay_server": "a b"}, ("relay_server", "not a host or host:port")),
    "bad api": ({"api": "api.example.org"}, ("api", "https")),
    "no ports": ({"ports": []}, ("ports", "empty")),
    "no company": ({"contact": {"email": "a@example.org"}}, ("contact", "company")),
    "nobody to ask": ({"contact": {"company": "Acme"}}, ("contact", "neither")),
    "unknown contact": ({"contact": {"company": "Acme", "phone": "1", "fax": "1"}}, ("contact", "fax")),
    "line break in contact": ({"contact": {"company": "A\nB", "phone": "1"}}, ("contact", "one line")),
    "country by name": ({"country": "Germany"}, ("country", "two capital letters")),
    "name of the client": ({"name": "RustDesk"}, ("name", "another program")),
    "name with a slash": ({"name": "../x"}, ("name", "cannot name")),
    "launcher version": ({"launcher_version": "1.0-beta"}, ("launcher_version", "four numbers")),
    "relative build directory": ({"build_directory": "dist"}, ("build_directory", "relative")),
    "unpinned version": ({"client_version": "1.5.0"}, ("client_sha256", "1.5.0")),
    "no version": ({"client_version": "latest"}, ("client_version", "latest")),
    "short digest": ({"client_sha256": "abc"}, ("client_sha256", "3 characters")),
    "two sources": ({"client_url": "https://x.org/a.exe", "client_file": "/x"}, ("client_url", "client_file")),
    "bad mirror": ({"client_mirror": "ftp://u:secret@x.org"}, ("client_mirror", "//…@")),
    "no mirror": ({"client_mirror": ""}, ("client_mirror", "empty")),
    "no stock exe": ({"client_file": "/nowhere/rustdesk.exe"}, ("client_file", "/nowhere/rustdesk.exe")),
    "arm64 without digest": ({"client_arm64_file": "/x"}, ("client_arm64_file", "client_arm64_sha256")),
    "timeout": ({"client_timeout": 0}, ("client_timeout", "seconds")),
    "go missing": ({"go": "/nowhere/go"}, ("go", "/nowhere/go")),
    "no source": ({"launcher_source": "/nowhere"}, ("launcher_source", "/nowhere")),
    "certificate without key": ({"authenticode_certificate": "/x"}, ("authenticode_key", "both")),
    "key without method": ({"signature_key_file": "/x"}, ("signature_key_file", "none")),
    "method without key": ({"signature": "minisign"}, ("signature_key_file", "empty")),
    "no public key": ({"signature": "gpg"}, ("signature_public_key", "fingerprint")),
    "shared root": ({"root": "/srv"}, ("root", "directory of its own")),
    "relative root": ({"root": "srv/x"}, ("root", "whole path")),
    "root with a space": ({"root": "/srv/a b"}, ("root", "whole path")),
    "root that climbs": ({"root": "/srv/../etc"}, ("root", "whole path")),
    "bad release": ({"release": "latest"}, ("release", "1.4.9-0f3a9c21")),
    "keep nothing": ({"keep_releases": 0}, ("keep_releases", "1 or more")),
    "hsts": ({"hsts_seconds": -1}, ("hsts_seconds", "0 or more")),
    "same ports": ({"download_url": f"https://{HOST_NAME}:80/rd"}, ("http_port", "each its own")),
    "challenge port": ({"http_port": 8080}, ("http_port", "port 80")),
    "no certificate": ({"tls": "given"}, ("certificate_file", "both empty")),
    "two certificates": (
        {"tls": "given", "certificate_file": "/a", "certificate_remote_file": "/b"},
        ("certificate_file", "two certificates"),
    ),
    "unused certificate": ({"certificate_file": "/a"}, ("certificate_file", "acme")),
    "missing certificate": (
        {"tls": "given", "certificate_file": "/a", "certificate_key_file": "/b"},
        ("certificate_file", "no file /a"),
    ),
    "mail": ({"acme_email": "nobody"}, ("acme_email", "nobody")),
    "directory over http": ({"acme_directory": "http://ca.example.org/"}, ("acme_directory", "https")),
    "nowhere to verify from": ({"verify_from": "moon"}, ("verify_from", "moon")),
    "verify timeout": ({"verify_timeout": 0}, ("verify_timeout", "seconds")),
    "verify ca": ({"verify_ca_file": "/nowhere/ca.pem"}, ("verify_ca_file", "/nowhere/ca.pem")),
}


@pytest.mark.parametrize(("changes", "says"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_told(changes: dict[str, Any], says: tuple[str, ...]) -> None:
    found = [
        fault for fault in bundle_inputs.faults(inputs(**changes)) if fault.startswith(f"rustdesk_bundle_{says[0]}")
    ]
    assert found, bundle_inputs.faults(inputs(**changes))
    assert [part for part in says if not any(part in fault for fault in found)] == [], found
    assert PRIVATE not in "".join(found)
    assert "secret" not in "".join(found)


def test_all_faults_are_told_at_once() -> None:
    found = bundle_inputs.faults(inputs(key="", country="de", name="rustdesk", root="/"))
    assert len(found) == 4


@pytest.mark.parametrize("tool", ["go", "minisign", "gpg", "osslsigncode"])
def test_missing_program_is_told(monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    monkeypatch.setattr(bundle_inputs, "found_program", lambda _given, name: "" if name == tool else f"/usr/bin/{name}")
    method = tool if tool in ("minisign", "gpg") else "none"
    found = bundle_inputs.faults(inputs(signature=method, authenticode_certificate="/a", authenticode_key="/b"))
    assert any(tool in fault and "install" in fault for fault in found), found


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_inputs, "has_package", lambda name: name != "segno")
    (fault,) = bundle_inputs.faults(inputs())
    assert fault.startswith("rustdesk_bundle: ")
    assert "pip install segno" in fault
    # To go back, nothing is rendered.
    assert bundle_inputs.faults(inputs(release="1.4.9-0123abcd")) == []


@pytest.mark.parametrize("variable", bundle_inputs.SIGNING_FILES)
def test_what_signs_is_taken_from_where_it_was_found(tmp_path: Path, variable: str) -> None:
    """Ansible looks for a relative path in several directories, and opens vaults; what signs does neither."""
    files = {name: tmp_path / name for name in bundle_inputs.SIGNING_FILES}
    for path in files.values():
        path.write_text("a key")
    given = inputs(signature="minisign", signature_public_key="RW", **{name: str(path) for name, path in files.items()})
    assert bundle_inputs.faults(given) == []
    known = bundle_plan.controller({**given, variable: "files/key"})
    assert known["signing"] == {name: str(path) for name, path in files.items()}
    own = {"__rustdesk_bundle_host": known, "rustdesk_bundle_authenticode_certificate": "files/certificate"}
    sign = evaluated("{{ __rustdesk_bundle_launcher_sign }}", **own)
    (task,) = (
        task["rustdesk_bundle_signature"]
        for task in yaml.safe_load((ROLE / "tasks" / "build_release.yml").read_text("utf-8"))
        if "rustdesk_bundle_signature" in task
    )
    used = [sign["certificate"], sign["key"], evaluated(task["key_file"], **own)]
    assert used == [str(path) for path in files.values()]
    files[variable].write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    (fault,) = bundle_inputs.faults(given)
    assert fault.startswith(f"rustdesk_bundle_{variable}: ")
    assert "ansible-vault decrypt" in fault


# --- Programs -----------------------------------------------------------------------------------------------------

PROGRAMS: dict[str, tuple[bytes, str]] = {
    "whole": (program(), ""),
    "signed": (program(signature=b"s" * 100), ""),
    "cut off": (program()[:-10], "cut off"),
    "cut off in its signature": (program(signature=b"s" * 100)[:-1], "cut off"),
    "cut off in its headers": (program()[:300], "its headers"),
    "for ARM": (program(MACHINES["arm64"]), "arm64"),
    "a web page": (b"<!DOCTYPE html>" + b" " * 100, "not a program"),
    "empty": (b"", "not a program"),
    "MZ and nothing": (b"MZ", "its headers"),
    "of MS-DOS": (b"MZ" + bytes(200), "not a program"),
}


@pytest.mark.parametrize(("content", "says"), PROGRAMS.values(), ids=PROGRAMS.keys())
def test_program_is_looked_at(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "rustdesk.exe"
    path.write_bytes(content)
    fault = program_fault(path, "amd64")
    assert (says in fault) if says else not fault
    given = inputs(client_file=str(path), client_sha256=hashlib.sha256(content).hexdigest())
    assert [says in fault for fault in bundle_inputs.faults(given)] == ([True] if says else [])


def test_another_digest_than_the_pinned_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rustdesk.exe"
    path.write_bytes(program())
    (fault,) = bundle_inputs.faults(inputs(client_file=str(path)))
    assert "a" * 64 in fault
    assert "do not give this one to customers" in fault


@pytest.mark.parametrize("variable", ["client_mirror", "client_url"])
@pytest.mark.parametrize("login", ["user:ge%40heim", "user:ge@heim"])
def test_who_logs_in_at_the_mirror_is_shown_to_nobody(variable: str, login: str) -> None:
    address = f"https://{login}@mirror.example.org/rustdesk.exe"
    (client,) = bundle_inputs.clients(inputs(**{variable: address}))
    assert client["url"].startswith("https://mirror.example.org/rustdesk.exe")
    known = {f"rustdesk_bundle_{variable}": address, "__rustdesk_bundle_client": client}
    if "%" in login:
        assert evaluated("{{ __rustdesk_bundle_client_login }}", **known) == {"username": "user", "password": "ge@heim"}
    (fault,) = bundle_inputs.faults(inputs(**{variable: address.replace("https", "ftp")}))
    assert "heim" not in fault
    tasks = yaml.safe_load((ROLE / "tasks" / "build_client.yml").read_text("utf-8"))
    fetch, say = tasks[0]["block"][0], tasks[0]["rescue"][0]
    shown = evaluated(say["ansible.builtin.fail"]["msg"], ansible_failed_result={"msg": "no"}, **known)
    assert "heim" not in shown + evaluated(fetch["ansible.builtin.get_url"]["url"], **known)


def test_where_clients_come_from(tmp_path: Path) -> None:
    (only,) = bundle_inputs.clients(inputs())
    assert only["url"].endswith("/1.4.9/rustdesk-1.4.9-x86_64.exe")
    assert only["sha256"] == "a" * 64
    both = bundle_inputs.clients(inputs(client_arm64_sha256="B" * 64, client_file=str(tmp_path)))
    assert [client["suffix"] for client in both] == ["", "-arm64"]
    assert (both[0]["url"], both[1]["sha256"]) == ("", "b" * 64)


# --- Certificates -------------------------------------------------------------------------------------------------

CERTIFICATES = {
    "sound": (certified(HOST_NAME), ""),
    "with a star": (certified("*.example.org"), ""),
    "expired": (certified(HOST_NAME, start=-2 * DAY, end=-DAY), "has expired"),
    "not yet": (certified(HOST_NAME, start=DAY), "not valid before"),
    "another host": (certified("www.example.org"), "not for dl.example.org"),
    "a star for less": (certified("*.org"), "not for"),
    "no host": (certified(), "no host"),
}


@pytest.mark.parametrize(("pair", "says"), CERTIFICATES.values(), ids=CERTIFICATES.keys())
def test_given_certificate_is_looked_at(pair: Any, says: str) -> None:
    given = {"tls": "given", "certificate_file": "/c", "certificate_key_file": "/k"}
    texts = {"certificate_file": pair.certificate, "certificate_key_file": pair.key}
    found = bundle_inputs.faults(inputs(**given, texts_of=texts))
    assert [says in fault for fault in found] == ([True] if says else []), found
    remote = {"tls": "given", "certificate_remote_file": "/etc/c", "certificate_remote_key_file": "/etc/k"}
    host = HOST | {"certificate": {"pem": pair.certificate, "fault": ""}}
    found = bundle_inputs.host_faults(inputs(**remote), host)
    assert [says in fault for fault in found] == ([True] if says else []), found


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        ("x", "x", "not a certificate"),
        (certified(HOST_NAME).certificate, "x", "not a private key"),
        (certified(HOST_NAME).certificate, certified(HOST_NAME).key, "not the key of the certificate"),
        (certified(HOST_NAME).certificate, certified(HOST_NAME, password="x").key, "has a password"),
        (certified(HOST_NAME, issuer="ca").certificate + certified("other").certificate, "", "wrong order"),
    ],
)
def test_key_and_chain_are_looked_at(certificate: str, key: str, says: str) -> None:
    given = {"tls": "given", "certificate_file": "/c", "certificate_key_file": "/k"}
    texts = {"certificate_file": certificate, "certificate_key_file": key or certified(HOST_NAME).key}
    assert any(says in fault for fault in bundle_inputs.faults(inputs(**given, texts_of=texts)))


SOUND = certified(HOST_NAME)


def test_when_a_certificate_is_made_anew() -> None:
    now = NOW.timestamp()
    assert to_be_made("", "", HOST_NAME, now) == "there is none"
    assert to_be_made(certified(HOST_NAME).certificate, "", HOST_NAME, now) == ""
    assert "expired" in to_be_made(certified(HOST_NAME, end=29 * DAY).certificate, "", HOST_NAME, now)
    assert "not for" in to_be_made(certified("other.example.org").certificate, "", HOST_NAME, now)
    assert to_be_made("x", "is not the key", HOST_NAME, now) == "is not the key"


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_a_given_certificate_is_one_file_with_its_key(tmp_path: Path, end: str) -> None:
    """nginx could not start with a key that is another certificate's, so neither is there without the other."""
    texts = {"certificate_key_file": SOUND.key.rstrip() + end, "certificate_file": SOUND.certificate.rstrip() + end}
    given = {"rustdesk_bundle_tls": "given"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        given[f"rustdesk_bundle_{name}"] = str(tmp_path / name)
    _directory, copy = yaml.safe_load((ROLE / "tasks" / "configure_given.yml").read_text("utf-8"))
    written = evaluated(copy["ansible.builtin.copy"]["content"], **given)
    (tmp_path / "site.pem").write_text(written)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "site.pem")
    path = "/etc/ssl/rustdesk-bundle/site.pem"
    for name in ("certificate", "key", "given"):
        assert evaluated(f"{{{{ __rustdesk_bundle_{name} }}}}", **given) == path
    assert evaluated("{{ __rustdesk_bundle_files }}", **given) == {path: "0600"}
    same = {
        "tls": "given",
        "certificate_file": "/c",
        "certificate_key_file": "/k",
        "certificate": path,
        "texts_of": texts,
    }
    there = HOST | {"files": {path: hashlib.sha256(written.encode()).hexdigest()}}
    assert bundle_plan.known(inputs(**same), there)["certificate_pending"] == ""
    assert bundle_plan.known(inputs(**same), HOST | {"files": {path: "other"}})["certificate_pending"]


PRODUCTION = OPTIONS["rustdesk_bundle_acme_directory"]["default"]
STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"


@pytest.mark.parametrize(
    ("pair", "authority", "says", "moved"),
    [
        (None, "", "there is none", False),
        (SOUND, PRODUCTION, "", False),
        # Not for the role to ask: certbot renews it.
        (certified(HOST_NAME, end=DAY), PRODUCTION, "", False),
        (certified(HOST_NAME, start=DAY), PRODUCTION, "", False),
        (certified(HOST_NAME, start=-2 * DAY, end=-DAY), PRODUCTION, "has expired", False),
        (certified("old.example.org"), PRODUCTION, "for old.example.org", False),
        (certified("old.example.org", end=DAY), PRODUCTION, "for old.example.org", False),
        (certified("old.example.org", start=-2 * DAY, end=-DAY), PRODUCTION, "for old.example.org", False),
        (SOUND, STAGING, "it is from https://acme-staging", True),
        (SOUND, "", "", False),
    ],
)
def test_certbot_renews_by_itself(pair: Any, authority: str, says: str, moved: bool) -> None:
    host = HOST | {"certificate": {"pem": pair.certificate if pair else "", "fault": ""}, "authority": authority}
    known = bundle_plan.known(inputs(), host)
    assert says in known["certificate_pending"]
    assert bool(known["certificate_pending"]) == bool(says)
    assert known["certificate_moved"] is moved
    words = evaluated("{{ __rustdesk_bundle_certbot }}", __rustdesk_bundle_host=known, rustdesk_bundle_acme_email="x")
    assert ("--force-renewal" in words) is moved
    assert "--webroot-path=/var/lib/rustdesk-bundle/acme" in words
    assert not bundle_plan.known(inputs(tls="self_signed"), HOST | {"authority": STAGING})["certificate_moved"]


# --- The host -----------------------------------------------------------------------------------------------------

HOSTS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "another system": ({"distribution": "fedora 43"}, {}, ("state", "fedora 43")),
    "no systemd": ({"systemd": False}, {}, ("state", "systemd")),
    "unwritable root": ({"root_fault": "/srv/x is read-only"}, {}, ("root", "read-only")),
    "no room": ({"free_bytes": 2**20}, {}, ("root", "1 MiB free")),
    "http port taken": ({"occupied": ["80/tcp is taken by apache2"]}, {}, ("http_port", "apache2")),
    "https port taken": ({"occupied": ["443/tcp is taken by haproxy"]}, {}, ("download_url", "haproxy")),
    "name claimed": ({"claimed_by": ["/etc/nginx/sites-enabled/x"]}, {}, ("download_url", "sites-enabled/x")),
    "unknown release": ({}, {"release": "1.4.9-ffffffff"}, ("release", "1.4.9-0123abcd")),
    "no release at all": ({"releases": []}, {"release": "1.4.9-ffffffff"}, ("release", "there is none")),
    "certificate on the host": (
        {"certificate": {"pem": "", "fault": "there is no file /etc/c"}},
        {"tls": "given", "certificate_remote_file": "/etc/c", "certificate_remote_key_file": "/etc/k"},
        ("certificate_remote_file", "no file"),
    ),
}


@pytest.mark.parametrize(("host", "changes", "says"), HOSTS.values(), ids=HOSTS.keys())
def test_fault_of_the_host_is_told(host: dict[str, Any], changes: dict[str, Any], says: tuple[str, ...]) -> None:
    (fault,) = bundle_inputs.host_faults(inputs(**changes), HOST | host)
    assert fault.startswith(f"rustdesk_bundle_{says[0]}:")
    assert says[1] in fault


def test_absent_meets_any_host() -> None:
    assert bundle_inputs.host_faults(inputs(state="absent"), HOST | {"distribution": "fedora 43"}) == []
