"""What the client role's variables mean, and which of them it refuses."""

from __future__ import annotations

import base64
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import rustdesk_client_info
import yaml
from ansible.module_utils import client_checks, client_inputs, client_options
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "rustdesk_client"
KEY = "P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA="


def load(path: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROLE / path).read_text(encoding="utf-8"))
    return content


def inputs(**given: Any) -> dict[str, Any]:
    """The role's defaults with a server, and what a test is about."""
    options = load("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    values = {name.removeprefix("rustdesk_client_"): option.get("default", "") for name, option in options.items()}
    site = {"id_server": "rd.example.org", "port": 21116, "relay_port": 21117, "api_server": "", "key": KEY}
    found = {"package_path": "", "launcher_path": ""}
    packages = load("vars/main/packages.yml")["__rustdesk_client_packages"]
    return {**values, **site, "windows": False, "again": False, "packages": packages, **found, **given}


def host(**given: Any) -> dict[str, Any]:
    """A host with nothing of RustDesk, as the look returns it."""
    profile = {
        "name": "anna",
        "kind": "user",
        "directory": "/home/anna/.config/rustdesk",
        "group": "anna",
        "missing": [],
        "above": {},
        "names": [],
        "fault": "",
        "files": {},
    }
    return {
        "machine": "x86_64",
        "dpkg": True,
        "package": "",
        "package_unfinished": False,
        "program": "",
        "nft": True,
        "systemd": True,
        "service": {"exists": False, "active": False, "enabled": False},
        "programs": [],
        "options": {},
        "unknown_users": [],
        "qos_current": False,
        "existing_paths": [],
        "profiles": [profile],
        **given,
    }


# --- What they mean -------------------------------------------------------------------------------------------------


def test_the_defaults_ask_for_a_quiet_client() -> None:
    assert client_inputs.faults(inputs()) == []
    assert client_inputs.settings(inputs()) == {
        "RustDesk2.toml": {
            "options": {
                "custom-rendezvous-server": "rd.example.org",
                "key": KEY,
                "relay-server": None,
                "api-server": None,
                "allow-auto-update": "N",
                "direct-server": "N",
                "enable-lan-discovery": "N",
                "allow-remote-config-modification": "N",
                "allow-websocket": None,
                "disable-udp": None,
                "stop-service": None,
            }
        },
        "RustDesk_local.toml": {"options": {"enable-check-update": "N"}},
    }


def test_every_option_goes_where_the_client_reads_it() -> None:
    found = client_inputs.settings(
        inputs(
            role="controlling",
            proxy_url="socks5://p.example.org:1080",
            proxy_username="u",
            proxy_password="geheim",
            permanent_password="Wald-Pferd",
            whitelist=["192.0.2.7", "2001:db8::/32"],
            approve_mode="password",
            verification_method="use-permanent-password",
            access_mode="custom",
            permissions={"file_transfer": False, "audio": True},
            direct_access=True,
            language="de",
            options={"enable-abr": "N"},
            local_options={"theme": "dark"},
            display_options={"image_quality": "best"},
        )
    )
    options = found["RustDesk2.toml"]["options"]
    assert options["whitelist"] == "192.0.2.7,2001:db8::/32"
    assert (options["enable-file-transfer"], options["enable-audio"]) == ("N", "Y")
    assert (options["direct-server"], options["direct-access-port"]) == ("Y", "21118")
    assert options["approve-mode"] == "password"
    assert options["enable-abr"] == "N"
    assert not {"disable-udp", "stop-service"} & set(options)
    assert found["RustDesk2.toml"]["socks"] == {
        "proxy": "socks5://p.example.org:1080",
        "username": "u",
        "password": "geheim",
    }
    assert found["RustDesk_local.toml"]["options"] == {"theme": "dark", "lang": "de", "enable-check-update": "N"}
    assert found["RustDesk_default.toml"] == {"options": {"image_quality": "best"}}
    assert found["RustDesk.toml"] == {"": {"password": "Wald-Pferd"}}


@pytest.mark.parametrize(
    ("given", "name", "probe"),
    [
        ({}, "rd.example.org", "rd.example.org:21117"),
        ({"port": 30000, "relay_port": 30001}, "rd.example.org:30000", "rd.example.org:30001"),
        (
            {"id_server": "rd.example.org:4000", "relay_server": "r.example.org"},
            "rd.example.org:4000",
            "r.example.org:21117",
        ),
        ({"id_server": "2001:db8::1", "port": 4000}, "[2001:db8::1]:4000", "[2001:db8::1]:21117"),
        ({"id_server": "2001:db8::1"}, "[2001:db8::1]", "[2001:db8::1]:21117"),
    ],
)
def test_server_with_its_port(given: dict[str, Any], name: str, probe: str) -> None:
    assert client_inputs.server_name(inputs(**given)) == name
    assert client_inputs.probe(inputs(**given))["relay"] == probe


def test_package_is_that_of_the_machine() -> None:
    assert client_inputs.package(inputs(), "x86_64")["file"].endswith(".deb")
    assert client_inputs.package(inputs(), "aarch64")["sha256"] == ""
    assert client_inputs.package(inputs(windows=True), "")["file"].endswith(".msi")
    assert client_inputs.package(inputs(windows=True, package_kind="exe"), "")["file"].endswith(".exe")
    assert client_inputs.package(inputs(package_sha256="A" * 64), "x86_64")["sha256"] == "a" * 64


@pytest.mark.parametrize(
    ("given", "machine", "file"),
    [
        ({}, "x86_64", "rustdesk-1.5.0-x86_64.deb"),
        ({}, "aarch64", "rustdesk-1.5.0-aarch64.deb"),
        ({"windows": True}, "x86_64", "rustdesk-1.5.0-x86_64.msi"),
        ({"windows": True, "package_kind": "exe"}, "x86_64", "rustdesk-1.5.0-x86_64.exe"),
        ({"package_url": "https://m/ours.deb?x"}, "x86_64", "ours.deb"),
        ({"package_file": "files/ours.deb"}, "riscv64", "ours.deb"),
        ({}, "riscv64", ""),
    ],
)
def test_a_package_without_a_pin_has_upstreams_name(given: dict[str, Any], machine: str, file: str) -> None:
    wanted = inputs(install=True, version="1.5.0", package_sha256="a" * 64, **given)
    assert client_inputs.package(wanted, machine) | {"file": file} == client_inputs.package(wanted, machine)
    assert bool(list(client_checks.host_faults(wanted, host(machine=machine)))) is not bool(file)


def test_upstreams_names_are_those_of_the_pins() -> None:
    for version, kinds in load("vars/main/packages.yml")["__rustdesk_client_packages"].items():
        for kind, pin in kinds.items():
            assert pin["file"] == f"rustdesk-{version}-{client_inputs.PACKAGE_NAMES[kind]}"


def test_pins_have_their_sources() -> None:
    packages = load("vars/main/packages.yml")["__rustdesk_client_packages"]
    assert load("defaults/main.yml")["rustdesk_client_version"] in packages
    for pin in (pin for version in packages.values() for pin in version.values()):
        assert re.fullmatch(r"[0-9a-f]{64}", pin["sha256"])
        assert pin["sources"] >= 1


def test_no_option_is_known_in_two_files() -> None:
    names = [key for keys in client_options.KNOWN.values() for key in keys]
    assert len(names) == len(set(names))


# --- What is refused ------------------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"id_server": ""}, "id_server: is empty"),
    ({"id_server": "http://x"}, "id_server: 'http://x' is a URL"),
    ({"id_server": "x:0"}, "id_server: 'x:0' is not host"),
    ({"relay_server": "a b"}, "relay_server: 'a b'"),
    ({"port": 1}, "port: 1 cannot"),
    ({"relay_port": 65535}, "relay_port: 65535"),
    ({"key": ""}, "key: is empty"),
    ({"key": "A" * 86 + "=="}, "key: is a private key"),
    ({"api_server": "http://u:geheim@"}, "api_server: 'http://…@'"),
    ({"users": [" "]}, "users: ' ' is not"),
    ({"users": ["DOM\\x"]}, "users: 'DOM"),
    ({"windows_users_directory": "/home"}, "windows_users_directory: '/home'"),
    ({"proxy_url": "http://p:1"}, "proxy_url: a computer behind a proxy can control others but cannot be controlled"),
    ({"role": "controlling", "proxy_url": "http://p:99999"}, "proxy_url: 'http://p:99999' is not a proxy"),
    ({"role": "controlling", "proxy_url": "http://p:1/x"}, "proxy_url: 'http://p:1/x' is not a proxy"),
    ({"role": "controlling", "proxy_url": "http://u@p:1"}, "proxy_url: has a user"),
    ({"role": "controlling", "proxy_url": "http://p:1", "proxy_password": "geheim"}, "proxy_password: has no effect"),
    ({"proxy_password": "geheim"}, "proxy_password: has no effect without"),
    ({"proxy_password": "geheim\n"}, "proxy_password: is longer than"),
    ({"permanent_password": "01geheim-lang"}, "permanent_password: begins with"),
    ({"permanent_password": "geheim-lang "}, "permanent_password: has a line break"),
    ({"whitelist": ["::/0"]}, "whitelist: ::/0 lets everybody in"),
    ({"options": {"enable-abr": 1}}, "options: enable-abr has to be text"),
    ({"options": {"": "x"}}, "options: '' has a control"),
    ({"options": {"enable-abr": "x\n"}}, "options: 'enable-abr' has a control"),
    ({"options": {"allow-websocket": "Y"}}, "options: allow-websocket makes the computer unreachable"),
    ({"local_options": {"enable-abr": "N"}}, "local_options: enable-abr belongs to another file"),
    (
        {"display_options": {"image_qualty": "best"}},
        "display_options: RustDesk has no option image_qualty (is image_quality",
    ),
    ({"options": {1: "Y"}}, "options: the name 1 has to be text"),
    ({"local_options": {True: "Y"}}, "local_options: the name True has to be text"),
    ({"display_options": {None: "Y"}}, "display_options: the name None has to be text"),
    ({"options": {"enable-abr": "\ud800"}}, "options: 'enable-abr' has a control character or half a character"),
    ({"options": {"x\udfff": "Y"}}, "options: 'x\\udfff' has a control character or half a character"),
    ({"api_server": "https://x/\ud800"}, "api_server: 'https://x/"),
    ({"role": "controlling", "proxy_url": "http://p:1/?\ud800"}, "proxy_url: 'http://p:1/"),
    (
        {"role": "controlling", "proxy_url": "http://p:1", "proxy_username": "\ud800"},
        "proxy_username: has a control character",
    ),
    ({"role": "controlling", "proxy_url": "http://p:1", "proxy_password": "\ud800"}, "proxy_password: is longer"),
    ({"permanent_password": "geheim-lang\ud800"}, "permanent_password: has a line break"),
    ({"install": True, "package_url": "http://[x/y.deb"}, "package_url: 'http://[x/y.deb'"),
    ({"install": True, "package_mirror": "http://[x"}, "package_mirror: 'http://[x'"),
    ({"install": True, "version": "one"}, "version: 'one'"),
    ({"install": True, "package_mirror": ""}, "package_mirror: is empty"),
    ({"install": True, "package_url": "ftp://x/y"}, "package_url: 'ftp://x/y'"),
    ({"install": True, "package_timeout": 0}, "package_timeout: 0"),
]


@pytest.mark.parametrize(("given", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_refused_with_its_name_and_without_secrets(given: dict[str, Any], says: str) -> None:
    found = client_inputs.faults(inputs(**given))
    assert [fault for fault in found if fault.startswith(f"rustdesk_client_{says}")], found
    assert not [fault for fault in found if "geheim" in fault]


def test_an_address_that_nobody_asks_for_is_no_matter() -> None:
    wanted = inputs(package_url="http://[x/y.deb")
    assert client_inputs.faults(wanted) == []
    assert client_checks.known(wanted, host())["package_wanted"]["file"]
    assert list(client_checks.host_faults(inputs(install=True, package_url="http://[x/y.deb"), host())) == []


def test_unlike_any_known_option_is_taken_for_a_newer_one() -> None:
    assert client_inputs.faults(inputs(options={"brand-of-coffee": "Y"})) == []


def test_absent_needs_no_server() -> None:
    assert client_inputs.faults(inputs(state="absent", id_server="", key="")) == []


def test_what_a_controlling_computer_may() -> None:
    assert (
        client_inputs.faults(
            inputs(role="controlling", proxy_url="https://p.example.org:8080", options={"disable-udp": "Y"})
        )
        == []
    )


# --- What shows on the host -----------------------------------------------------------------------------------------


def of_proxy() -> dict[str, Any]:
    content = base64.b64encode(b"[socks]\nproxy = 'http://p:1'\n").decode()
    files = {"RustDesk2.toml": {"content": content, "owner": "anna", "group": "anna", "mode": "0600"}}
    return host(profiles=[{**host()["profiles"][0], "files": files}])


ON_HOST: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"users": ["x"]}, host(unknown_users=["x"]), "users: the host has no user x"),
    ({}, host(profiles=[]), "users: there is no profile"),
    ({"portable": True}, host(service={"exists": True, "active": False, "enabled": False}), "portable: the host runs"),
    ({"service": "running"}, host(), "service: there is no RustDesk service"),
    ({"install": True}, host(dpkg=False), "install: this host has no dpkg"),
    ({"install": True}, host(machine="riscv64"), "package_sha256: is needed"),
    ({"install": True, "package_sha256": "a" * 64}, host(machine="riscv64"), "package_url: is needed"),
    ({"qos": True}, host(nft=False), "qos: marks packets"),
    ({}, of_proxy(), "role: the settings of anna hold a proxy"),
    ({}, host(programs=[{"pid": 7, "user": "anna"}]), "close_programs: RustDesk is open at anna"),
]


@pytest.mark.parametrize(("given", "found", "says"), ON_HOST, ids=[says for _, _, says in ON_HOST])
def test_refused_on_the_host(given: dict[str, Any], found: dict[str, Any], says: str) -> None:
    faults = list(client_checks.host_faults(inputs(**given), found))
    assert [fault for fault in faults if fault.startswith(f"rustdesk_client_{says}")], faults


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, host()),
        ({"install": True}, host(package="1.4.9", dpkg=False)),
        ({"proxy_remove": True}, of_proxy()),
        ({"role": "controlling"}, of_proxy()),
        ({"close_programs": True}, host(programs=[{"pid": 7, "user": "anna"}])),
        ({}, host(programs=[{"pid": 7, "user": "somebody else"}])),
    ],
)
def test_accepted_on_the_host(given: dict[str, Any], found: dict[str, Any]) -> None:
    assert list(client_checks.host_faults(inputs(**given), found)) == []


@pytest.mark.parametrize(("exists", "refused"), [(False, True), (True, False)])
def test_beside_a_service_of_windows_a_program_may_be_the_symbol_of_everybody_who_is_logged_in(
    exists: bool, refused: bool
) -> None:
    service = {"exists": exists, "active": exists, "enabled": exists}
    found = host(programs=[{"pid": 7, "user": "anna"}, {"pid": 8, "user": "somebody else"}], service=service)
    faults = list(client_checks.host_faults(inputs(windows=True), found))
    assert bool([fault for fault in faults if "close_programs" in fault]) is refused
    wanted = inputs(windows=True, close_programs=True)
    assert list(client_checks.host_faults(wanted, found)) == []
    assert client_checks.known(wanted, found)["programs_to_close"] == [7]


def test_what_the_role_is_told_is_not_shown() -> None:
    known = client_checks.known(inputs(install=True, close_programs=True), host(programs=[{"pid": 7, "user": "anna"}]))
    assert known["_ansible_no_log"] is True
    assert known["pending"] is True
    assert known["to_install"] == "1.4.9"
    assert known["programs_to_close"] == [7]


def of_service(*, exists: bool, names: list[str], **more: Any) -> dict[str, Any]:
    service = {"exists": exists, "active": False, "enabled": False}
    return host(service=service, profiles=[{**host()["profiles"][0], "kind": "service", "names": names}], **more)


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("exists", [True, False])
def test_the_mark_of_a_service_that_was_stopped_stays_as_long_as_there_is_one(state: str, exists: bool) -> None:
    known = client_checks.known(inputs(state=state), of_service(exists=exists, names=["rustdesk_client.restart"]))
    assert known["interrupted"]
    removed = [change["path"] for change in known["plan"]["changes"] if change["content"] is None]
    assert removed == ([] if exists else ["/home/anna/.config/rustdesk/rustdesk_client.restart"])
    assert "anna" in known["plan"]["users"] or exists


def test_nothing_to_give_back_is_nothing_to_do() -> None:
    known = client_checks.known(inputs(state="absent"), of_service(exists=True, names=[], options={"key": "x"}))
    assert (known["pending"], known["differences"], known["interrupted"]) == (False, [], False)


@pytest.mark.parametrize(
    ("found", "uninstalls"),
    [
        ({"package": "1.4.9"}, "1.4.9"),
        ({"package_unfinished": True}, "1.4.9"),
        ({}, ""),
    ],
    ids=["installed", "half removed", "gone"],
)
def test_a_reset_uninstalls_whatever_is_left_of_the_roles_package(found: dict[str, Any], uninstalls: str) -> None:
    record = base64.b64encode(b'{"format": 1, "files": {}, "created": [], "package": "1.4.9"}').decode()
    files = {"rustdesk_client.json": {"content": record, "owner": "", "group": "", "mode": ""}}
    profile = {**host()["profiles"][0], "kind": "service", "files": files, "names": list(files)}
    known = client_checks.known(inputs(state="absent"), host(profiles=[profile], **found))
    assert known["to_uninstall"] == uninstalls


class Dpkg:
    """Stands in for the module, with dpkg-query's answer."""

    def __init__(self, answer: str, code: int = 0) -> None:
        self._answered = code, answer, ""

    def get_bin_path(self, name: str) -> str:
        return f"/usr/bin/{name}"

    def run_command(self, _command: list[str]) -> tuple[int, str, str]:
        return self._answered


@pytest.mark.parametrize(
    ("answer", "code", "package"),
    [
        ("installed 1.4.9", 0, ("1.4.9", False)),
        ("", 1, ("", False)),
        ("not-installed ", 0, ("", False)),
        ("config-files 1.4.9", 0, ("", False)),
        ("half-configured 1.4.9", 0, ("", True)),
        ("half-installed 1.4.9", 0, ("", True)),
        ("unpacked 1.4.9", 0, ("", True)),
        ("triggers-pending 1.4.9", 0, ("", True)),
    ],
)
def test_a_package_is_installed_or_gone_or_neither(answer: str, code: int, package: tuple[str, bool]) -> None:
    module: Any = Dpkg(answer, code)
    assert rustdesk_client_info.package(module) == package


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("/usr/bin/rustdesk", True),
        ("/usr/share/rustdesk/rustdesk --tray", True),
        ("rustdesk", True),
        ("/tmp/.mount_rustdeAbC/usr/share/rustdesk/rustdesk", True),
        ("/home/anna/rustdesk-1.4.9-x86_64.AppImage --no-x", True),
        ("/usr/bin/python3 -I /usr/bin/rustdesk --service", True),
        ("/opt/rustdesk-api/rustdesk-api --port 21114", False),
        ("/usr/bin/rustdesk_exporter", False),
        ("/opt/rustdesk/hbbs", False),
        ("rustdesk-utils genkeypair", False),
        ("/usr/bin/python3 manage.py rustdesk", False),
        ("vim rustdesk", False),
        ("", False),
    ],
)
def test_only_the_client_is_taken_for_a_window(line: str, found: bool) -> None:
    assert rustdesk_client_info.is_client(line.split(" ")) is found


def partly(**result: Any) -> str:
    """What the rescue of a write says."""
    (block,) = yaml.safe_load((ROLE / "tasks" / "configure.yml").read_text(encoding="utf-8"))
    return str(
        evaluated(
            block["rescue"][-1]["ansible.builtin.fail"]["msg"],
            ansible_failed_result={"msg": "x was not written: full", **result},
            ansible_failed_task={"name": "y"},
            __rustdesk_client_ran=result.get("ran", True),
        )
    )


def test_the_rescue_of_a_write_says_what_is_there() -> None:
    assert "x was not written: full." in partly()
    assert "runs again with the settings it had" in partly(changed=False)
    part = partly(changed=True)
    assert "Only a part" in part
    assert "the settings it had" not in part
    assert "runs again" not in partly(ran=False)


RUNS: list[tuple[str, dict[str, Any], dict[str, Any], bool, bool]] = [
    ("running", {"active": True, "enabled": True}, {"active": True, "enabled": True}, False, True),
    ("running", {}, {"active": True, "enabled": True}, True, True),
    ("running", {}, {"active": False, "enabled": True}, True, False),
    ("running", {"active": True}, {"active": True, "enabled": False}, True, False),
    ("as_found", {}, {}, False, True),
]
"""What is asked of the service, what it was and what it is at the end; whether that is looked at, and will do."""


@pytest.mark.parametrize(("asked", "before", "after", "looks", "holding"), RUNS)
def test_a_service_that_is_to_run_is_seen_running(
    asked: str, before: dict[str, Any], after: dict[str, Any], looks: bool, holding: bool
) -> None:
    state = {"exists": True, "active": False, "enabled": False}
    variables: dict[str, Any] = {
        "ansible_check_mode": False,
        "rustdesk_client_service": asked,
        "__rustdesk_client_host": {"pending": False, "to_install": "", "service": {**state, **before}},
        "__rustdesk_client_now": {"differences": [], "service": {**state, **after}},
    }
    block, *_ = yaml.safe_load((ROLE / "tasks" / "verify.yml").read_text(encoding="utf-8"))
    assert holds(block["when"], **variables) is looks
    checks = [task["ansible.builtin.assert"]["that"] for task in block["block"] if "ansible.builtin.assert" in task]
    assert all(holds(that, **variables) for that in checks) is holding


DIGEST = "0123456789abcdef"
LOADED = f'table inet rustdesk_client_qos {{\n counter packets 1 bytes 2 comment "{DIGEST}"\n}}\n'


class Qos(Dpkg):
    """Stands in for the module, with systemd's and nft's answers."""

    def __init__(self, reload: str, table: str) -> None:
        self._answers = {"systemctl": (0, f"NeedDaemonReload={reload}\n", ""), "nft": (not table, table, "")}

    def get_bin_path(self, name: str, **_options: Any) -> str:
        return f"/usr/sbin/{name}"

    def run_command(self, command: list[str]) -> tuple[int, str, str]:
        return self._answers[Path(command[0]).name]


@pytest.mark.parametrize(
    ("files", "reload", "table", "current"),
    [
        (2, "no", LOADED, True),
        (2, "yes", LOADED, False),
        (2, "no", LOADED.replace("0", "1"), False),
        (2, "no", "", False),
        (1, "no", LOADED, False),
        (0, "no", LOADED, False),
    ],
    ids=["steady", "unit not read", "other rules", "flushed", "no unit", "nothing"],
)
def test_the_mark_is_current_when_the_kernel_has_the_rules_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, reload: str, table: str, current: bool
) -> None:
    rules, unit = tmp_path / "rules.nft", tmp_path / "qos.service"
    if files:
        rules.write_text(f'x\n\t\tcounter comment "{DIGEST}"\n', "utf-8")
    if files > 1:
        unit.touch()
    monkeypatch.setattr(rustdesk_client_info, "SYSTEMD", tmp_path)
    module: Any = Qos(reload, table)
    assert rustdesk_client_info.qos_current(module, rules, unit) is current


def test_the_rules_of_the_mark_name_their_digest() -> None:
    names = {"__rustdesk_client_qos_ports": [21115, 21116, 21117]}
    first, second = (
        rendered("qos.nft.j2", **names, rustdesk_client_qos_dscp=dscp, role_path=str(ROLE)) for dscp in (8, 34)
    )
    digests = [rustdesk_client_info.DIGEST.findall(text) for text in (first, second)]
    assert [len(found) for found in digests] == [1, 1]
    assert digests[0] != digests[1]


def test_the_mark_follows_the_rules_of_the_site() -> None:
    """A restart or a reload of nftables.service flushes all rules."""
    unit = rendered("rustdesk-client-qos.service.j2")
    for line in ("After", "PartOf", "ReloadPropagatedFrom"):
        assert f"\n{line}=nftables.service\n" in unit
    assert "WantedBy=multi-user.target nftables.service" in unit


QOS: list[tuple[dict[str, Any], list[str]]] = [
    ({"qos": True, "current": True}, ["Write", "Write", "started"]),
    ({"qos": True}, ["Write", "Write", "restarted"]),
    ({"qos": True, "written": True, "current": True}, ["Write", "Write", "restarted"]),
    ({"qos": True, "unit_written": True, "current": True}, ["Write", "Write", "restarted"]),
    ({"there": list(client_inputs.QOS_PATHS)}, ["Unload", "Remove", "Let"]),
    ({"there": list(client_inputs.QOS_PATHS[:1])}, ["Remove", "Let"]),
    ({"there": list(client_inputs.QOS_PATHS), "state": "absent", "qos": True}, ["Unload", "Remove", "Let"]),
    ({"state": "absent"}, []),
]
"""What is asked for and found, and which tasks run."""


@pytest.mark.parametrize(("found", "runs"), QOS)
def test_the_mark_is_made_or_taken_off_whatever_an_interrupted_run_has_left(
    found: dict[str, Any], runs: list[str]
) -> None:
    changed = {"changed": True}
    variables: dict[str, Any] = {
        "rustdesk_client_qos": found.get("qos", False),
        "rustdesk_client_state": found.get("state", "present"),
        "ansible_check_mode": False,
        "__rustdesk_client_host": {
            "existing_paths": found.get("there", []),
            "qos_current": found.get("current", False),
        },
        "__rustdesk_client_qos_written": changed if found.get("written") else {"changed": False},
        "__rustdesk_client_qos_unit_written": changed if found.get("unit_written") else {"changed": False},
    }
    ran = []
    for block in yaml.safe_load((ROLE / "tasks" / "qos.yml").read_text(encoding="utf-8")):
        for task in block["block"] if holds(block["when"], **variables) else []:
            if not holds(task.get("when", "true"), **variables):
                continue
            name = task["name"].partition(" | ")[2]
            state = task.get("ansible.builtin.systemd_service", {}).get("state", "")
            own = {key: trust_as_template(value) for key, value in task.get("vars", {}).items()}
            is_asked = "{{" in state
            ran.append(evaluated(state, **variables, **own) if is_asked else name.partition(" ")[0])
    assert ran == runs


def holds(conditions: list[str] | str, **variables: Any) -> bool:
    """Whether a task of the role runs, with the role's own variables."""
    listed = [conditions] if isinstance(conditions, str) else conditions
    all_of_them = " and ".join(f"({condition})" for condition in listed)
    return bool(evaluated(f"{{{{ {all_of_them} }}}}", **variables))


def evaluated(template: str, **variables: Any) -> Any:
    """A template with the role's own variables."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
        init_plugin_loader()
    loader = DataLoader()
    known = loader.load_from_file(str(ROLE / "vars" / "main" / "main.yml"), trusted_as_template=True)
    return Templar(loader, known | variables).template(trust_as_template(template))


def rendered(template: str, **variables: Any) -> str:
    """A template of the role's."""
    return str(evaluated((ROLE / "templates" / template).read_text(encoding="utf-8"), **variables))


STOPPED: list[tuple[dict[str, Any], dict[str, Any], bool, bool]] = [
    ({"active": True}, {}, False, False),
    ({"active": True}, {"pending": True}, True, True),
    ({}, {"pending": True}, True, False),
    ({}, {"interrupted": True}, True, True),
    ({"exists": False}, {"interrupted": True}, True, False),
    ({"active": True}, {"pending": True, "to_uninstall": "1.4.9"}, True, True),
    ({"active": True}, {"pending": True, "to_uninstall": "1.4.9", "removed": {"failed": True}}, True, True),
    ({"active": True}, {"pending": True, "to_uninstall": "1.4.9", "removed": {"changed": True}}, True, False),
    ({"active": True}, {"pending": True, "removed": {"changed": True}}, True, True),
]
"""The service before a reset and what is known, then whether the reset stops something and runs the service again."""


@pytest.mark.parametrize("windows", [True, False])
@pytest.mark.parametrize(("service", "known", "stops", "starts"), STOPPED)
def test_a_reset_runs_again_what_ran(
    service: dict[str, Any], known: dict[str, Any], stops: bool, starts: bool, windows: bool
) -> None:
    """Also what an interrupted run or a failed removal of the package has left stopped."""
    seen = {"pending": False, "interrupted": False, "to_uninstall": "", **known}
    removed = seen.pop("removed", None)
    variables: dict[str, Any] = {"ansible_connection": "psrp" if windows else "ssh"}
    variables["__rustdesk_client_host"] = {**seen, "service": {"exists": True, "active": False, **service}}
    if removed is not None:
        variables[f"__rustdesk_client_{'windows' if windows else 'deb'}_removed"] = removed
    reset, *_ = yaml.safe_load((ROLE / "tasks" / "remove.yml").read_text(encoding="utf-8"))
    assert holds(reset["when"], **variables) is stops
    start = next(task for task in reset["always"] if task["ansible.builtin.include_tasks"] == "service_start.yml")
    assert (stops and holds(start["when"], **variables)) is starts


def test_names_are_asked_for_alike() -> None:
    """The role's tasks for Windows read what the module reads on Linux."""
    variables = load("vars/main/main.yml")
    assert variables["__rustdesk_client_asked"] == list(client_checks.ASKED)
    assert variables["__rustdesk_client_qos_rules"] == client_inputs.QOS_PATHS[0]
    qos = (rustdesk_client_info.QOS_RULES, rustdesk_client_info.QOS_UNIT)
    assert tuple(map(str, qos)) == client_inputs.QOS_PATHS
    assert variables["__rustdesk_client_qos_unit_file"] == client_inputs.QOS_PATHS[1]
    assert client_inputs.QOS_PATHS[1].endswith(f"/{variables['__rustdesk_client_qos_unit']}")
    documented = yaml.safe_load(rustdesk_client_info.DOCUMENTATION)["options"]["files"]["default"]
    assert variables["__rustdesk_client_files"] == documented
