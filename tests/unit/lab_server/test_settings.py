"""Precedence and odds of the settings in 1.1.16."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from rustdesk_lab import logs, settings
from rustdesk_lab.errors import DaemonError

if TYPE_CHECKING:
    from pathlib import Path


def hbbs(directory: Path, arguments: dict[str, str], env: dict[str, str]) -> settings.HbbsSettings:
    return settings.HbbsSettings.from_environment(settings.hbbs_environment(arguments, env, directory))


def hbbr(directory: Path, arguments: dict[str, str], env: dict[str, str]) -> settings.HbbrSettings:
    return settings.HbbrSettings.from_sources(arguments, settings.hbbr_environment(env, directory))


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("KEY=abc\n", {"KEY": "abc"}),
        ("KEY: abc", {"KEY": "abc"}),
        ("# one\n; two\nKEY = abc \n", {"KEY": "abc"}),
        ("R=host:21117\n", {"R": "host:21117"}),
        ('KEY = "a b" c\n', {"KEY": "a b c"}),
        ("KEY='it''s'\r\nSERIAL=7\r\n", {"KEY": "it's'", "SERIAL": "7"}),
        ("KEY=a\\tb\n", {"KEY": "a\tb"}),
        ("KEY=\nSERIAL=7\n", {"KEY": "", "SERIAL": "7"}),
        ("KEY=abc # no comment\n", {"KEY": "abc # no comment"}),
        ("KEY=one\nKEY=two\n", {"KEY": "two"}),
        ("KEY=abc\n[section]\nPORT=5\n", {"KEY": "abc"}),
        ("two\nlines=x\n", {"two\nlines": "x"}),
        ("", {}),
    ],
)
def test_ini_texts_are_read_as_upstream_does(text: str, pairs: dict[str, str]) -> None:
    assert settings.parse_ini(text) == pairs


@pytest.mark.parametrize("text", ["KEY=abc\nword\n", "=x\n", "  # indented comment\nKEY=abc\n"])
def test_a_malformed_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_text(text)
    with pytest.raises(ValueError, match=r"pair|comment"):
        settings.parse_ini(text)
    assert settings.load_ini(tmp_path / ".env") == {}


def test_hbbs_prefers_arguments_to_config_to_dotenv_to_environment(tmp_path: Path) -> None:
    env, arguments = {"KEY": "environment"}, {"config": "hbbs.ini"}
    assert hbbs(tmp_path, {}, {}).key == "-"
    assert hbbs(tmp_path, {}, env).key == "environment"
    (tmp_path / ".env").write_text("KEY=dotenv\n")
    assert hbbs(tmp_path, {}, env).key == "dotenv"
    assert hbbs(tmp_path, arguments, env).key == "dotenv", "a missing config file is ignored"
    (tmp_path / "hbbs.ini").write_text("key = config\n")
    assert hbbs(tmp_path, arguments, env).key == "config"
    assert hbbs(tmp_path, {**arguments, "key": ""}, env).key == ""


def test_hbbs_finds_dashed_names_only(tmp_path: Path) -> None:
    assert hbbs(tmp_path, {}, {"RELAY_SERVERS": "a"}).relay_servers == ""
    assert hbbs(tmp_path, {}, {"RELAY-SERVERS": "a"}).relay_servers == "a"
    (tmp_path / ".env").write_text("relay_servers=a\n")
    assert hbbs(tmp_path, {}, {}).relay_servers == "a"


@pytest.mark.parametrize("name", ["ALWAYS_USE_RELAY", "DB_URL", "TEST_HBBS"])
def test_hbbs_finds_some_settings_in_the_environment_only(tmp_path: Path, name: str) -> None:
    unset = hbbs(tmp_path, {}, {})
    assert hbbs(tmp_path, {}, {name: "Y"}) != unset
    (tmp_path / ".env").write_text(f"{name}=Y\n")
    assert hbbs(tmp_path, {}, {}) == unset


@pytest.mark.parametrize(
    ("port", "message"), [("2", "Invalid port"), ("-1", "Invalid port"), ("x", "invalid digit found in string")]
)
def test_hbbs_does_not_start_on_a_bad_port(tmp_path: Path, port: str, message: str) -> None:
    with pytest.raises(DaemonError, match=message):
        hbbs(tmp_path, {}, {"PORT": port})


def test_hbbs_takes_bad_numbers_of_lesser_settings_for_zero(tmp_path: Path) -> None:
    found = hbbs(tmp_path, {}, {"SERIAL": "x", "RMEM": "-5"})
    assert (found.serial, found.receive_buffer) == (0, 0)


def test_hbbr_prefers_arguments_to_dotenv_to_environment(tmp_path: Path) -> None:
    env = {"KEY": "environment"}
    assert hbbr(tmp_path, {}, {}).key == ""
    assert hbbr(tmp_path, {}, env).key == "environment"
    (tmp_path / ".env").write_text("KEY=dotenv\nkey=ignored\n")
    assert hbbr(tmp_path, {}, env).key == "dotenv"
    assert hbbr(tmp_path, {"key": "argument"}, env).key == "argument"


@pytest.mark.parametrize(
    ("arguments", "port", "expected"),
    [({}, "", 21117), ({}, "21116", 21117), ({}, "31116", 31117), ({}, "x", 21117), ({"port": "5"}, "31116", 5)],
)
def test_hbbr_listens_one_above_the_ports_variable(
    tmp_path: Path, arguments: dict[str, str], port: str, expected: int
) -> None:
    assert hbbr(tmp_path, arguments, {"PORT": port}).port == expected


@pytest.mark.parametrize(("port", "message"), [("x", "invalid digit"), ("70000", "too large")])
def test_hbbr_does_not_start_on_a_bad_port(tmp_path: Path, port: str, message: str) -> None:
    with pytest.raises(DaemonError, match=message):
        _ = hbbr(tmp_path, {"port": port}, {}).port


def test_bandwidths_are_read_in_mebibits() -> None:
    env = {
        "TOTAL_BANDWIDTH": "10",
        "SINGLE_BANDWIDTH": "2.5",
        "LIMIT_SPEED": ".5",
        "DOWNGRADE_THRESHOLD": "0.5",
        "DOWNGRADE_START_CHECK": "9",
    }
    assert settings.Bandwidth.from_environment(env) == settings.Bandwidth(10 << 20, 5 << 19, 1 << 19, 50, 9)


@pytest.mark.parametrize("value", ["0", "-1", "fast", "", " 1", "1_0"])
def test_a_bad_bandwidth_is_ignored(value: str) -> None:
    names = ("TOTAL_BANDWIDTH", "SINGLE_BANDWIDTH", "LIMIT_SPEED", "DOWNGRADE_THRESHOLD", "DOWNGRADE_START_CHECK")
    assert settings.Bandwidth.from_environment(dict.fromkeys(names, value)) == settings.Bandwidth()


def parse(*argv: str) -> dict[str, str]:
    return settings.parse_arguments("hbbs", "server", settings.HBBS_OPTIONS, argv)


def test_the_command_line_is_read_as_upstream_does() -> None:
    assert parse("-p", "5", "--relay-servers=a,b", "-k", "", "-c", "x") == {
        "port": "5",
        "relay-servers": "a,b",
        "key": "",
        "config": "x",
    }
    assert parse("-k-") == parse("-k", "-") == {"key": "-"}
    assert parse() == {}


@pytest.mark.parametrize(
    "argv", [["-b", "::1"], ["-p", "-5"], ["-p", "1", "-p", "2"], ["-p"], ["word"], ["--por", "1"]]
)
def test_a_wrong_command_line_exits_with_1(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(*argv)
    assert exit_.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith("\n\nUSAGE:\n    hbbs [OPTIONS]\n\nFor more information try --help\n")


def test_the_version_is_upstreams(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse("--version")
    assert exit_.value.code == 0
    assert capsys.readouterr().out == "hbbs 1.1.16\n"


@pytest.mark.parametrize(
    ("specification", "level"),
    [
        (None, logging.INFO),
        ("warn", logging.WARNING),
        ("INFO", logging.INFO),
        ("hbbr=debug", logging.DEBUG),
        ("debug,hbbr=error", logging.ERROR),
        ("hbbr=error,debug", logging.ERROR),
        ("other=debug,warn", logging.WARNING),
        ("a=b=c", logging.INFO),
    ],
)
def test_the_log_level_is_rust_logs(specification: str | None, level: int) -> None:
    assert logs.level_of(specification, "hbbr") == level


@pytest.mark.parametrize("specification", ["off", "", "nonsense", "hbbs=info"])
def test_a_level_that_concerns_nothing_silences_the_log(specification: str) -> None:
    assert logs.level_of(specification, "hbbr") > logging.CRITICAL
