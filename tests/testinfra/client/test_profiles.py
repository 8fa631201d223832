"""What is written into users' settings, what is left alone, and what they get back."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from tests.testinfra.client.endpoints import FOREIGN, SERVER, apply, config, get, put, reset, run, shown_of_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testinfra.host import Host

FILES = {
    "as the client writes it": FOREIGN.encode(),
    "line ends of Windows": FOREIGN.replace("\n", "\r\n").encode(),
    "byte order mark": b"\xef\xbb\xbf" + FOREIGN.replace("\n", "\r\n").encode(),
    "no end of the last line": FOREIGN.encode().rstrip(b"\n"),
    "no tables": b"# nothing but a comment",
    "empty": b"",
    "mixed line ends": FOREIGN.replace("nat_type = 1\n", "nat_type = 1\r\n").encode(),
}


def options(host: Host, user: str) -> dict[str, str]:
    found: dict[str, str] = tomllib.loads(get(host, config(user)).decode("utf-8-sig"))["options"]
    return found


def test_fresh_profiles_twice(endpoint: Host) -> None:
    first = apply()
    assert first.changed > 0
    for user in ("root", "anna", "bert"):
        assert options(endpoint, user)["custom-rendezvous-server"] == SERVER
        file = endpoint.file(config(user))
        assert (file.user, file.mode) == (user, 0o600)
        assert endpoint.file(config(user, "RustDesk_local.toml")).contains("enable-check-update = 'N'")
    assert options(endpoint, "anna") | {
        "allow-auto-update": "N",
        "direct-server": "N",
        "enable-lan-discovery": "N",
    } == options(endpoint, "anna")
    assert apply().changed == 0
    assert run({}, "--check", "--diff").changed == 0
    reset()
    assert endpoint.run("ls -A /home/anna/.config /root/.config").stdout == ""
    assert reset().changed == 0


@pytest.fixture
def many(endpoint: Host) -> Iterator[dict[str, bytes]]:
    """A user for each kind of file."""
    users = {f"user{number}": content for number, content in enumerate(FILES.values())}
    for user, content in users.items():
        endpoint.check_output(f"useradd --create-home --shell /bin/bash {user}")
        put(endpoint, config(user), content, user, mode="640")
    yield users
    for user in users:
        endpoint.check_output(f"userdel --remove {user} 2>/dev/null")


def test_absent_restores_byte_for_byte(endpoint: Host, many: dict[str, bytes]) -> None:
    apply(users=list(many))
    merged = {user: get(endpoint, config(user)) for user in many}
    for user, content in many.items():
        assert options(endpoint, user)["custom-rendezvous-server"] == SERVER
        assert "relay-server" not in options(endpoint, user)
        ours = (b"custom-rendezvous-server", b"relay-server", b"key")
        kept = [line for line in content.splitlines() if not line.startswith(ours)]
        assert [line for line in merged[user].splitlines() if line in kept] == kept
        assert merged[user].startswith(b"\xef\xbb\xbf") == content.startswith(b"\xef\xbb\xbf")
        if content.count(b"\r\n") == content.count(b"\n"):
            assert merged[user].count(b"\r\n") == (merged[user].count(b"\n") if b"\r" in content else 0)
        if content:
            assert merged[user].endswith(b"\n") == content.endswith(b"\n")
    assert apply(users=list(many)).changed == 0
    assert {user: get(endpoint, config(user)) for user in many} == merged
    reset(users=list(many))
    assert {user: get(endpoint, config(user)) for user in many} == many
    for user in many:
        file = endpoint.file(config(user))
        assert (file.user, file.group, file.mode) == (user, user, 0o640)
        assert endpoint.check_output(f"ls /home/{user}/.config/rustdesk") == "RustDesk2.toml"


def test_another_run_keeps_the_first_copy_and_gives_back_what_is_asked_for_no_more(endpoint: Host) -> None:
    content = FOREIGN.replace("[options]\n", "[options]\napprove-mode = 'click'\n").encode()
    put(endpoint, config("anna"), content, "anna")
    apply(users=["anna"], approve_mode="password", options={"enable-abr": "N"}, language="de")
    assert options(endpoint, "anna") | {"approve-mode": "password", "enable-abr": "N"} == options(endpoint, "anna")
    apply(users=["anna"])
    assert options(endpoint, "anna")["approve-mode"] == "click"
    assert "enable-abr" not in options(endpoint, "anna")
    reset(users=["anna"])
    assert get(endpoint, config("anna")) == content
    assert not endpoint.file(config("anna", "RustDesk_local.toml")).exists


def test_changed_since_loses_only_our_keys(endpoint: Host) -> None:
    put(endpoint, config("anna"), FOREIGN.encode(), "anna")
    apply(users=["anna"])
    text = get(endpoint, config("anna")).decode()
    own = "theme-of-mine = 'x'\n"
    changed = text.replace("av1-test = 'N'\n", f"av1-test = 'N'\n{own}").replace(
        "enable-lan-discovery = 'N'", "enable-lan-discovery = 'Y'"
    )
    put(endpoint, config("anna"), changed.encode(), "anna")
    reset(users=["anna"])
    expected = {
        "custom-rendezvous-server": "rs.elsewhere.example",
        "relay-server": "relay.elsewhere.example",
        "key": "OTHERKEYOTHERKEYOTHERKEYOTHERKEYOTHERKEYOTH=",
        "av1-test": "N",
        "theme-of-mine": "x",
        "enable-lan-discovery": "Y",
    }
    assert options(endpoint, "anna") == expected
    assert b"# theirs" in get(endpoint, config("anna"))


def test_only_people_and_the_named_are_configured(endpoint: Host) -> None:
    endpoint.check_output("id robot >/dev/null 2>&1 || useradd --create-home --shell /usr/sbin/nologin robot")
    apply(users=["bert"], portable=True)
    assert endpoint.file(config("bert")).exists
    assert not endpoint.file(config("anna")).exists
    assert not endpoint.file("/root/.config").exists
    apply(portable=True)
    assert endpoint.file(config("anna")).exists
    assert not endpoint.file("/home/robot/.config").exists
    assert not endpoint.file("/root/.config").exists
    reset(portable=True)
    assert not endpoint.file("/home/bert/.config").exists


def test_a_user_with_a_number_as_domains_give_them_is_configured(endpoint: Host) -> None:
    endpoint.check_output(
        "id carla >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --no-log-init --uid 200001 carla"
    )
    try:
        apply(portable=True)
        assert options(endpoint, "carla")["custom-rendezvous-server"] == SERVER
        assert apply(portable=True).changed == 0
        reset(portable=True)
        assert not endpoint.file("/home/carla/.config").exists
    finally:
        endpoint.check_output("userdel --remove carla 2>/dev/null")


def test_check_mode_writes_nothing_and_says_what_it_would(endpoint: Host) -> None:
    put(endpoint, config("anna"), FOREIGN.encode(), "anna")
    before = endpoint.check_output("find /home /root -xdev -type f -not -path '*/.ansible/*' | sort")
    done = run({}, "--check", "--diff")
    assert done.status == 0, done.output
    assert done.changed > 0
    assert endpoint.check_output("find /home /root -xdev -type f -not -path '*/.ansible/*' | sort") == before
    assert get(endpoint, config("anna")) == FOREIGN.encode()


SECRETS = ("geheim-am-proxy", "ein sehr langes Kennwort", "0123pin", "ENCRYPTEDID", "in-der-adresse", "beim-api-server")


def test_differences_show_no_secret(endpoint: Host) -> None:
    put(
        endpoint,
        config("anna"),
        b"unlock_pin = '0123pin'\n[options]\na = 'b'\n[socks]\nproxy = 'http://u:in-der-adresse@p:1'\n",
        "anna",
    )
    put(
        endpoint,
        config("anna", "RustDesk.toml"),
        b"enc_id = '00ENCRYPTEDID'\nkey_pair = [\n    [ 11, 22 ],\n    [ 33 ] ]\n",
        "anna",
    )
    secrets = {
        "rustdesk_client_users": ["anna"],
        "rustdesk_client_role": "controlling",
        "rustdesk_client_proxy_url": "socks5://proxy.example.org:1080",
        "rustdesk_client_proxy_username": "us",
        "rustdesk_client_proxy_password": SECRETS[0],
        "rustdesk_client_permanent_password": SECRETS[1],
        "rustdesk_client_api_server": f"https://u:{SECRETS[5]}@api.example.org",
    }
    for state in ("present", "absent"):
        done = shown_of_run(secrets | {"rustdesk_client_state": state}, "--diff", "-vvv")
        assert done.returncode == 0, done.stdout + done.stderr
        # The command line, which holds them here, stands above.
        shown = done.stdout.partition("PLAY [")[2] + done.stderr
        assert [secret for secret in SECRETS if secret in shown] == []
        assert "11, 22" not in shown
        assert "password = (not shown)" in shown
        assert "custom-rendezvous-server" in shown
    assert endpoint.run(f"grep -rF '{SECRETS[1]}' /root /tmp /var/log /etc").stdout == ""


UNUSABLE = {
    b"[options]\nkey = \n": "is not TOML (line 2",
    b"[options]\n[options]\n": "is not TOML",
    b"a = '\xff'\n": "is not UTF-8",
    b"[options]\ndirect-access-port = 21118\n": "direct-access-port in [options] is not in quotes",
    b"options = 'none'\n": "but not as a table",
}


def test_unusable_files_and_links_are_reported_and_left_alone(endpoint: Host) -> None:
    """All of them at once, before anything is touched."""
    users = [f"user{number}" for number in range(len(UNUSABLE))]
    try:
        for user, content in zip(users, UNUSABLE, strict=True):
            endpoint.check_output(f"useradd --create-home --shell /bin/bash {user}")
            put(endpoint, config(user), content, user)
        endpoint.check_output("install -d -o anna -g anna /home/anna/.config && ln -s /etc /home/anna/.config/rustdesk")
        done = run()
        assert done.status != 0
        message = done.failure("endpoint-plain")
        assert "rustdesk_client_users" in message
        for user, (content, says) in zip(users, UNUSABLE.items(), strict=True):
            assert [line for line in message.splitlines() if says in line and config(user) in line], message
            assert get(endpoint, config(user)) == content
        assert "/home/anna/.config/rustdesk is a link" in message
        assert not endpoint.file("/etc/RustDesk2.toml").exists
        assert not endpoint.file(config("bert")).exists, "the host was touched before the fault was told"
    finally:
        for user in users:
            endpoint.check_output(f"userdel --remove {user} 2>/dev/null")


def test_a_reset_tells_a_profile_that_it_cannot_give_anything_back(endpoint: Host) -> None:
    apply(users=["anna", "bert"])
    endpoint.check_output("cd /home/anna/.config && mv rustdesk away && ln -s away rustdesk")
    endpoint.check_output("cd /home/bert/.config && rm -r rustdesk && ln -s /etc rustdesk")
    done = run({"rustdesk_client_users": ["anna"], "rustdesk_client_state": "absent"})
    assert done.status != 0
    assert "/home/anna/.config/rustdesk is a link" in done.failure("endpoint-plain")
    assert endpoint.file("/home/anna/.config/away/rustdesk_client.json").exists
    # Nothing of the role's is there any more.
    reset(users=["bert"])
    endpoint.check_output("cd /home/anna/.config && rm rustdesk && mv away rustdesk")
    reset(users=["anna"])
    assert not endpoint.file("/home/anna/.config").exists


def test_a_file_that_cannot_be_written_is_named(endpoint: Host) -> None:
    put(endpoint, config("anna"), FOREIGN.encode(), "anna")
    place = "/home/anna/.config/rustdesk"
    endpoint.check_output(f"mount --bind {place} {place} && mount -o remount,bind,ro {place}")
    try:
        done = run({"rustdesk_client_users": ["anna"]})
        assert done.status != 0
        message = done.failure("endpoint-plain")
        assert f"{place}/" in message
        assert "read-only" in message.lower()
        assert get(endpoint, config("anna")) == FOREIGN.encode()
    finally:
        endpoint.check_output(f"umount {place}")
    apply(users=["anna"])
    assert apply(users=["anna"]).changed == 0
