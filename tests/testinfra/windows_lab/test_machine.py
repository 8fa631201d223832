"""The Windows machine beyond what modules answer: open files, services that really run, loud refusals."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from windows_plays import HOST, one, run

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINER = f"rustdesk-{os.environ.get('RUSTDESK_LAB') or 'demo'}-{HOST}"
FOLDER = r"C:\lab-test"
FILE = rf"{FOLDER}\RustDesk2.toml"
STUB = r"C:\lab-test\rustdesk-1.4.9-x86_64.exe"
MSI = r"C:\lab-test\rustdesk-1.4.9-x86_64.msi"
PROGRAM = r"C:\Program Files\RustDesk\RustDesk.exe"
SERVICE_CONFIG = r"C:\Windows\ServiceProfiles\LocalService\AppData\Roaming\RustDesk\config\RustDesk2.toml"
USER_CONFIG = r"C:\Users\Administrator\AppData\Roaming\RustDesk\config\RustDesk2.toml"
CONTACTS = r"C:\ProgramData\rustdesk-stub\contacts.log"
PRODUCT = "{6B7A2F0E-52C4-4B0B-9B37-1C8F3A5D7E01}"
CONFIG_STRING = "0nI900VsFHZVBVdIlncwpHS4V0bOZ0dtVldrpVO4JHdCp0YV5WdzUGZzdnYRVjI6ISeltmIsISMuEjLx4SMiojI0N3boJye"
# Not through modules: what a test did wrong with them must not reach the next one.
UNINSTALL = """
[ -e "$1" ] || exit 0
wine msiexec /x "$2" /qn || :
[ ! -e "$1" ] || wine "$1" --uninstall
tries=600; while [ -e "$1" ] && [ $tries -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
[ ! -e "$1" ]
"""

COPY, FILE_MODULE, SLURP = "ansible.windows.win_copy", "ansible.windows.win_file", "ansible.windows.slurp"
SERVICE, PACKAGE, COMMAND = "ansible.windows.win_service", "ansible.windows.win_package", "ansible.windows.win_command"
# A connection of its own, and not the one that stands.
ANEW = {"ansible_ssh_args": "-o ControlMaster=no -o ControlPath=none"}
NOT_MODELLED = "The lab's stand-in for Windows does not model"


def inside(*command: str) -> str:
    return subprocess.run(
        ["docker", "exec", "--user", "Administrator", CONTAINER, *command], check=True, capture_output=True, text=True
    ).stdout


def unix(path: str) -> str:
    return "/wine/drive_c/" + path.removeprefix("C:\\").replace("\\", "/").replace("Windows/", "windows/")


@contextmanager
def held(path: str, shared: str) -> Iterator[None]:
    """Somebody has a file open, granting others ``none``, ``read`` or ``all``."""
    command = ["docker", "exec", "--interactive", "--user", "Administrator", CONTAINER, "hold-open", shared, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert json.loads(holder.stdout.readline()) == {}
        yield
        assert holder.stdin
        holder.stdin.close()


def content(path: str) -> str:
    return base64.b64decode(one(SLURP, {"src": path})["content"]).decode()


def write(path: str, text: str) -> list[dict[str, Any]]:
    """Tasks that write a file, and the folders above it."""
    return [
        {FILE_MODULE: {"path": path.rsplit("\\", 1)[0], "state": "directory"}},
        {COPY: {"content": text, "dest": path}},
    ]


def option(name: str) -> str:
    return str(one(COMMAND, {"argv": [PROGRAM, "--option", name]})["stdout"]).strip()


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    inside("mkdir", "-p", unix(FOLDER))
    inside("sh", "-c", f"cp /opt/rustdesk-stub/* {unix(FOLDER)} && rm -rf {unix(CONTACTS)}")
    yield
    folders = (FOLDER, SERVICE_CONFIG.rsplit("\\", 2)[0], USER_CONFIG.rsplit("\\", 2)[0], CONTACTS)
    inside("sh", "-c", UNINSTALL, "sh", unix(PROGRAM), PRODUCT)
    inside("rm", "-rf", *(unix(path) for path in folders))


# --- Files ---------------------------------------------------------------------------------------------------------


def test_file_that_somebody_holds_is_not_written() -> None:
    run(write(FILE, "before"))
    with held(FILE, "none"):
        answer = one(COPY, {"content": "after", "dest": FILE})
    assert f"cannot access the file '{FILE}' because it is being used by another process" in answer["msg"]
    assert content(FILE) == "before"


def test_file_that_somebody_holds_is_not_removed() -> None:
    run(write(FILE, "before"))
    with held(FILE, "read"):
        answer = one(FILE_MODULE, {"path": FOLDER, "state": "absent"})
    assert answer["failed"]
    assert "because it is being used by another process" in answer["msg"]
    assert content(FILE) == "before"


def test_file_that_is_shared_is_written() -> None:
    run(write(FILE, "before"))
    with held(FILE, "all"):
        assert not one(COPY, {"content": "after", "dest": FILE})["failed"]
    assert content(FILE) == "after"


def test_read_only_file_is_written_and_is_not_read_only_any_more() -> None:
    """As ``Copy-Item -Force`` does, which win_copy calls."""
    run(write(FILE, "before"))
    inside("chmod", "a-w", unix(FILE))
    assert one("ansible.windows.win_stat", {"path": FILE})["stat"]["isreadonly"]
    assert not one(COPY, {"content": "after", "dest": FILE})["failed"]
    assert content(FILE) == "after"
    assert not one("ansible.windows.win_stat", {"path": FILE})["stat"]["isreadonly"]


def test_read_only_file_stops_the_client() -> None:
    run(write(SERVICE_CONFIG, "[options]\nkey = 'abc'\n"))
    run([{PACKAGE: {"path": MSI}}])
    inside("chmod", "a-w", unix(SERVICE_CONFIG))
    one(COMMAND, {"argv": [PROGRAM, "--option", "key", "other"]})
    one(SERVICE, {"name": "RustDesk", "state": "stopped"})
    assert content(SERVICE_CONFIG) == "[options]\nkey = 'abc'\n"
    assert inside("ls", unix(SERVICE_CONFIG).rsplit("/", 1)[0]).split() == ["RustDesk.toml", "RustDesk2.toml"]


def test_profiles_are_those_the_registry_names() -> None:
    key = r"HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"
    listed = one("ansible.windows.win_reg_stat", {"path": key})["sub_keys"]
    answers = run(
        [{"ansible.windows.win_reg_stat": {"path": rf"{key}\{sid}", "name": "ProfileImagePath"}} for sid in listed]
    )
    paths = {answer["value"] for answer in answers}
    assert {r"C:\Users\Administrator", r"C:\Users\anna", r"C:\Users\Jörg Müller"} <= paths
    assert r"C:\Windows\ServiceProfiles\LocalService" in paths
    stats = run([{"ansible.windows.win_stat": {"path": path}} for path in sorted(paths)])
    assert all(stat["stat"]["exists"] for stat in stats)


# --- The client's stub -----------------------------------------------------------------------------------------------


def test_says_that_it_is_a_stub() -> None:
    assert "stub" in one(COMMAND, {"argv": [STUB, "--version"]})["stdout"]


def test_package_is_installed_once_and_removed_once() -> None:
    answers = run([{PACKAGE: {"path": MSI}, "check_mode": check} for check in (True, False, False)])
    assert [answer["changed"] for answer in answers] == [True, True, False]
    key = r"HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\RustDesk"
    installed = one("ansible.windows.win_reg_stat", {"path": key})["properties"]
    assert installed["DisplayVersion"]["value"] == "1.4.9"
    assert installed["InstallLocation"]["value"].rstrip("\\") == r"C:\Program Files\RustDesk"
    (service,) = one("ansible.windows.win_service_info", {"name": "RustDesk"})["services"]
    assert (service["state"], service["start_mode"]) == ("started", "auto")
    answers = run([{PACKAGE: {"product_id": PRODUCT, "state": "absent"}}] * 2)
    assert [answer["changed"] for answer in answers] == [True, False]
    assert not one("ansible.windows.win_service_info", {"name": "RustDesk"})["exists"]
    assert not one("ansible.windows.win_stat", {"path": PROGRAM})["stat"]["exists"]


def test_silent_installation_is_known_by_its_key() -> None:
    arguments = {"path": STUB, "arguments": "--silent-install", "product_id": "RustDesk"}
    answers = run([{PACKAGE: arguments}, {PACKAGE: arguments}])
    assert [answer["changed"] for answer in answers] == [True, False]
    proven = {"path": STUB, "product_id": "other", "creates_path": PROGRAM, "creates_version": "1.4.9.0"}
    assert not one(PACKAGE, proven)["changed"]
    assert one(PACKAGE, {"product_id": "RustDesk", "state": "absent"})["changed"]
    assert not one("ansible.windows.win_service_info", {"name": "RustDesk"})["exists"]


def test_wrong_checksum_installs_nothing() -> None:
    answer = one(PACKAGE, {"path": MSI, "checksum": "0" * 64, "checksum_algorithm": "sha256"})
    assert answer["failed"]
    assert "did not match" in answer["msg"]
    assert not one("ansible.windows.win_stat", {"path": PROGRAM})["stat"]["exists"]


def test_first_contact_goes_to_the_public_servers_unless_configured_before() -> None:
    run([{PACKAGE: {"path": MSI}}])
    assert content(CONTACTS) == "service rs-ny.rustdesk.com\n"


def test_first_contact_goes_where_the_file_says() -> None:
    run([*write(SERVICE_CONFIG, "[options]\ncustom-rendezvous-server = 'rd.example.org'\n"), {PACKAGE: {"path": MSI}}])
    assert content(CONTACTS) == "service rd.example.org\n"


def test_service_keeps_its_settings_in_memory_and_writes_them_at_its_end() -> None:
    run([*write(SERVICE_CONFIG, "unknown = 1\n[options]\nown = 'x'\nkey = 'abc'\n"), {PACKAGE: {"path": MSI}}])
    run([{COPY: {"content": "[options]\nkey = 'lost'\n", "dest": SERVICE_CONFIG}}])
    assert option("key") == "abc"
    one(SERVICE, {"name": "RustDesk", "state": "stopped"})
    written = content(SERVICE_CONFIG)
    assert "key = 'abc'" in written
    assert "own = 'x'" in written
    assert "unknown" not in written


@pytest.mark.parametrize("text", ["[options]\nkey = 'abc'\nport = 21116\n", "[options]\nkey = 'abc'\nbroken =\n"])
def test_one_value_that_is_no_string_empties_all_options(text: str) -> None:
    run([*write(SERVICE_CONFIG, text), {PACKAGE: {"path": MSI}}])
    assert option("key") == ""


def test_byte_order_mark_and_carriage_returns_do_no_harm() -> None:
    run([*write(SERVICE_CONFIG, "\ufeff[options]\r\nkey = 'abc'\r\n"), {PACKAGE: {"path": MSI}}])
    assert option("key") == "abc"


def test_configuration_string_is_taken_and_a_padded_one_ignored_in_silence() -> None:
    run([{PACKAGE: {"path": MSI}}])
    padded = one(COMMAND, {"argv": [PROGRAM, "--config", f"={CONFIG_STRING}"]})
    assert (padded["rc"], padded["stdout"]) == (0, "")
    assert option("custom-rendezvous-server") == ""
    one(COMMAND, {"argv": [PROGRAM, "--config", CONFIG_STRING]})
    assert option("custom-rendezvous-server") == "1.1.1.1"
    assert option("key") == "5Qbwsde3unUcJBtrx9ZkvUmwFNoExHzpryHuPUdqlWM="


def test_management_needs_an_installation() -> None:
    answer = one(COMMAND, {"argv": [STUB, "--option", "key"]})
    assert answer["rc"] == 0
    assert "Installation and administrative privileges required!" in answer["stdout"]


def test_portable_client_answers_with_the_id_of_its_user() -> None:
    answers = run([{COMMAND: {"argv": [STUB, "--get-id"]}}] * 2)
    assert answers[0]["stdout"] == answers[1]["stdout"]
    assert answers[0]["stdout"].strip().isdigit()


def test_stopped_service_comes_back_with_what_was_written() -> None:
    run([{PACKAGE: {"path": MSI}}])
    answers = run(
        [
            {SERVICE: {"name": "RustDesk", "state": "stopped"}},
            {COPY: {"content": "[options]\nkey = 'new'\n", "dest": SERVICE_CONFIG}},
            {SERVICE: {"name": "RustDesk", "state": "started"}},
            {SERVICE: {"name": "RustDesk", "state": "started"}},
        ]
    )
    assert [answer["changed"] for answer in answers] == [True, True, True, False]
    assert option("key") == "new"


# --- What is not modelled -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("ansible.windows.win_shell", "hostname"),
        ("ansible.windows.win_powershell", {"script": "Get-Date"}),
        ("ansible.windows.win_user", {"name": "x"}),
        ("ansible.windows.win_command", {"argv": ["netsh", "advfirewall", "show", "allprofiles"]}),
        ("ansible.windows.win_command", {"argv": [r"C:\Windows\System32\icacls.exe", r"C:\Users"]}),
        ("ansible.windows.win_copy", {"src": FILE, "dest": r"C:\x", "remote_src": True}),
        ("ansible.windows.win_regedit", {"path": r"HKLM:\ANSIBLE\x", "hive": r"C:\Users\anna\NTUSER.DAT"}),
        ("ansible.windows.win_service", {"name": "Spooler", "dependencies": ["RpcSs"]}),
        ("ansible.windows.win_stat", {"path": r"\\server\share"}),
        ("community.windows.win_firewall_rule", {"name": "x", "protocol": "tcp", "remoteport": "1, 2"}),
    ],
)
def test_what_is_not_modelled_says_so(module: str, arguments: Any) -> None:
    answer = one(module, arguments)
    assert answer["failed"]
    assert NOT_MODELLED in answer["msg"]


def test_command_of_linux_does_not_run() -> None:
    answer = one("ansible.builtin.raw", "hostname")
    assert answer["rc"] == 1
    assert NOT_MODELLED in answer["stderr"]
    assert answer["stdout"] == ""


@pytest.mark.parametrize(
    "keywords", [{"become": True, "become_method": "ansible.builtin.runas", "become_user": "SYSTEM"}, {"async": 10}]
)
def test_another_way_to_run_a_module_is_refused(keywords: dict[str, Any]) -> None:
    answer = one("ansible.windows.win_ping", {}, **keywords)
    assert answer["failed"]
    assert NOT_MODELLED in json.dumps(answer)


def test_nobody_logs_in_without_the_key_of_this_checkout() -> None:
    answer = one("ansible.windows.win_ping", {}, vars={"ansible_ssh_private_key_file": "/dev/null", **ANEW})
    assert answer["unreachable"]


def test_machine_with_another_host_key_is_refused() -> None:
    arguments = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes"
    proxy = f"-o 'ProxyCommand=docker exec -i {CONTAINER} /usr/sbin/sshd -i'"
    answer = one("ansible.windows.win_ping", {}, vars={"ansible_ssh_common_args": f"{arguments} {proxy}", **ANEW})
    assert answer["unreachable"]
