"""What is made of the answers of a launcher that was run on a Windows computer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from ansible.module_utils.config_string import encode

sys.path.append(str(Path(__file__).parents[3] / "plugins"))

from action.rustdesk_launcher_check import other_server, report  # made importable by the line before

KEY = "d5pY4vvsrJm1YqQGNYlCCwVyWb5X1wCLHtXPpTNkgM0="
OTHER_KEY = "Q0hBTkdFQ0hBTkdFQ0hBTkdFQ0hBTkdFQ0hBTkdFQ0g="


def asked(**given: str) -> dict[str, str]:
    return {"host": "rd.example.org", "port": "21116", "key": KEY, **given}


def built(host: str = "rd.example.org", key: str = KEY) -> str:
    return encode({"host": host, "relay": "", "api": "", "key": key}) + "\r\n"


@pytest.mark.parametrize(
    ("printed", "arguments"),
    [
        (built(), asked()),
        (built("rd.example.org:31116"), asked(port="31116")),
        (built("[2001:db8::1]:31116"), asked(host="2001:db8::1", port="31116")),
    ],
)
def test_a_launcher_for_this_server_is_taken(printed: str, arguments: dict[str, str]) -> None:
    assert other_server(printed, arguments) == ""


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (built("rd.elsewhere.example"), "rd.elsewhere.example"),
        (built("rd.example.org:31116"), "rd.example.org:31116"),
        (built(key=OTHER_KEY), OTHER_KEY),
        ("The program is not for this computer.", "did not say which server"),
        ("", "did not say which server"),
    ],
)
def test_a_launcher_for_another_server_is_refused(printed: str, told: str) -> None:
    assert told in other_server(printed, asked())


def test_proofs_are_returned_as_they_are_and_decide() -> None:
    proofs = [{"name": "dns", "state": "passed"}]
    good = {"passed": True, "proofs": proofs, "msg": "all fine"}
    assert report(json.dumps(good)) == {**good, "failed": False}
    assert report(json.dumps(good | {"passed": False}))["failed"]


@pytest.mark.parametrize("printed", ["", "Access is denied.", "[]", "{}", '{"passed": true}'])
def test_no_proofs_are_a_failure(printed: str) -> None:
    assert report(printed)["failed"]
    assert "gave no proofs" in report(printed)["msg"]
