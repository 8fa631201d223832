"""What the modules for Windows return becomes what the one for Linux returns; and the options given to them exist."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import client_plan, client_windows
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from action.rustdesk_client_files import FIND, ActionModule, windows_steps

ROOT = Path(__file__).resolve().parents[3]
ROAMING = "C:\\Users\\Jörg Müller\\AppData\\Roaming"


def entry(path: str) -> dict[str, str]:
    return {"path": path, "filename": path.rpartition("\\")[2]}


FOLDERS = {"files": [entry(f"C:\\Users\\{name}") for name in ("anna", "Public", "Jörg Müller", "Default", "All Users")]}


def results(**given: Any) -> dict[str, Any]:
    return {
        "service": {"services": []},
        "package": {"exists": False},
        "folders": client_windows.folders(FOLDERS),
        "directories": [],
        "files": [],
        "contents": [],
        "answers": [],
        "programs": "",
        **given,
    }


def test_folders_that_are_nobodys_are_left_out() -> None:
    assert [folder["name"] for folder in client_windows.folders(FOLDERS)] == ["Jörg Müller", "anna"]


def test_profiles_of_everybody_and_of_the_service() -> None:
    host = client_windows.host(results(), [], True, False)
    assert [(found["name"], found["kind"]) for found in host["profiles"]] == [
        ("RustDesk service", "service"),
        ("Jörg Müller", "user"),
        ("anna", "user"),
    ]
    assert host["profiles"][1]["directory"] == f"{ROAMING}\\RustDesk\\config"
    assert host["profiles"][1]["missing"] == [f"{ROAMING}\\RustDesk", f"{ROAMING}\\RustDesk\\config"]


def test_named_users_whatever_their_case_and_unknown_ones() -> None:
    host = client_windows.host(results(), ["ANNA", "nobody"], True, True)
    assert [found["name"] for found in host["profiles"]] == ["anna"]
    assert host["unknown_users"] == ["nobody"]
    assert client_windows.host(results(), [], False, True)["profiles"] == []


def test_files_belong_to_their_profile() -> None:
    config = f"{ROAMING}\\RustDesk\\config"
    content = {"__rustdesk_client_item": f"{config}\\RustDesk2.toml", "content": "YQ=="}
    host = client_windows.host(
        results(
            directories=[entry(f"{ROAMING}\\RustDesk"), entry(config), entry(f"{config}\\peers")],
            files=[entry(f"{config}\\RustDesk2.toml")],
            contents=[content],
        ),
        ["jörg müller"],
        True,
        True,
    )
    (profile,) = host["profiles"]
    assert profile["missing"] == []
    assert profile["names"] == ["RustDesk2.toml", "peers"]
    assert profile["above"] == {f"{ROAMING}\\RustDesk": ["config"]}
    assert profile["files"]["RustDesk2.toml"]["content"] == "YQ=="


def test_only_settings_are_read() -> None:
    found = [
        entry(f"{ROAMING}\\RustDesk\\{name}")
        for name in ("config\\RustDesk2.toml", "config\\peers\\RustDesk2.toml", "log\\RustDesk2.toml", "config\\x.toml")
    ]
    assert client_windows.settings_files(found, ["RustDesk2.toml"]) == [f"{ROAMING}\\RustDesk\\config\\RustDesk2.toml"]


@pytest.mark.parametrize(("attribute", "says"), [("isreadonly", "read-only"), ("ishidden", "hidden")])
@pytest.mark.parametrize("name", ["RustDesk2.toml", "rustdesk2.TOML"])
def test_a_file_that_would_lose_an_attribute_is_a_fault(attribute: str, says: str, name: str) -> None:
    config = f"{ROAMING}\\RustDesk\\config"
    found = {**entry(f"{config}\\{name}"), attribute: True}
    content = {"__rustdesk_client_item": found["path"], "content": "YQ=="}
    host = client_windows.host(results(files=[found], contents=[content]), ["jörg müller"], True, True)
    assert f"{name} is {says}" in host["profiles"][0]["fault"]


def test_the_case_of_a_name_does_not_matter() -> None:
    """To Windows it is the same file: what is in it is merged into, kept in the record, and written where it is."""
    config = f"{ROAMING}\\rustdesk\\Config"
    names = ("rustdesk2.toml", "RUSTDESK_CLIENT.json", "Rustdesk_Client.Restart")
    files = [entry(f"{config}\\{name}") for name in names]
    read = client_windows.settings_files(files, ["RustDesk2.toml", "rustdesk_client.json"])
    assert read == [f"{config}\\{name}" for name in sorted(names[:2])]
    texts = {"rustdesk2.toml": b"[options]\nkey = 'theirs'\n", "RUSTDESK_CLIENT.json": b'{"format": 1, "files": {}}'}
    contents = [
        {"__rustdesk_client_item": f"{config}\\{name}", "content": base64.b64encode(text).decode()}
        for name, text in texts.items()
    ]
    directories = [entry(f"{ROAMING}\\rustdesk"), entry(config)]
    found = results(directories=directories, files=files, contents=contents)
    (profile,) = client_windows.host(found, ["jörg müller"], True, True)["profiles"]
    assert profile["recorded"]
    assert client_plan.marked([profile])
    plan = client_plan.present([profile], {"RustDesk2.toml": {"options": {"key": "K="}}})
    settings = plan.changes[-1]
    assert (settings.path, settings.before) == (f"{config}\\rustdesk2.toml", "[options]\nkey = 'theirs'\n")
    assert json.loads(plan.changes[0].content or "")["files"]["RustDesk2.toml"]["before"] == settings.before


def test_a_directory_of_ours_goes_again_whatever_its_case() -> None:
    config = f"{ROAMING}\\rustdesk\\CONFIG"
    created = [f"{ROAMING}\\RustDesk", f"{ROAMING}\\RustDesk\\config"]
    record = json.dumps({"format": 1, "files": {}, "created": created}).encode()
    item = f"{config}\\rustdesk_client.json"
    found = results(
        directories=[entry(f"{ROAMING}\\rustdesk"), entry(config)],
        files=[entry(item)],
        contents=[{"__rustdesk_client_item": item, "content": base64.b64encode(record).decode()}],
    )
    host = client_windows.host(found, ["jörg müller"], True, True)
    assert client_plan.absent(host["profiles"]).remove == created[::-1]


def test_nothing_is_overlooked_because_it_is_hidden() -> None:
    tasks = yaml.safe_load((ROOT / "roles" / "rustdesk_client" / "tasks" / "look_windows.yml").read_text("utf-8"))
    looks = [task for task in tasks if FIND in task and "folders" not in task["name"]]
    assert len(looks) == 2
    assert [task["name"] for task in looks if not task[FIND].get("hidden")] == []


@pytest.mark.parametrize("kind", ["islnk", "isjunction"])
@pytest.mark.parametrize("name", ["", "\\config", "\\CONFIG\\RustDesk2.toml", "\\config\\rustdesk_client.json"])
def test_a_link_is_a_fault_and_not_read(kind: str, name: str) -> None:
    """Users can make junctions, and settings are written as administrator."""
    link = {**entry(f"{ROAMING}\\RustDesk{name}"), kind: True}
    assert client_windows.no_links([link, entry("C:\\x")]) == [entry("C:\\x")]
    assert client_windows.settings_files([link], ["RustDesk2.toml", "rustdesk_client.json"]) == []
    part = "files" if "." in name else "directories"
    host = client_windows.host(results(**{part: [link]}), ["jörg müller"], True, True)
    (profile,) = host["profiles"]
    assert f"{link['path']} is a link" in profile["fault"]
    assert profile["recorded"] is (part == "directories" or "json" in name)


def test_a_link_to_what_is_no_setting_is_nobodys_business() -> None:
    link = {**entry(f"{ROAMING}\\RustDesk\\config\\peers"), "isjunction": True}
    host = client_windows.host(results(directories=[link]), ["jörg müller"], True, True)
    assert host["profiles"][0]["fault"] == ""


def test_service_package_and_answers() -> None:
    host = client_windows.host(
        results(
            service={"services": [{"state": "started", "start_mode": "auto"}]},
            package={
                "exists": True,
                "properties": {
                    "DisplayVersion": {"value": "1.4.9"},
                    "InstallLocation": {"value": '"C:\\P\\RustDesk\\"'},
                },
            },
            answers=[{"__rustdesk_client_item": "key", "stdout": "K=\r\n"}],
        ),
        [],
        True,
        False,
    )
    assert host["service"] == {"exists": True, "active": True, "enabled": True}
    assert (host["package"], host["program"]) == ("1.4.9", "C:\\P\\RustDesk\\rustdesk.exe")
    assert host["options"] == {"key": "K="}


LISTED = """\
"rustdesk.exe","4711","Console","1","45,932 K","Running","EXAMPLE\\anna","0:00:03","RustDesk ""x"", y"
"RustDesk.exe","4712","RDP-Tcp#0","2","45.932 K","Unbekannt","PC-42\\Jörg Müller","0:00:03","Nicht zutreffend"
"rustdesk.exe","4713","Console","1","45.932 K","Wird ausgeführt","NT-AUTORITÄT\\SYSTEM","0:00:03","Nicht zutreffend"
"rustdesk.exe","4714","Console","1","45,932 K","Unknown","N/A","0:00:03","N/A"
"other.exe","4715","Console","1","45,932 K","Running","EXAMPLE\\anna","0:00:03","N/A"
"rustdesk.exe","x
"""


@pytest.mark.parametrize(
    ("listed", "programs"),
    [
        (LISTED, [{"pid": 4711, "user": "anna"}, {"pid": 4712, "user": "Jörg Müller"}]),
        ("INFO: No tasks are running which match the specified criteria.\r\n", []),
        ("", []),
    ],
)
def test_programs_that_users_have_open(listed: str, programs: list[dict[str, Any]]) -> None:
    assert client_windows.host(results(programs=listed), [], True, False)["programs"] == programs


@pytest.mark.parametrize("folder", ["anna.EXAMPLE", "anna.EXAMPLE.000", "ANNA"])
def test_a_folder_may_have_another_name_than_its_user(folder: str) -> None:
    folders = [{"name": name, "path": f"C:\\Users\\{name}"} for name in ("annabel", folder)]
    host = client_windows.host(results(folders=folders, programs=LISTED), [], True, True)
    assert host["programs"] == [{"pid": 4711, "user": folder}]


PLAN = {
    "create": [{"path": "C:\\x", "owner": "", "group": ""}],
    "changes": [
        {"path": "C:\\x\\RustDesk2.toml", "before": None, "content": "a", "owner": "", "group": "", "mode": ""},
        {"path": "C:\\x\\y", "before": "a", "content": None, "owner": "", "group": "", "mode": ""},
    ],
    "remove": ["C:\\x"],
}


def test_plans_are_carried_out_with_options_that_the_modules_have() -> None:
    """Windows ignores an unknown option of these modules in silence."""
    steps = list(windows_steps(PLAN))
    assert [step[0] for step in steps] == ["C:\\x", "C:\\x\\RustDesk2.toml", "C:\\x\\y", "C:\\x", "C:\\x"]
    modules = sorted({step[1] for step in steps})
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-doc")), "--type=module", "--json", *modules],
        check=True,
        capture_output=True,
        text=True,
    )
    documented = json.loads(done.stdout)
    for _, module, arguments, _ in steps:
        spec = {
            name: {key: option[key] for key in ("type", "choices", "aliases", "required") if key in option}
            for name, option in documented[module]["doc"]["options"].items()
        }
        assert ArgumentSpecValidator(spec).validate(arguments).error_messages == []


@pytest.mark.parametrize("full", [set(), {"a\\config"}, {"a"}, {"a\\config", "b\\config"}])
def test_only_directories_with_nothing_in_them_are_removed(monkeypatch: pytest.MonkeyPatch, full: set[str]) -> None:
    """Those of one profile, whatever is in another one's."""
    there = {"a", "a\\config", "b", "b\\config"}

    def run_action(_self: ActionModule, action: str, arguments: Any, _variables: Any) -> dict[str, Any]:
        if action == FIND:
            (path,) = arguments["paths"]
            return {"matched": int(path in full or any(one.startswith(f"{path}\\") for one in there))}
        there.remove(arguments["path"])
        return {"changed": True}

    monkeypatch.setattr(ActionModule, "run_action", run_action)
    action = object.__new__(ActionModule)
    plan = {"create": [], "changes": [], "remove": ["a\\config", "a", "b\\config", "b"]}
    assert action._on_windows(plan, {})["changed"] is (len(there) < 4)
    assert there == {
        path for path in ("a", "a\\config", "b", "b\\config") if any(f"{one}\\".startswith(f"{path}\\") for one in full)
    }


def test_inputs_are_refused_before_tasks_of_windows_take_them(tmp_path: Path) -> None:
    """The address is nobody's: nothing may be asked of the host."""
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        json.dumps(
            [
                {
                    "hosts": "all",
                    "gather_facts": False,
                    "vars": {"rustdesk_client_users": None, "rustdesk_client_id_server": ""},
                    "tasks": [{"ansible.builtin.import_role": {"name": "rustdesk_client", "rolespec_validate": False}}],
                }
            ]
        )
    )
    how = ["-e", "ansible_connection=ssh", "-e", "ansible_shell_type=powershell"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "192.0.2.1,", *how, str(playbook)],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(done.stdout.split())
    assert "nothing was changed on 192.0.2.1" in said
    assert "rustdesk_client_users: has to be a list" in said
    assert "rustdesk_client_id_server: is empty" in said
