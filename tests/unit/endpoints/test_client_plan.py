"""What is written, and what is given back, for files of every kind; no host is needed to know."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible.module_utils import client_plan
from ansible.module_utils.client_plan import RECORD, RESTART, Plan, absent, differences, masked, present
from hypothesis import given, settings
from hypothesis import strategies as st

DIRECTORY = "/home/anna/.config/rustdesk"
WANTED: dict[str, dict[str, dict[str, str | None]]] = {
    "RustDesk2.toml": {"options": {"custom-rendezvous-server": "rd.example.org", "key": "K=", "relay-server": None}},
    "RustDesk_local.toml": {"options": {"enable-check-update": "N"}},
}
SECRET: dict[str, dict[str, dict[str, str | None]]] = {
    "RustDesk2.toml": {"socks": {"proxy": "http://p:1", "username": "u", "password": "geheim-am-proxy"}},
    "RustDesk.toml": {"": {"password": "Wald-Pferd"}},
}


def profile(files: dict[str, bytes], kind: str = "user", missing: list[str] | None = None) -> dict[str, Any]:
    """A profile as the look returns it."""
    return {
        "name": "anna",
        "kind": kind,
        "directory": DIRECTORY,
        "group": "staff",
        "missing": missing or [],
        "above": {"/home/anna/.config": [] if missing else ["rustdesk"]},
        "names": sorted(files),
        "fault": "",
        "files": {
            name: {"content": base64.b64encode(content).decode(), "owner": "anna", "group": "anna", "mode": "0640"}
            for name, content in files.items()
        },
    }


def carried_out(files: dict[str, bytes], plan: Plan) -> dict[str, bytes]:
    """The files after a plan."""
    assert plan.faults == []
    after = dict(files)
    for change in plan.changes:
        name = change.path.rpartition("/")[2]
        assert change.before == (after[name].decode() if name in after else None)
        if change.content is None:
            after.pop(name, None)
        else:
            after[name] = change.content.encode()
    return after


def configured(files: dict[str, bytes], wanted: Any = WANTED) -> dict[str, bytes]:
    return carried_out(files, present([profile(files)], wanted))


def given_back(files: dict[str, bytes]) -> dict[str, bytes]:
    return carried_out(files, absent([profile(files)]))


OLD = b"\xef\xbb\xbfnat_type = 1\r\n[options]\r\nkey = \"theirs\" # x\r\nrelay-server = 'r'"


@pytest.mark.parametrize("files", [{}, {"RustDesk2.toml": OLD}, {"RustDesk2.toml": b"", "RustDesk_local.toml": b"#\n"}])
def test_there_and_back(files: dict[str, bytes]) -> None:
    after = configured(files)
    assert RECORD in after
    assert differences([profile(after)], WANTED, {}) == []
    assert not present([profile(after)], WANTED).pending
    assert given_back(after) == files


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([{"key": "A"}, {"key": "B", "x": "1"}, {"key": None}, {"api-server": "u"}]),
        min_size=1,
        max_size=4,
    )
)
def test_there_over_any_way_and_back(steps: list[dict[str, str | None]]) -> None:
    files = {"RustDesk2.toml": OLD}
    after = files
    for step in steps:
        after = configured(after, {"RustDesk2.toml": {"options": step}})
    assert given_back(after) == files


def test_what_is_there_already_leaves_no_trace() -> None:
    files = {"RustDesk2.toml": b"[options]\nkey = 'K='\n"}
    assert configured(files, {"RustDesk2.toml": {"options": {"key": "K="}}}) == files


def test_new_directories_are_made_and_go_again() -> None:
    missing = ["/home/anna/.config", DIRECTORY]
    plan = present([profile({}, missing=missing)], WANTED)
    assert [made["path"] for made in plan.create] == missing
    assert {made["owner"] for made in plan.create} == {"anna"}
    after = carried_out({}, plan)
    assert absent([profile(after)]).remove == [DIRECTORY, "/home/anna/.config"]
    assert absent([profile(after | {"RustDesk.toml": b""})]).remove == []
    assert absent([profile(after | {RESTART: b""})]).remove == [DIRECTORY, "/home/anna/.config"]
    assert absent([profile(after | {RESTART: b""})], service_stays=True).remove == []
    full = profile(after)
    full["above"]["/home/anna/.config"].append("other")
    assert absent([full]).remove == [DIRECTORY]


@pytest.mark.parametrize("created", [["/etc"], ["/home/anna/.config", "/home/anna"], ["/", DIRECTORY + "/../../.."]])
def test_a_record_removes_no_directory_but_the_profiles_own(created: list[str]) -> None:
    """It is its user's to write, and directories are removed as root."""
    record = json.dumps({"format": 1, "files": {}, "created": [*created, DIRECTORY]}).encode()
    plan = absent([profile({RECORD: record})])
    assert set(plan.remove) <= {DIRECTORY, "/home/anna/.config"}
    assert plan.remove[0] == DIRECTORY


def test_the_case_of_a_path_of_windows_does_not_matter() -> None:
    record = json.dumps({"format": 1, "files": {}, "created": ["c:\\users\\X\\rustdesk\\config"]}).encode()
    windows = profile({RECORD: record}) | {"directory": "C:\\Users\\x\\RustDesk\\config", "above": {}}
    assert absent([windows]).remove == ["C:\\Users\\x\\RustDesk\\config"]


def test_the_record_is_written_before_what_it_records() -> None:
    plan = present([profile({"RustDesk2.toml": OLD})], WANTED)
    assert [change.path.rpartition("/")[2] for change in plan.changes] == [
        RECORD,
        "RustDesk2.toml",
        "RustDesk_local.toml",
    ]
    interrupted = carried_out({"RustDesk2.toml": OLD}, Plan(changes=plan.changes[:1]))
    assert given_back(interrupted) == {"RustDesk2.toml": OLD}
    assert given_back(configured(interrupted)) == {"RustDesk2.toml": OLD}


def test_owner_group_and_mode_stay_and_new_files_are_private() -> None:
    changes = {
        change.path.rpartition("/")[2]: change for change in present([profile({"RustDesk2.toml": OLD})], WANTED).changes
    }
    kept, new = changes["RustDesk2.toml"], changes["RustDesk_local.toml"]
    assert (kept.owner, kept.group, kept.mode) == ("anna", "anna", "0640")
    assert (new.owner, new.group, new.mode) == ("anna", "staff", "0600")


def test_changed_since_gets_back_only_what_is_still_ours() -> None:
    after = configured({"RustDesk2.toml": OLD})
    after["RustDesk2.toml"] = (
        b"[options]\ncustom-rendezvous-server = 'rd.example.org'\nkey = 'new of theirs'\nown = 'x'\n"
    )
    back = given_back(after)["RustDesk2.toml"].decode()
    assert back == "[options]\nkey = 'new of theirs'\nown = 'x'\nrelay-server = 'r'\n"


def test_changed_between_two_runs_is_not_given_back_as_a_whole() -> None:
    """What the role finds in the second run is not its own alone."""
    files = configured({})
    files["RustDesk2.toml"] = b"enc_id = '1'\n\n" + files["RustDesk2.toml"]
    other = {**WANTED, "RustDesk2.toml": {"options": {**WANTED["RustDesk2.toml"]["options"], "key": "L="}}}
    files = configured(configured(files, other), WANTED)
    assert "after" not in json.loads(files[RECORD])["files"]["RustDesk2.toml"]
    assert given_back(files)["RustDesk2.toml"].strip() == b"enc_id = '1'"


def test_a_file_that_is_gone_is_there_again() -> None:
    after = configured({"RustDesk2.toml": OLD})
    del after["RustDesk2.toml"], after["RustDesk_local.toml"]
    assert given_back(after) == {"RustDesk2.toml": OLD}


OF_ANOTHER_SERVER = (
    b"[options]\ncustom-rendezvous-server = 'a'\nrelay-server = 'ra'\n[socks]\nproxy = 'p'\nusername = 'u'\n"
)


@pytest.mark.parametrize(
    ("old", "new", "back"),
    [
        ("'rd.example.org'", "'rd.example.org'\nown = 'x'", ("'ra'", "'u'")),
        ("'rd.example.org'", "'chosen.since'", ("'u'",)),
        ("'http://q:1'", "'http://chosen:1'", ("'ra'",)),
    ],
)
def test_a_relay_and_a_user_come_back_only_beside_the_server_they_belong_to(
    old: str, new: str, back: tuple[str, ...]
) -> None:
    wanted = {"RustDesk2.toml": {**WANTED["RustDesk2.toml"], "socks": {"proxy": "http://q:1", "username": None}}}
    after = configured({"RustDesk2.toml": OF_ANOTHER_SERVER}, wanted)
    after["RustDesk2.toml"] = after["RustDesk2.toml"].replace(old.encode(), new.encode())
    text = given_back(after)["RustDesk2.toml"].decode()
    assert tuple(value for value in ("'ra'", "'u'") if value in text) == back


def test_a_proxy_that_was_taken_out_comes_back_where_the_client_has_written_none() -> None:
    wanted: Any = {"RustDesk2.toml": {"socks": {"proxy": None, "username": None, "password": None}}}
    after = configured({"RustDesk2.toml": OF_ANOTHER_SERVER}, wanted)
    after["RustDesk2.toml"] += b"\n[x]\n"
    text = given_back(after)["RustDesk2.toml"].decode()
    assert "proxy = 'p'" in text
    assert "username = 'u'" in text


ENCRYPTED = b"password = '01QUJDREVGR0hJSktMTU5PUA=='\n"


@pytest.mark.parametrize(
    ("before", "now", "back"),
    [
        (None, b"password = 'Wald-Pferd'\n", None),
        (None, b"enc_id = '00x'\n" + ENCRYPTED, b"enc_id = '00x'\n"),
        (b"enc_id = '00x'\n", b"enc_id = '00x'\n" + ENCRYPTED, b"enc_id = '00x'\n"),
        (b"enc_id = '00x'\npassword = '00y'\n", b"enc_id = '00x'\npassword = 'of theirs'\n", None),
    ],
)
def test_a_file_that_is_asked_for_no_more_is_given_back(before: bytes | None, now: bytes, back: bytes | None) -> None:
    """The last one is as its user has changed it since."""
    files = {} if before is None else {"RustDesk.toml": before}
    after = configured(files, {**WANTED, "RustDesk.toml": SECRET["RustDesk.toml"]})
    after["RustDesk.toml"] = now
    plan = present([profile(after)], WANTED)
    done = carried_out(after, plan)
    assert done.get("RustDesk.toml") == (now if b"theirs" in now else back)
    assert "RustDesk.toml" not in json.loads(done[RECORD])["files"]
    assert not present([profile(done)], WANTED).pending
    for number in range(len(plan.changes)):
        interrupted = carried_out(after, Plan(changes=plan.changes[:number]))
        assert configured(interrupted).get("RustDesk.toml") == done.get("RustDesk.toml")


def test_what_is_asked_for_no_more_is_known_until_it_is_given_back() -> None:
    more = {"RustDesk2.toml": {"options": {**WANTED["RustDesk2.toml"]["options"], "enable-abr": "N"}}}
    after = configured({}, {**WANTED, **more})
    plan = present([profile(after)], WANTED)
    for number in range(len(plan.changes)):
        interrupted = carried_out(after, Plan(changes=plan.changes[:number]))
        assert b"enable-abr" not in configured(interrupted)["RustDesk2.toml"]


def test_changed_since_and_nothing_left_of_a_file_of_ours() -> None:
    after = configured({})
    after["RustDesk2.toml"] += b"\n"
    assert given_back(after) == {"RustDesk2.toml": b"\n"} or given_back(after) == {}


def test_secrets_are_recorded_by_their_digest_only() -> None:
    after = configured({}, SECRET)
    record = after[RECORD].decode()
    assert "geheim-am-proxy" not in record
    assert "Wald-Pferd" not in record
    assert given_back(after) == {}


def test_secrets_that_the_client_has_encrypted_are_left_alone() -> None:
    after = configured({}, SECRET)
    after["RustDesk2.toml"] = after["RustDesk2.toml"].replace(b"geheim-am-proxy", b"00QUJDREVGR0hJSktMTU5PUA==")
    after["RustDesk.toml"] = after["RustDesk.toml"].replace(b"Wald-Pferd", b"01QUJDREVGR0hJSktMTU5PUA==")
    assert not present([profile(after)], SECRET).pending
    assert differences([profile(after)], SECRET, {}) == []
    other = {"RustDesk.toml": {"": {"password": "Anderes-Kennwort"}}}
    assert present([profile(after)], other).pending
    assert b"password = 'Anderes-Kennwort'" in configured(after, other)["RustDesk.toml"]
    after["RustDesk.toml"] = b"enc_id = '00x'\n" + after["RustDesk.toml"]
    assert given_back(after) == {"RustDesk.toml": b"enc_id = '00x'\n"}


def test_another_encrypted_secret_is_not_taken_for_ours() -> None:
    files = {"RustDesk.toml": b"password = '00QUJDREVGR0hJSktMTU5PUA=='\n"}
    assert b"password = 'Wald-Pferd'" in configured(files, SECRET)["RustDesk.toml"]


def test_a_client_that_runs_is_asked() -> None:
    after = configured({})
    answers = {"custom-rendezvous-server": "elsewhere", "key": "K=", "relay-server": ""}
    assert differences([profile(after)], WANTED, answers) == [
        "the running client: custom-rendezvous-server is not what was asked for"
    ]


def test_a_client_that_does_not_answer_says_so_in_a_sentence() -> None:
    excuse = {"key": "Installation and administrative privileges required!"}
    assert differences([profile(configured({}))], WANTED, excuse) == []


def test_an_empty_value_is_as_good_as_none() -> None:
    """The client writes empty values for what its windows show, and would write them again and again."""
    after = configured({})
    after["RustDesk2.toml"] += b"relay-server = ''\n"
    assert not present([profile(after)], WANTED).pending
    assert differences([profile(after)], WANTED, {}) == []


def test_differences_name_file_and_key_without_values() -> None:
    found = differences([profile({"RustDesk2.toml": b"[options]\nkey = 'geheim'\n"})], WANTED, {})
    assert f"{DIRECTORY}/RustDesk2.toml: key in [options] is not what was asked for" in found
    assert not [sentence for sentence in found if "geheim" in sentence]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[options\n", "is not TOML"),
        (b"\xff", "not UTF-8"),
        (b"[options]\nport = 1\n", "port in [options] is not in quotes"),
        (b"[socks]\nproxy = 1\n", "proxy in [socks] is not in quotes"),
    ],
)
def test_unusable_files_are_faults_that_name_them(content: bytes, says: str) -> None:
    plan = present([profile({"RustDesk2.toml": content}), profile({})], WANTED)
    (fault,) = plan.faults
    assert says in fault
    assert f"{DIRECTORY}/RustDesk2.toml" in fault


def of_file(**entry: Any) -> bytes:
    return json.dumps({"format": 1, "files": {"RustDesk2.toml": {"before": None, "set": {}, **entry}}}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"[" * 100000,
        b'{"format": 2}',
        b'{"format": 1, "files": []}',
        b'{"format": 1, "files": {"RustDesk2.toml": []}}',
        b'{"format": 1, "files": {"../../../etc/cron.d/x": {"before": "x", "set": {}}}}',
        b'{"format": 1, "created": "/"}',
        b'{"format": 1, "created": [1]}',
        b'{"format": 1, "package": 1}',
        b'{"format": 1, "installing": 1}',
        of_file(before=1),
        of_file(before="\ud800"),
        of_file(after=[]),
        of_file(set=[]),
        of_file(set={"options": []}),
        of_file(set={"options": {"key": 1}}),
        of_file(set={"options": {"key": {"scrypt": None}}}),
    ],
    ids=lambda content: content[:60].decode(),
)
def test_a_record_that_is_none_is_a_fault(content: bytes) -> None:
    for plan in (present([profile({RECORD: content})], WANTED), absent([profile({RECORD: content})])):
        assert "not a record" in plan.faults[0]
        assert not plan.changes


def test_a_profile_with_a_fault_is_told_and_not_written() -> None:
    broken = profile({}) | {"fault": "/home/anna/.config is a link"}
    plan = present([broken], WANTED)
    assert plan.faults == ["/home/anna/.config is a link"]
    assert not plan.pending


@pytest.mark.parametrize("recorded", [True, False])
def test_a_profile_with_a_fault_is_given_nothing_back_and_that_is_told(recorded: bool) -> None:
    broken = profile({}) | {"fault": "/home/anna/.config is a link", "recorded": recorded}
    plan = absent([broken])
    assert plan.faults == ["/home/anna/.config is a link"] * recorded
    assert not plan.pending


def of_service(files: dict[str, bytes]) -> list[dict[str, Any]]:
    return [profile(files, kind="service")]


def recorded(files: dict[str, bytes]) -> dict[str, Any]:
    """What the record says of the package."""
    record = json.loads(files[RECORD])
    return {key: record[key] for key in ("package", "installing") if key in record}


def test_a_package_is_the_roles_once_it_is_there() -> None:
    files = carried_out({}, present(of_service({}), WANTED))
    assert recorded(files) == {}
    claimed = carried_out(files, client_plan.claim(of_service(files), "1.4.9"))
    assert recorded(claimed) == {"installing": "1.4.9"}
    settled = carried_out(claimed, client_plan.settle(of_service(claimed), "1.4.9"))
    assert recorded(settled) == {"package": "1.4.9"}
    assert client_plan.recorded_package(of_service(settled), "1.4.9") == "1.4.9"
    assert not present(of_service(settled), WANTED, "1.4.9").pending
    assert not client_plan.settle(of_service(settled), "1.4.9").pending
    assert carried_out(settled, absent(of_service(settled))) == {}


def test_a_package_that_did_not_come_about_is_not_the_roles() -> None:
    """Its download or its installation fails, and an administrator installs it by hand."""
    files = carried_out({}, present(of_service({}), WANTED))
    claimed = carried_out(files, client_plan.claim(of_service(files), "1.4.9"))
    settled = carried_out(claimed, client_plan.settle(of_service(claimed), ""))
    assert recorded(settled) == {}
    for by_hand in (files, settled):
        assert client_plan.recorded_package(of_service(by_hand), "1.4.9") == ""


@pytest.mark.parametrize(
    ("there", "own"), [("1.4.9", "1.4.9"), (None, "1.4.9"), ("1.4.8", ""), ("", "")], ids=["whole", "half", "other", ""]
)
def test_a_run_that_was_killed_while_it_installed(there: str | None, own: str) -> None:
    claimed = carried_out({}, client_plan.claim(of_service({}), "1.4.9"))
    assert client_plan.recorded_package(of_service(claimed), there) == own
    healed = carried_out(claimed, present(of_service(claimed), WANTED, there))
    assert recorded(healed) == ({"package": own} if own else {})


def test_what_an_earlier_version_has_recorded_is_read() -> None:
    """It recorded the package before it was there, and nothing else."""
    old = {RECORD: b'{"format": 1, "files": {}, "created": [], "package": "1.4.9"}'}
    assert client_plan.recorded_package(of_service(old), "1.4.9") == "1.4.9"
    assert client_plan.recorded_package(of_service(old), "1.5.0") == "1.4.9"
    assert client_plan.recorded_package(of_service(old), "") == ""
    assert recorded(carried_out(old, present(of_service(old), WANTED, "1.4.9"))) == {"package": "1.4.9"}
    assert recorded(carried_out(old, present(of_service(old), WANTED, ""))) == {}


def test_only_the_service_s_record_is_about_the_package() -> None:
    claimed = carried_out({}, client_plan.claim(of_service({}), "1.4.9"))
    assert recorded(carried_out(claimed, present([profile(claimed)], WANTED))) == {"installing": "1.4.9"}


def test_the_mark_of_a_service_whose_directory_is_missing_makes_it_and_remembers_that() -> None:
    missing = ["/home/anna/.config", DIRECTORY]
    plan = client_plan.mark([profile({}, kind="service", missing=missing)])
    assert [made["path"] for made in plan.create] == missing
    marked = carried_out({}, plan)
    assert set(marked) == {RECORD, RESTART}
    assert client_plan.marked(of_service(marked))
    there = carried_out(marked, present(of_service(marked), WANTED))
    assert json.loads(there[RECORD])["created"] == missing
    assert absent(of_service(there)).remove == missing[::-1]


def test_the_mark_of_a_service_whose_directory_is_there_is_all_that_is_written() -> None:
    plan = client_plan.mark(of_service({}))
    assert ([change.path for change in plan.changes], plan.create) == ([f"{DIRECTORY}/{RESTART}"], [])


def test_paths_of_windows() -> None:
    assert client_plan.join("C:\\Users\\x\\config", "a.toml") == "C:\\Users\\x\\config\\a.toml"


MASKED = [
    ("\ufeffenc_id = '00SECRET'\n", "enc_id = (not shown)\n"),
    ("password = '''\nSECRET=\n\na = 'SECRET'\n'''\nb = 'c'\n", "password = (not shown)\nb = 'c'\n"),
    ('password = """\n\\"""SECRET\n"""\nb = 1\n', "password = (not shown)\nb = 1\n"),
    ("key_pair = [\n    [ 11, 22 ],\n    [ 33 ],\n]\nnat_type = 1\n", "key_pair = (not shown)\nnat_type = 1\n"),
    ("salt='SECRET'\r\nb = 1\r\n", "salt = (not shown)\nb = 1\r\n"),
    ("  \"password\"   =   'SECRET'", '"password" = (not shown)\n'),
    ("socks = { proxy = 'p', password = 'SECRET' }\n", "socks = (not shown)\n"),
    ("socks . 'password' = 'SECRET'\n", "(not shown)\n"),
    ("socks.password = 'SECRET'\n", "socks.password = (not shown)\n"),
    ("\"p\\u0061ssword\" = 'SECRET'\n", "(not shown)\n"),
    ("unlock_pin = '1\u2028a = SECRET'\n", "unlock_pin = (not shown)\n"),
    ("[options]\naccess_token = 'SECRET'\n", "[options]\naccess_token = (not shown)\n"),
    ("2fa = 'SECRET'\nbot = 'SECRET'\n", "2fa = (not shown)\nbot = (not shown)\n"),
    ("preset-address-book-password = 'SECRET'\n", "preset-address-book-password = (not shown)\n"),
    ("x = [\n  { password = 'SECRET' },\n  'SECRET',\n]\ny = 1\n", "x = (not shown)\ny = 1\n"),
    ("# password = SECRET\n", "(not shown)\n"),
    ("api-server = 'https://u:SECRET@api.example.org/x'\n", "api-server = 'https://…@api.example.org/x'\n"),
    ("proxy = 'http://u:SEC/R ET@p:1' # x\n", "proxy = 'http://…@p:1' # x\n"),
    ("proxy = 'u:SECRET@p:1'\n", "proxy = '…@p:1'\n"),
    ("# was http://u:SECRET@p:1\nb = 'a@b'\n", "# was http://…@p:1\nb = 'a@b'\n"),
    ("socks = { x = 'u', proxy = 'http://u:SECRET@p:1' }\n", "socks = { x = 'u', proxy = 'http://…@p:1' }\n"),
    ("proxy = 'u:SECRET@p:1' # a@b\n", "proxy = '…@p:1' # a@b\n"),
    ('proxy = "http://u:SECRET\\u0040p:1"\n', "proxy = (not shown)\n"),
    ('proxy = "http:\\U0000002F/u:SECRET@p:1"\n', "proxy = (not shown)\n"),
    ("[options]\nkey = 'K='\napprove-mode = 'password' # x\n", None),
    ("a = 'it\"s'\nb = [\n 1, # ]\n]\n\n[[x]]\n# don't\nbottom = 'x'\n", None),
]


@pytest.mark.parametrize(("text", "shown"), MASKED, ids=[text for text, _ in MASKED])
def test_masked_text_shows_no_secret(text: str, shown: str | None) -> None:
    assert masked(text) == (text if shown is None else shown)


@given(st.text("ab='\"\\\n[]{}#\u2028 ", max_size=40))
def test_masked_text_is_all_of_the_text(text: str) -> None:
    assert masked(text) == text


def test_much_text_is_masked_soon() -> None:
    assert masked("a = '" + "a:" * 200_000 + "'" + "://" * 200_000)
    assert masked("a = [\n" + "'" * 100_000 + '"""' * 100_000 + "\n" * 100_000)
