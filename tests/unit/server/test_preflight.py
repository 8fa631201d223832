"""The role's preflight under Ansible: everything that is wrong at once, nothing secret, nothing touched.

The role here has the real one's variables and its preflight, and nothing else, so it cannot change the machine the
tests run on. The look at the host is replaced by one that says what a test needs, except where the real one is meant.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_server_info
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from .support import ROOT, Step, pair
from .test_server_inputs import HOST, VALID

if TYPE_CHECKING:
    from collections.abc import Mapping

    Variables = Mapping[str, Any]

PAIR, OTHER = pair(1), pair(2)
PASSWORD = "a password of the tests"
ANSIBLE_PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"

LOOK = """\
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({name: {"type": "raw"} for name in NAMES}, supports_check_mode=True)
with open(RECORD, "a") as stream:
    stream.write(json.dumps(module.params | {"check_mode": module.check_mode}) + "\\n")
result = HOST | RESULTS.get(module.params["user"], {})
if "msg" in result:
    module.fail_json(**result)
module.exit_json(**result)
"""


class Vaulted(str):
    """Text that stands in YAML as !vault."""

    __slots__ = ()


class WithVault(yaml.SafeDumper):
    """Writes vaulted text as such."""


WithVault.add_representer(Vaulted, lambda dumper, value: dumper.represent_scalar("!vault", str(value), style="|"))


def vaulted(text: str) -> Vaulted:
    return Vaulted(VaultLib([("default", VaultSecret(PASSWORD.encode()))]).encrypt(text).decode())


@dataclass(frozen=True)
class Run:
    """What a run printed, how it ended, what preflight returned for each case, and what each look was asked."""

    printed: str
    status: int
    outcomes: dict[str, dict[str, Any]]
    looks: list[dict[str, Any]]


class Bench(Step):
    """The role's preflight, and a look at the host that says what it is told."""

    def __init__(self, root: Path, results: Mapping[str, Variables] | None = None) -> None:
        """Prepare it; `results` holds what is seen of a host beyond the usual, by the user the service is to have."""
        super().__init__(root, "preflight.yml", "{{ __rustdesk_server_host }}", "{{ ansible_failed_result }}")
        (root / "password").write_text(PASSWORD, encoding="ascii")
        self.stand_in(rustdesk_server_info, LOOK, HOST=HOST, RESULTS=results or {}, RECORD=str(root / "looks"))

    def tried(self, cases: Mapping[str, Variables], *options: str) -> Run:
        """Run preflight for each case."""
        hosts = {name: {"rustdesk_host": "rustdesk.example.org"} | dict(case) for name, case in cases.items()}
        ended = self.run(hosts, *options, dumper=WithVault)
        assert (self.root / "outcomes.json").exists(), ended.stdout + ended.stderr
        looks = self.root / "looks"
        return Run(
            ended.stdout + ended.stderr,
            ended.returncode,
            self.outcomes(),
            [json.loads(line) for line in looks.read_text(encoding="utf-8").splitlines()] if looks.exists() else [],
        )


def named(outcome: dict[str, Any]) -> list[str]:
    return [fault.partition(":")[0].removeprefix("rustdesk_server_") for fault in outcome.get("faults", [])]


# --- Faults of the variables ------------------------------------------------------------------------------------------

CASES: dict[str, tuple[Variables, list[str]]] = {
    "good": ({}, []),
    "misspelt": (
        {"rustdesk_server_relay_prot": 21117},
        ["rustdesk_server_relay_prot: the role has no such variable; is rustdesk_server_relay_port meant?"],
    ),
    "list_for_text": (
        {"rustdesk_server_database": ["a", "b"]},
        ["rustdesk_server_database: has to be text, but is a list; give one value"],
    ),
    "text_for_list": (
        {"rustdesk_server_relays": "relay.example.org"},
        ["rustdesk_server_relays: has to be a list, but is text; write it as [entry, entry]"],
    ),
    # What would be said of the default in their place is not.
    "text_for_what_is_needed": (
        {"rustdesk_server_mode": "rendezvous", "rustdesk_server_relays": "relay.example.org", "rustdesk_host": 5},
        [
            "rustdesk_server_host (from rustdesk_host): has to be text, but is a number; put it in quotes",
            "rustdesk_server_relays: has to be a list, but is text; write it as [entry, entry]",
        ],
    ),
    "number_for_text": (
        {"rustdesk_server_version": 1.2},
        ["rustdesk_server_version: has to be text, but is a number; put it in quotes"],
    ),
    "nothing": (
        {"rustdesk_server_log_level": None},
        ["rustdesk_server_log_level: has to be text, but is nothing; give a value, or remove the variable"],
    ),
    "choice": (
        {"rustdesk_server_mode": "both"},
        ["rustdesk_server_mode: 'both' is none of its choices: full, rendezvous, relay"],
    ),
    "from_the_site": (
        {"rustdesk_port": 80, "rustdesk_relays": ["-"]},
        [
            "rustdesk_server_port (from rustdesk_port): 80 cannot be used; give 1025 to 65533, because the services",
            "rustdesk_server_relays (from rustdesk_relays): '-' is not host or host:port; correct or remove it",
        ],
    ),
    "undefined": (
        {"rustdesk_server_api": "{{ no_such_variable }}/api"},
        ["rustdesk_server_api: cannot be evaluated ('no_such_variable' is undefined); correct the expression, or what"],
    ),
    # A default() would make nothing of it, and a new key would be generated in silence.
    "undefined_in_the_site": (
        {"rustdesk_key": "{{ vault_key }}"},
        ["rustdesk_server_public_key (from rustdesk_key): cannot be evaluated ('vault_key' is undefined); correct the"],
    ),
    "broken_expression": (
        {"rustdesk_server_api": "{{ 1 + }}"},
        ["rustdesk_server_api: cannot be evaluated (Syntax error in template: "],
    ),
    "wrong_expression": (
        {"rustdesk_server_serial": "{{ 1 + 'a' }}"},
        ["rustdesk_server_serial: cannot be evaluated (Error rendering template: unsupported operand type(s) for +"],
    ),
    "other_vault": (
        {"rustdesk_server_private_key": Vaulted("$ANSIBLE_VAULT;1.1;AES256\n6161\n")},
        ["rustdesk_server_private_key: cannot be decrypted; give the password of the vault it was made with"],
    ),
    "several_kinds": (
        {
            "rustdesk_server_relay_prot": 21117,
            "rustdesk_server_relays": "relay.example.org",
            "rustdesk_server_api": "{{ no_such_variable }}",
            "rustdesk_server_user": "root",
            "rustdesk_server_port": "many",
            "rustdesk_server_verify_timeout": 0,
        },
        [
            "rustdesk_server_api: cannot be evaluated ('no_such_variable' is undefined)",
            "rustdesk_server_port: has to be a whole number, but is text",
            "rustdesk_server_relay_prot: the role has no such variable",
            "rustdesk_server_relays: has to be a list, but is text",
            "rustdesk_server_user: must not be root",
            "rustdesk_server_verify_timeout: 0 cannot be used",
        ],
    ),
    "a_template": ({"rustdesk_server_port": "{{ 22000 + 1 }}", "rustdesk_server_relays": "{{ ['192.0.2.1'] }}"}, []),
    "a_mode_that_needs_more": (
        {"rustdesk_server_mode": "relay"},
        ["rustdesk_server_public_key: is empty, but a relay needs it"],
    ),
    "as_text": ({"rustdesk_server_key_rotate": "no", "rustdesk_server_verify": "yes", "rustdesk_port": "21116"}, []),
    "its_own_output": ({"rustdesk_server_facts": {"public_key": "x"}}, []),
    "a_hosts_name": ({"rustdesk_server_verify_from": "good"}, []),
    "a_key": ({"rustdesk_server_private_key": PAIR.private_text, "rustdesk_key": PAIR.public_text}, []),
    "two_keys": (
        {"rustdesk_server_private_key": PAIR.private_text, "rustdesk_key": OTHER.public_text},
        [f"rustdesk_server_private_key: has the fingerprint {PAIR.fingerprint}, but rustdesk_server_public_key has"],
    ),
    "empty_key": (
        {"rustdesk_server_private_key": ""},
        ["rustdesk_server_private_key: is empty, and another key would be generated; give the content"],
    ),
    "key_as_public_key": (
        {"rustdesk_key": PAIR.private_text},
        ["rustdesk_server_public_key (from rustdesk_key): this is a private key (id_ed25519) where the public key"],
    ),
    "key_as_host": (
        {"rustdesk_host": PAIR.private_text},
        ["rustdesk_server_host (from rustdesk_host): '(a private key)' is neither a host name nor an address"],
    ),
    "key_as_file": (
        {"rustdesk_server_private_key_file": PAIR.private_text},
        ["rustdesk_server_private_key_file: is a key and not the name of a file"],
    ),
    "key_as_mode": (
        {"rustdesk_server_mode": PAIR.private_text},
        ["rustdesk_server_mode: '(a private key)' is none of its choices"],
    ),
    "malformed_key": (
        {"rustdesk_server_private_key": PAIR.private_text[:44] + OTHER.private_text[44:]},
        ["rustdesk_server_private_key: the private key's second half is not the public key that its seed derives"],
    ),
    "missing_key_file": (
        {"rustdesk_server_private_key_file": "/no/such/key"},
        ["rustdesk_server_private_key_file: names no file with a key that can be read on the controller"],
    ),
    "taken_back": ({"rustdesk_server_state": "absent", "rustdesk_host": "", "rustdesk_server_version": "0.1.0"}, []),
}

UNUSABLE = {
    "broken_expression",
    "choice",
    "key_as_mode",
    "list_for_text",
    "misspelt",
    "nothing",
    "number_for_text",
    "other_vault",
    "several_kinds",
    "text_for_list",
    "text_for_what_is_needed",
    "undefined",
    "undefined_in_the_site",
    "wrong_expression",
}
"""Cases of variables that cannot be used as they are, so that there is nothing to compare the host with."""


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Run:
    bench = Bench(tmp_path_factory.mktemp("judged"))
    return bench.tried({name: variables for name, (variables, _faults) in CASES.items()}, "-vvv")


@pytest.mark.parametrize("case", CASES)
def test_faults_of_the_variables(case: str, judged: Run) -> None:
    outcome = judged.outcomes[case]
    expected = CASES[case][1]
    if not expected:
        assert outcome["failed"] is False, outcome["faults"]
        assert outcome["changed"] is False
        assert outcome["machine"] == HOST["machine"]
        return
    assert outcome["failed"] is True
    assert len(outcome["faults"]) == len(expected)
    for fault, start in zip(outcome["faults"], expected, strict=True):
        assert fault.startswith(start)
        assert "\n" not in fault
    count = "1 fault" if len(expected) == 1 else f"{len(expected)} faults"
    assert outcome["msg"].split("\n") == [
        f"{count}; nothing was changed on {case}.",
        *(f"- {fault}" for fault in outcome["faults"]),
    ]


def test_nothing_secret_is_printed_and_nothing_breaks(judged: Run) -> None:
    assert judged.status == 0
    assert "Traceback" not in judged.printed
    assert PAIR.fingerprint in judged.printed
    for secret in (PAIR.private_text[:40], PAIR.private_text[44:84], OTHER.private_text[44:84], PASSWORD):
        assert secret not in judged.printed
        assert secret not in json.dumps(judged.outcomes)
        assert secret not in json.dumps(judged.looks)


def test_the_host_is_looked_at_once_where_the_variables_can_be_used(judged: Run) -> None:
    assert len(judged.looks) == len(CASES) - len(UNUSABLE)


# --- What the host is asked, and says ---------------------------------------------------------------------------------

WANTED: Variables = {
    "rustdesk_server_install_dir": "/srv/programs",
    "rustdesk_server_state_dir": "/srv/state",
    "rustdesk_server_user": "asked",
    "rustdesk_server_group": "relays",
    "rustdesk_server_version": "1.1.17",
    "rustdesk_server_archive_sha256": "ab" * 32,
    "rustdesk_server_archive_remote_file": "/srv/a.zip",
    "rustdesk_server_bind_address": "192.0.2.1",
    "rustdesk_server_relays": ["relay.example.org:21117"],
    "rustdesk_server_port": 31116,
    "rustdesk_server_relay_port": "31117",
    "rustdesk_server_architecture": "amd64",
}

MEETINGS: dict[str, Variables] = {
    "asked": WANTED,
    "told": {"rustdesk_server_user": "told"},
    "both": {
        "rustdesk_server_user": "occupied",
        "rustdesk_server_verify_timeout": 0,
        "rustdesk_server_bind_address": "nonsense",
        "rustdesk_relays": ["a.b"],
        "rustdesk_relay_port": 21117,
    },
    "taken_back": {"rustdesk_server_user": "occupied", "rustdesk_server_state": "absent"},
    "no_rotation": {
        "rustdesk_server_user": "keyed",
        "rustdesk_server_key_rotate": "no",
        "rustdesk_key": OTHER.public_text,
    },
    "rotation": {"rustdesk_server_user": "keyed", "rustdesk_server_key_rotate": "yes"},
    "broken": {"rustdesk_server_user": "broken"},
    "broken_and_bad": {"rustdesk_server_user": "broken", "rustdesk_server_serial": -1},
    "files": {"rustdesk_server_archive_file": "release.zip"},
    "beside": {"rustdesk_server_archive_file": "beside.zip"},
    "nowhere": {"rustdesk_server_archive_file": "nowhere.zip"},
}

SEEN: dict[str, Variables] = {
    "asked": {"group_exists": True},
    "told": {"group_exists": True, "address": "192.0.2.7", "units": {"rustdesk-hbbs.service": {"stale": True}}},
    "occupied": {
        "group_exists": True,
        "occupied": ["21117/tcp is taken by nginx (pid 7)"],
        "env_file": True,
        "unresolved": ["a.b"],
    },
    "keyed": {"group_exists": True, "key": VALID},
    "broken": {"msg": "/opt cannot be looked at (Permission denied)"},
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("met"), SEEN)
    (bench.root / "files").mkdir()
    (bench.root / "files" / "release.zip").write_bytes(b"no archive")
    (bench.root / "beside.zip").write_bytes(b"no archive")
    return bench


@pytest.fixture(scope="module")
def met(bench: Bench) -> Run:
    return bench.tried(MEETINGS, "--check")


def test_the_look_is_told_what_is_wanted(met: Run) -> None:
    assert met.outcomes["asked"]["failed"] is False
    (look,) = [look for look in met.looks if look["user"] == "asked"]
    for name in ("install_dir", "state_dir", "group", "version", "architecture", "bind_address"):
        assert look[name] == WANTED[f"rustdesk_server_{name}"]
    assert set(look["sha256"].values()) == {"ab" * 32}
    assert (look["archive"], look["resolve"]) == ("/srv/a.zip", ["relay.example.org"])
    assert look["ports"] == ["31115/tcp", "31116/tcp", "31116/udp", "31118/tcp", "31117/tcp", "31119/tcp"]
    assert look["files"]["/srv/programs/check-key"] == "0755"
    assert look["check_mode"] is True
    assert look["commands"]["rustdesk-hbbs.service"] == [
        "/srv/programs/current/hbbs",
        "--port=31116",
        "--key=_",
        "--bind=192.0.2.1",
        "--relay-servers=relay.example.org:21117",
    ]
    assert look["commands"]["rustdesk-hbbr.service"][0] == "/srv/programs/current/hbbr"
    # Bound to one address, hbbs has no console on loopback.
    assert (look["relays"], look["console_port"]) == (["relay.example.org:21117"], 0)


def test_faults_of_the_host_and_of_the_variables_come_together(met: Run) -> None:
    assert named(met.outcomes["both"]) == [
        "bind_address",
        "verify_timeout",
        "relay_port (from rustdesk_relay_port)",
        "relays (from rustdesk_relays)",
        "state_dir",
    ]


def test_a_server_is_taken_back_whatever_else_is_on_the_host(met: Run) -> None:
    assert met.outcomes["taken_back"]["failed"] is False
    looks = {bool(look["ports"]): look for look in met.looks if look["user"] == "occupied"}
    assert looks.keys() == {True, False}
    # What is no address would only make the look fail.
    assert looks[True]["bind_address"] == ""


def test_a_switch_may_be_written_as_text(met: Run) -> None:
    assert named(met.outcomes["no_rotation"]) == ["public_key (from rustdesk_key)"]
    assert met.outcomes["rotation"]["failed"] is False


def test_a_look_that_fails_is_told_unless_faults_are_known(met: Run) -> None:
    assert met.outcomes["broken"]["failed"] is True
    assert met.outcomes["broken"]["msg"] == "/opt cannot be looked at (Permission denied)"
    assert named(met.outcomes["broken_and_bad"]) == ["serial"]


def test_what_is_known_of_the_host_is_returned(met: Run) -> None:
    outcome = met.outcomes["told"]
    assert outcome["address"] == "192.0.2.7"
    assert outcome["units"] == {"rustdesk-hbbs.service": {"stale": True}}
    assert (outcome["failed"], outcome["changed"]) == (False, False)


def test_a_relative_archive_is_found_where_it_will_be_copied_from(met: Run, bench: Bench) -> None:
    told = {name: met.outcomes[name]["msg"] for name in ("files", "beside", "nowhere")}
    assert f"rustdesk_server_archive_file: {bench.root}/files/release.zip has the sha256 " in told["files"]
    assert f"rustdesk_server_archive_file: {bench.root}/beside.zip has the sha256 " in told["beside"]
    assert "there is no file nowhere.zip that can be read on the controller; correct the path" in told["nowhere"]


# --- Vaults -----------------------------------------------------------------------------------------------------------


def test_vaulted_keys_are_used_and_never_printed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    key_file = tmp_path / "id_ed25519"
    key_file.write_text(vaulted(PAIR.private_text), encoding="ascii")
    cases: dict[str, Variables] = {
        "variable": {"rustdesk_server_private_key": vaulted(PAIR.private_text)},
        "line": {"rustdesk_server_private_key": vaulted(f"{PAIR.private_text}\n")},
        "reference": {"k": vaulted(PAIR.private_text), "rustdesk_server_private_key": "{{ k }}"},
        "file": {"rustdesk_server_private_key_file": str(key_file)},
        "other": {"rustdesk_server_private_key": vaulted(OTHER.private_text)},
        "malformed": {"rustdesk_server_private_key": vaulted(PAIR.private_text[:-8])},
        "public": {"rustdesk_key": vaulted(PAIR.private_text)},
        "empty": {"rustdesk_server_private_key": vaulted("")},
    }
    site = {"rustdesk_key": PAIR.public_text}
    run = bench.tried(
        {name: site | dict(case) for name, case in cases.items()}, "-vvv", "--vault-password-file=password"
    )
    found = {name: named(outcome) for name, outcome in run.outcomes.items() if outcome["failed"]}
    assert found == {
        "other": ["private_key"],
        "malformed": ["private_key"],
        "public": ["public_key (from rustdesk_key)"],
        "empty": ["private_key", "public_key (from rustdesk_key)"],
    }
    assert (
        f"has the fingerprint {OTHER.fingerprint}, but rustdesk_server_public_key has {PAIR.fingerprint}" in run.printed
    )
    for key in (PAIR, OTHER):
        for part in (key.private_text[:30], key.private_text[30:60], key.private_text[-20:]):
            assert part not in run.printed
            assert part not in json.dumps(run.outcomes)
            assert part not in json.dumps(run.looks)


# --- The plugin itself ------------------------------------------------------------------------------------------------


def test_a_task_with_wrong_arguments_is_refused(bench: Bench) -> None:
    arguments: list[Variables] = [{}, {"role": "rustdesk_none"}, {"role": "rustdesk_server", "rolle": 1}]
    tasks = [{"rustdesk_preflight": dict(given), "ignore_errors": True} for given in arguments]
    play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    (bench.root / "wrong.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    ended = bench.play("-i", "localhost,", "wrong.yml")
    printed = ended.stdout + ended.stderr
    assert "role: 'None' has no checks; it has to be rustdesk_server or " in printed
    assert "role: 'rustdesk_none' has no checks; it has to be rustdesk_server or " in printed
    assert "Invalid options for rustdesk_preflight: rolle" in printed
    assert "Traceback" not in printed
    assert "failed=0" in printed
    assert "ignored=3" in printed


def test_the_whole_role_is_refused_before_it_touches_anything(tmp_path: Path) -> None:
    """The real playbook and the real look, with inputs that cannot pass whatever machine this is."""
    bench = Bench(tmp_path)
    server = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "rustdesk_host": "no..host",
        "rustdesk_server_version": "1.0.0",
        "rustdesk_server_install_dir": str(tmp_path / "programs"),
        "rustdesk_server_state_dir": "/usr/share/rustdesk",
        "rustdesk_server_user": "root",
    }
    groups = {"rustdesk_servers": {"hosts": {"server": server}}, "rustdesk_relays": {"hosts": {}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": groups}}), encoding="utf-8")
    real = {"ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_LIBRARY": str(ROOT / "plugins" / "modules")}
    ended = bench.play("-i", "hosts.yml", str(ROOT / "playbooks" / "server.yml"), "--check", **real)
    printed = ended.stdout + ended.stderr
    assert ended.returncode == 2
    for name in ("host (from rustdesk_host)", "version", "install_dir", "state_dir", "user"):
        assert f"- rustdesk_server_{name}: " in printed
    assert "nothing was changed on server" in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "programs").exists()
