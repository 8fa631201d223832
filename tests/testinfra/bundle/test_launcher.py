"""What the launchers do when they really run, under Wine on the lab's Windows machine.

Wine is not Windows: that no console window stays, what a message looks like and how other programs take a file that is
being replaced is not shown here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.testinfra.bundle.launchers import (
    ADMINISTRATOR,
    ANNA,
    CONTACTS,
    FOLDER,
    INSTALLED,
    JOERG,
    LAUNCHER,
    RESET,
    SERVER_NAME,
    SERVICE_ROAMING,
    Programs,
    User,
    blocked,
    bundle,
    exists,
    held,
    inside,
    names,
    place,
    programs,
    programs_with_a_wrong_key,
    read,
    right_key,
    stub_sha256,
    unix,
    window,
    write,
)

if TYPE_CHECKING:
    from typing import Any

__all__ = ["bundle", "programs", "programs_with_a_wrong_key", "right_key", "stub_sha256"]

pytestmark = pytest.mark.usefixtures("bundle")

DONE, FAILED, WRONG, BUSY = 0, 1, 2, 3

SETTINGS_BEFORE = (
    "# eigene Einstellungen\r\nnat_type = 1\r\n\r\n[options]\r\nkey = 'alt'   # Größe\r\nlang = \"de\"\r\n"
)


def ours(key: str) -> str:
    return f"[options]\ncustom-rendezvous-server = '{SERVER_NAME}'\nkey = '{key}'\n"


# --- Configuring ----------------------------------------------------------------------------------------------------


def test_fresh_profile_is_configured_before_the_client_starts(programs: Programs) -> None:
    with window(ADMINISTRATOR, LAUNCHER):
        assert read(CONTACTS).decode() == f"window {SERVER_NAME}\n"
        assert read(ADMINISTRATOR.settings).decode() == ours(programs.key)
    # The client wrote the file anew at its end; the launcher's saved state still takes it all back.
    assert f"custom-rendezvous-server = '{SERVER_NAME}'" in read(ADMINISTRATOR.settings).decode()
    done = ADMINISTRATOR.run(RESET)
    assert done.returncode == DONE
    assert SERVER_NAME not in read(ADMINISTRATOR.settings).decode()
    assert not exists(ADMINISTRATOR.record)


@pytest.mark.parametrize("user", [ADMINISTRATOR, JOERG], ids=lambda user: user.name)
def test_existing_settings_keep_every_other_byte_and_come_back(user: User, programs: Programs) -> None:
    before = ("\ufeff" + SETTINGS_BEFORE).encode()
    write(user.settings, before)
    done = user.run(LAUNCHER, "--apply")
    assert (done.returncode, done.stderr.strip()) == (DONE, f"RustDesk is set to {SERVER_NAME} now")
    line = f"custom-rendezvous-server = '{SERVER_NAME}'\r\n"
    expected = before.decode().replace("'alt'", f"'{programs.key}'") + line
    assert read(user.settings).decode() == expected
    assert names(user.settings.rsplit("\\", 1)[0]) == ["RustDesk2.toml", "rustdesk_client.json"]
    again = user.run(LAUNCHER, "--apply", "--lang", "de")
    assert (again.returncode, again.stderr.strip()) == (DONE, f"RustDesk war schon auf {SERVER_NAME} eingestellt")
    back = user.run(RESET)
    assert (back.returncode, "again what they were" in back.stderr) == (DONE, True)
    assert read(user.settings) == before
    assert names(user.settings.rsplit("\\", 1)[0]) == ["RustDesk2.toml"]
    once_more = user.run(RESET, "--lang", "de")
    assert (once_more.returncode, once_more.stderr.strip()) == (
        DONE,
        "In den Einstellungen von RustDesk ist nichts von Läb. Es wurde nichts geändert",
    )


def test_two_users_have_their_own_settings_and_saved_states(programs: Programs) -> None:
    write(JOERG.settings, b"[options]\nlang = 'de'\n")
    for user in (JOERG, ANNA):
        assert user.run(LAUNCHER, "--apply").returncode == DONE
    assert read(ANNA.settings).decode() == ours(programs.key)
    assert JOERG.run(RESET).returncode == DONE
    assert read(JOERG.settings) == b"[options]\nlang = 'de'\n"
    assert read(ANNA.settings).decode() == ours(programs.key)
    assert ANNA.run(RESET).returncode == DONE
    assert not exists(rf"{ANNA.roaming}\RustDesk")


def test_second_start_keeps_the_first_saved_state() -> None:
    write(ADMINISTRATOR.settings, b"[options]\nkey = 'first'\n")
    assert ADMINISTRATOR.run(LAUNCHER, "--apply").returncode == DONE
    write(ADMINISTRATOR.settings, b"[options]\nkey = 'second'\n")
    assert ADMINISTRATOR.run(LAUNCHER, "--apply").returncode == DONE
    assert json.loads(read(ADMINISTRATOR.record))["files"]["RustDesk2.toml"]["before"] == "[options]\nkey = 'first'\n"
    assert ADMINISTRATOR.run(RESET).returncode == DONE
    assert read(ADMINISTRATOR.settings) == b"[options]\nkey = 'first'\n"


def test_what_the_user_changed_since_stays_after_a_reset(programs: Programs) -> None:
    assert ADMINISTRATOR.run(LAUNCHER, "--apply").returncode == DONE
    write(ADMINISTRATOR.settings, ("nat_type = 2\n" + ours(programs.key) + "lang = 'de'\n").encode())
    done = ADMINISTRATOR.run(RESET)
    assert (done.returncode, "Everything else that was changed since has been kept" in done.stderr) == (DONE, True)
    assert read(ADMINISTRATOR.settings) == b"nat_type = 2\n[options]\nlang = 'de'\n"


def test_settings_that_are_no_toml_are_left_alone() -> None:
    write(ADMINISTRATOR.settings, b"[options]\nkey = \n")
    done = ADMINISTRATOR.run(LAUNCHER)
    assert done.returncode == FAILED
    assert "RustDesk2.toml is damaged (it is not TOML, line 2), and is left as it is" in done.stderr
    assert read(ADMINISTRATOR.settings) == b"[options]\nkey = \n"
    assert names(ADMINISTRATOR.settings.rsplit("\\", 1)[0]) == ["RustDesk2.toml"]
    assert not exists(CONTACTS)


@pytest.mark.parametrize("shared", ["none", "read"])
def test_settings_that_are_held_open_are_reported_and_nothing_is_left_behind(shared: str) -> None:
    write(ADMINISTRATOR.settings, b"[options]\nkey = 'mine'\n")
    with held(ADMINISTRATOR.settings, shared):
        done = ADMINISTRATOR.run(LAUNCHER, "--apply")
    assert done.returncode == FAILED
    assert "RustDesk2.toml" in done.stderr
    assert "cannot be read" in done.stderr or "another program holds it open" in done.stderr
    assert read(ADMINISTRATOR.settings) == b"[options]\nkey = 'mine'\n"
    assert names(ADMINISTRATOR.settings.rsplit("\\", 1)[0]) == ["RustDesk2.toml"]


def test_read_only_settings_are_reported_and_stay() -> None:
    write(ADMINISTRATOR.settings, b"[options]\nkey = 'mine'\n")
    inside("chmod", "a-w", unix(ADMINISTRATOR.settings))
    done = ADMINISTRATOR.run(LAUNCHER, "--apply")
    assert done.returncode == FAILED
    assert "is read-only, so somebody wants it to stay as it is" in done.stderr
    assert read(ADMINISTRATOR.settings) == b"[options]\nkey = 'mine'\n"
    assert names(ADMINISTRATOR.settings.rsplit("\\", 1)[0]) == ["RustDesk2.toml"]


# --- Starting -------------------------------------------------------------------------------------------------------


def test_missing_client_is_said_and_nothing_is_changed() -> None:
    inside("rm", unix(rf"{FOLDER}\rustdesk.exe"))
    done = ADMINISTRATOR.run(LAUNCHER)
    assert done.returncode == WRONG
    assert rf"{FOLDER}\rustdesk.exe is missing. Unpack the whole ZIP" in done.stderr
    assert not exists(ADMINISTRATOR.settings)


def test_other_client_gets_the_arguments_and_its_exit_code_with_a_warning() -> None:
    # Something that is as little RustDesk 1.4.9 as a newer RustDesk, and says what it was given.
    inside(
        "sh",
        "-c",
        'cp "$(readlink -f /wine/drive_c/windows/system32/cmd.exe)" "$1"',
        "sh",
        unix(rf"{FOLDER}\rustdesk.exe"),
    )
    done = ADMINISTRATOR.run(LAUNCHER, "--lang", "de", "--", "/c", "echo --check & exit 42")
    assert done.returncode == 42
    assert done.stdout.strip() == "--check"
    assert "rustdesk.exe ist nicht RustDesk 1.4.9, mit dem dies geprüft wurde" in done.stderr
    assert exists(ADMINISTRATOR.settings)


def test_client_gets_what_is_not_the_launchers() -> None:
    done = ADMINISTRATOR.run(LAUNCHER, "--get-id")
    assert (done.returncode, done.stdout.strip().isdigit(), done.stderr) == (DONE, True, "")


def test_running_client_is_not_configured_behind_its_back() -> None:
    with window(ADMINISTRATOR, "rustdesk.exe"):
        for arguments in ([], ["--apply"]):
            done = ADMINISTRATOR.run(LAUNCHER, *arguments)
            assert (done.returncode, "RustDesk is running, and would overwrite" in done.stderr) == (BUSY, True)
        assert not exists(ADMINISTRATOR.record)
    assert ADMINISTRATOR.run(LAUNCHER, "--apply").returncode == DONE
    with window(ADMINISTRATOR, "rustdesk.exe"):
        # It is set to the site already: nothing has to be written, so nothing stands in the way.
        assert ADMINISTRATOR.run(LAUNCHER, "--get-id").returncode == DONE
        done = ADMINISTRATOR.run(RESET)
        assert (done.returncode, "RustDesk is running" in done.stderr) == (BUSY, True)


def test_installed_client_reads_other_settings_which_is_explained(programs: Programs) -> None:
    ADMINISTRATOR.run("rustdesk.exe", "--silent-install")
    assert exists(INSTALLED)
    done = ADMINISTRATOR.run(LAUNCHER, "--apply", "--lang", "de")
    assert done.returncode == BUSY
    assert "RustDesk ist auf diesem Computer als Dienst installiert" in done.stderr
    string = ADMINISTRATOR.run(LAUNCHER, "--print-config").stdout.strip()
    assert rf'"C:\Program Files\RustDesk\rustdesk.exe" --config {string}' in done.stderr
    assert not exists(ADMINISTRATOR.settings)
    # What it says works, and then there is nothing to say any more.
    inside("wine", INSTALLED, "--config", string)
    assert not exists(ADMINISTRATOR.settings)
    inside("wine", "net", "stop", "RustDesk")
    service = rf"{SERVICE_ROAMING}\RustDesk\config\RustDesk2.toml"
    assert f"key = '{programs.key}'" in read(service).decode()
    stopped = ADMINISTRATOR.run(LAUNCHER, "--apply")
    assert (stopped.returncode, "its service is stopped" in stopped.stderr) == (DONE, True)
    inside("wine", "net", "start", "RustDesk")
    fine = ADMINISTRATOR.run(LAUNCHER, "--apply")
    assert (fine.returncode, fine.stderr) == (DONE, "")


# --- What it tells --------------------------------------------------------------------------------------------------


def test_version_and_configuration_string_are_the_sites(programs: Programs) -> None:
    done = ADMINISTRATOR.run(LAUNCHER, "--version", RUSTDESK_LAUNCHER_LANG="de")
    assert done.stdout.splitlines()[:2] == [f"{LAUNCHER} 1.2.3", f"ID-Server: {SERVER_NAME}"]
    assert f"Schlüssel: {programs.key}" in done.stdout
    assert ADMINISTRATOR.run(RESET, "--version").stdout.startswith(f"{RESET} 1.2.3\n")


def test_quiet_run_leaves_a_log() -> None:
    log = rf"{FOLDER}\protokoll.txt"
    done = ADMINISTRATOR.run(LAUNCHER, "--apply", "--quiet", "--log", log)
    assert (done.returncode, done.stdout, done.stderr) == (DONE, "", "")
    assert f"RustDesk is set to {SERVER_NAME} now" in read(log).decode()


def test_without_a_console_messages_are_windows_that_nobody_has_to_close_here() -> None:
    # As from a double click: no output that anybody sees. Without a desktop the message box is over at once.
    log = rf"{FOLDER}\protokoll.txt"
    program = rf"{FOLDER}\{LAUNCHER}"
    for arguments in (["--apply", "--log", log], ["--version"], ["--get-id"]):
        inside("wine", "start", "/wait", program, *arguments)
    assert f"RustDesk is set to {SERVER_NAME} now" in read(log).decode()


# --- Checking -------------------------------------------------------------------------------------------------------


def check() -> dict[str, Any]:
    done = ADMINISTRATOR.run(LAUNCHER, "--check", "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (DONE if report["passed"] else FAILED)
    return report


def causes(report: dict[str, Any]) -> dict[str, str]:
    return {proof["name"]: proof["cause"] for proof in report["proofs"] if proof["state"] != "passed"}


def test_check_proves_the_server() -> None:
    report = check()
    assert (causes(report), report["passed"], len(report["proofs"])) == ({}, True, 9)
    assert "no port translation on the way" in report["proofs"][1]["detail"]
    table = ADMINISTRATOR.run(LAUNCHER, "--check", "--lang", "de")
    assert table.returncode == DONE
    assert "9 von 9 bestanden" in table.stdout
    assert not exists(ADMINISTRATOR.settings)


def test_check_tells_a_wrong_key(programs_with_a_wrong_key: Programs) -> None:
    place(programs_with_a_wrong_key)
    refused = "relay_key_refused"
    assert causes(check()) == {"key_accepted": "key_differs", "relay_accepted": refused, "relay_bytes": refused}


def test_check_tells_that_the_relay_is_blocked() -> None:
    with blocked("tcp dport 21117"):
        report = check()
        table = ADMINISTRATOR.run(LAUNCHER, "--check", "--lang", "de")
    assert causes(report) == dict.fromkeys(("relay_accepted", "relay_enforced", "relay_bytes"), "timeout")
    assert "Öffnen Sie 21117/tcp zu server-deb12.lab.test in den Firewalls unterwegs" in table.stdout
    assert "6 von 9 bestanden" in table.stdout


def test_check_tells_that_udp_is_blocked() -> None:
    with blocked("udp dport 21116"):
        report = check()
    assert causes(report) == {"rendezvous_udp": "udp_silent"}
    (proof,) = (proof for proof in report["proofs"] if proof["state"] == "failed")
    assert proof["remedy"].startswith("Open 21116/udp to server-deb12.lab.test")
