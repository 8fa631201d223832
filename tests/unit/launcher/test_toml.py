"""The launchers change a file exactly as the roles do."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils.toml_merge import UNSAFE, TomlError, merge, without_header
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ..endpoints.test_toml_merge import VALUES, files  # noqa: TID252 - the tests are no installed package
from .toolchain import ROOT

if TYPE_CHECKING:
    from .crosscheck import Launcher

VECTORS: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / "toml_merge.json").read_text(encoding="utf-8"))

Settings = dict[str, dict[str, "str | None"]]


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_merge_is_what_the_vectors_say(case: dict[str, Any]) -> None:
    wanted = {case["table"]: {setting["key"]: setting["value"] for setting in case["settings"]}}
    if "error" not in case:
        assert merge(case["text"], wanted) == case["merged"]
        return
    with pytest.raises(TomlError) as caught:
        merge(case["text"], wanted)
    assert ("toml" if "is not TOML" in str(caught.value) else "unsafe") == case["error"]


@pytest.mark.parametrize("text", VECTORS["invalid"])
def test_what_is_no_toml_is_none(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)


@pytest.mark.parametrize("text", VECTORS["valid"])
def test_what_is_toml_is_it(text: str) -> None:
    tomllib.loads(text)


TEXTS = st.sampled_from(["v", "it's", 'a"b', "\\", "a\nb", "rd.example.org", "ä", ""]) | st.none()
WANTED = st.fixed_dictionaries(
    {},
    optional={
        "options": st.dictionaries(st.sampled_from(["api-server", "key", "q k", "relay-server"]), TEXTS, max_size=4),
        "socks": st.dictionaries(st.sampled_from(["password", "proxy"]), TEXTS, max_size=2),
    },
)


def in_order(wanted: Settings) -> Settings:
    return {table: dict(sorted(keys.items())) for table, keys in sorted(wanted.items())}


def check(launcher: Launcher, text: str, wanted: Settings) -> None:
    """Compare the two; what one refuses as unsafe, the other may be able to do, if the values are right then."""
    answer = launcher.ask(text=text, settings=in_order(wanted))
    try:
        expected = merge(text, in_order(wanted))
    except TomlError as error:
        if str(error) == UNSAFE or "as a table" in str(error):
            assert answer["unsafe"] or not answer["error"], answer
        else:
            assert answer["error"].startswith("is not TOML"), answer
    else:
        assert (answer["text"], answer["error"]) == (expected, "")


@settings(max_examples=250)
@given(files(), WANTED)
def test_both_make_the_same_of_files(launcher: Launcher, text: str, wanted: Settings) -> None:
    check(launcher, text, wanted)


@settings(max_examples=100)
@given(files(), st.sampled_from(["options", "socks", "other"]))
def test_both_take_the_same_headers_away(launcher: Launcher, text: str, table: str) -> None:
    try:
        expected = without_header(text, table)
    except TomlError:
        assume(False)
        raise
    assert launcher.ask(text=text, without=table)["text"] == expected


PIECES = st.sampled_from(
    [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        " = ",
        ".",
        ",",
        "#",
        "'",
        '"',
        "'''",
        '"""',
        "\\",
        "\n",
        "\r\n",
        "\r",
        " ",
        "\t",
        "a",
        "key",
        "options",
        "1",
        "0x1f",
        "1_0",
        "-1",
        "1e5",
        ".5",
        "inf",
        "nan",
        "true",
        "1979-05-27",
        "07:32:00",
        "T",
        "Z",
        "\\u00e4",
        "\\n",
        "ä",
        "\x00",
        "\x7f",
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=14).map("".join) | st.builds("a = {}".format, VALUES) | st.text(max_size=8))
def test_both_take_the_same_for_toml(launcher: Launcher, text: str) -> None:
    assume(not text.startswith("\ufeff"))
    try:
        tomllib.loads(text)
        is_toml = True
    except tomllib.TOMLDecodeError:
        is_toml = False
    assert (launcher.ask(text=text, settings={})["error"] == "") is is_toml


@settings(max_examples=250)
@given(
    st.sampled_from([case["text"] for case in VECTORS["cases"]] + VECTORS["valid"]),
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from("[]{}=.,#'\"\\\n\r \ta1"), st.booleans()), max_size=3),
)
def test_both_take_damaged_files_for_the_same(
    launcher: Launcher, text: str, changes: list[tuple[int, str, bool]]
) -> None:
    for place, character, is_inserted in changes:
        at = place % (len(text) + 1)
        text = text[:at] + character + text[at + (not is_inserted) :]
    check(launcher, text, {"options": {"key": "new"}})
