"""The merge changes what it is asked for and not one byte else."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.module_utils import toml_merge
from ansible.module_utils.toml_merge import BOM, TomlError, decode, effective, has_table, merge, parse, without_header
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from filter.rustdesk_toml import FilterModule

Settings = dict[str, dict[str, str | None]]

# --- Files as people and programs write them ------------------------------------------------------------------------

BLANKS = st.sampled_from(["", "", " ", "\t", "  "])
COMMENTS = st.sampled_from(["", "", " # c", "# x = [y]", "\t# 'quoted"])
KEYS = st.sampled_from(["key", "relay-server", "api-server", '"q k"', "'key2'", "zz", "a.b", "a.c", '"ä"'])
VALUES = st.sampled_from(
    [
        "'v'",
        '"w"',
        "''",
        '"a # b"',
        "1",
        "true",
        "[1, 2]",
        "[ 'a',\n 'b' ]",
        "{ x = 'y' }",
        "{}",
        "'''m\nl'''",
        '"""\\\n  q"""',
    ]
)
TABLES = st.sampled_from(["options", "socks", "other", "options.sub", '"options"', "other.x", "keys_confirmed"])


@st.composite
def lines(draw: st.DrawFn) -> str:
    kind = draw(st.integers(0, 9))
    indent = draw(BLANKS)
    if kind < 6:
        return f"{indent}{draw(KEYS)}{draw(BLANKS)}={draw(BLANKS)}{draw(VALUES)}{draw(COMMENTS)}"
    if kind == 6:
        return draw(BLANKS)
    if kind == 7:
        return f"{indent}# comment [options]"
    if kind == 8:
        return "options = { a = 'x', b = 'y' }"
    return f"{indent}[{draw(BLANKS)}{draw(TABLES)}{draw(BLANKS)}]{draw(BLANKS)}{draw(COMMENTS)}"


@st.composite
def files(draw: st.DrawFn) -> str:
    """Line ends of either kind or both, the last one or none, a byte order mark or none."""
    style = draw(st.sampled_from(["\n", "\r\n", ""]))
    text = ""
    drawn = draw(st.lists(lines(), max_size=14))
    for number, line in enumerate(drawn, start=1):
        end = style or draw(st.sampled_from(["\n", "\r\n"]))
        text += line.replace("\n", end)
        if number < len(drawn) or draw(st.booleans()):
            text += end
    return draw(st.sampled_from(["", BOM])) + text


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["v", "it's", 'a"b', "\\", "a\nb"]
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "options": st.dictionaries(
            st.sampled_from(["key", "relay-server", "api-server", "custom-rendezvous-server", "q k"]), TEXTS, max_size=4
        ),
        "socks": st.dictionaries(st.sampled_from(["proxy", "username", "password"]), TEXTS, max_size=3),
        "": st.dictionaries(st.sampled_from(["password", "zz"]), TEXTS, max_size=1),
    },
)


def usable(text: str) -> dict[str, Any]:
    """The values of a generated file; those that are not TOML, or have no tables where tables belong, are left out."""
    try:
        values = parse(text)
    except TomlError:
        assume(False)
        raise
    assume(all(isinstance(values.get(table, {}), dict) for table in ("options", "socks")))
    return values


def is_within(part: str, whole: str) -> bool:
    """Whether all characters of one text are in the other, in their order: nothing was taken away or moved."""
    rest = iter(whole)
    return all(character in rest for character in part)


def inside(values: dict[str, Any], table: str) -> dict[str, Any]:
    return values.get(table, {}) if table else values


@settings(max_examples=600, deadline=None)
@given(files(), SETTINGS)
@example(BOM + "[options]\r\nk = 'v'", {"options": {"key": "x"}})
@example("options = { a = 'x' }", {"options": {"key": "x"}})
@example("[options.sub]\nkey='v'\nrelay-server='v'", {"options": {"key": ""}})
@example("[options]\n[options.sub]\nkey='v'", {"options": {"key": ""}})
def test_merged_values_are_there_and_merging_again_changes_nothing(text: str, wanted: Settings) -> None:
    expected = copy.deepcopy(usable(text))
    merged = merge(text, wanted)
    for table, keys in wanted.items():
        (expected.setdefault(table, {}) if table and keys else inside(expected, table)).update(keys)
    assert parse(merged) == expected
    assert merge(merged, wanted) == merged
    assert merged.startswith(BOM) == text.startswith(BOM)


@settings(max_examples=600, deadline=None)
@given(files(), SETTINGS)
@example("\n", {"options": {"key": ""}})
@example("a = 1\r\n\r\n", {"options": {"key": "x"}, "socks": {"proxy": "p"}})
@example("options = { a = 'x', b = 'y' }\n", {"options": {"key": "x"}})
def test_merge_then_remove_gives_the_original_bytes(text: str, wanted: Settings) -> None:
    """For keys that were not there; every byte of the file is still in the merged one, in its order."""
    values = usable(text)
    added: Settings = {
        table: {key: value for key, value in keys.items() if key not in inside(values, table)}
        for table, keys in wanted.items()
    }
    merged = merge(text, added)
    assert is_within(text, merged)
    back = merge(merged, {table: dict.fromkeys(keys) for table, keys in added.items()})
    for table in ("options", "socks"):
        if not has_table(text, table):
            back = without_header(back, table)
    assert back.encode() == text.encode()


@settings(max_examples=300, deadline=None)
@given(files(), VALUES, TEXTS)
def test_a_replaced_value_is_all_that_changes(text: str, old: str, new: str) -> None:
    values = usable(text)
    assume("key" not in inside(values, "options") and "the-mark" not in text)
    marked = merge(text, {"options": {"key": "the-mark"}})
    before = marked.replace("'the-mark'", old)
    assume(parsed_or_nothing(before).get("options", {}).get("key") != new)
    assert merge(before, {"options": {"key": new}}) == marked.replace("'the-mark'", toml_merge._quoted(new))


def parsed_or_nothing(text: str) -> dict[str, Any]:
    """An inline table takes no value of several lines."""
    try:
        return parse(text)
    except TomlError:
        assume(False)
        raise


def test_the_generated_files_reach_what_they_are_for() -> None:
    """Enough of them are TOML, have the tables already, and have none."""
    seen = {"toml": 0, "with": 0, "without": 0}

    @settings(max_examples=300, deadline=None, database=None)
    @given(files())
    def count(text: str) -> None:
        try:
            values = parse(text)
        except TomlError:
            return
        seen["toml"] += 1
        seen["with" if "options" in values else "without"] += 1

    count()
    assert min(seen.values()) > 10, seen


# --- Single cases ---------------------------------------------------------------------------------------------------

FILE = "nat_type = 1\n\n# mine\n[options]\nkey = \"old\"  # theirs\nzz = 'z'\n\n[peers]\na = 'b'\n"


def test_what_it_looks_like() -> None:
    assert merge(FILE, {"options": {"key": "new", "relay-server": "r"}, "socks": {"proxy": "p"}}) == (
        "nat_type = 1\n\n# mine\n[options]\nkey = 'new'  # theirs\nzz = 'z'\nrelay-server = 'r'\n\n[peers]\na = 'b'\n"
        "\n[socks]\nproxy = 'p'\n"
    )


def test_values_are_always_strings() -> None:
    merged = merge("[options]\nkey = 1\n", {"options": {"key": "1", "zz": "true"}})
    assert merged == "[options]\nkey = '1'\nzz = 'true'\n"


@pytest.mark.parametrize(
    ("value", "written"), [("a", "'a'"), ("it's", '"it\'s"'), ("a\\b", "'a\\b'"), ("a\tb", "'a\tb'")]
)
def test_quotes_are_single_where_they_can_be(value: str, written: str) -> None:
    assert merge("", {"options": {"key": value}}) == f"[options]\nkey = {written}\n"


def test_a_key_goes_before_the_tables() -> None:
    assert merge("enc_id = 'x'\n\n[keys_confirmed]\n", {"": {"password": "p"}}).startswith(
        "enc_id = 'x'\npassword = 'p'\n"
    )


@pytest.mark.parametrize("text", ["[options\n", "[options]\n[options]\n", "key = \n", "a = 'b\n", "\x00"])
def test_what_is_not_toml_is_refused_without_its_values(text: str) -> None:
    with pytest.raises(TomlError, match="is not TOML") as caught:
        merge(text + "secret = 'geheim", {"options": {"key": "x"}})
    assert "geheim" not in str(caught.value)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(TomlError, match="not as a table"):
        merge("options = 'x'\n", {"options": {"key": "x"}})


@pytest.mark.parametrize(
    "text",
    [
        "[options.key]\n",
        "[[options.key]]\n",
        "options.key.x = 1\n",
        "[options]\nkey.x = 1\n",
        "[options.key]\n[a]\n[options.other]\n",
    ],
)
@pytest.mark.parametrize("value", ["x", None])
def test_a_table_where_a_value_belongs_is_refused(text: str, value: str | None) -> None:
    with pytest.raises(TomlError, match="has 'key' as a table, where a value belongs"):
        merge(text, {"options": {"key": value}})


def test_a_second_byte_order_mark_is_refused() -> None:
    for refuses in (
        parse,
        lambda text: merge(text, {"options": {"key": "x"}}),
        lambda text: has_table(text, "options"),
        lambda text: without_header(text, "options"),
    ):
        with pytest.raises(TomlError, match="more than one byte order mark"):
            refuses(BOM * 2 + "[options]\n")


def test_a_number_that_is_too_long_is_refused_like_anything_else() -> None:
    with pytest.raises(TomlError, match="is not TOML"):
        parse("a = " + "1" * 5000)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(TomlError, match="byte 3 is not UTF-8"):
        decode(b"a=\xff")


def test_an_answer_that_would_not_say_what_it_should_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a library gets wrong, the file stays as it is."""
    monkeypatch.setattr(toml_merge, "_quoted", lambda _value: "'something else'")
    with pytest.raises(TomlError, match="cannot change safely"):
        merge("[options]\n", {"options": {"key": "x"}})


def test_the_client_sees_no_option_beside_one_that_is_no_string() -> None:
    assert effective("[options]\nkey = 'x'\n", "options") == {"key": "x"}
    assert effective("[options]\nkey = 'x'\nport = 1\n", "options") == {}
    assert effective("options = 1\n", "options") == {}


# --- The filter -----------------------------------------------------------------------------------------------------


def filtered(content: bytes, wanted: Any) -> bytes:
    merged = FilterModule().filters()["rustdesk_toml_merge"](base64.b64encode(content).decode(), wanted)
    return base64.b64decode(merged)


def test_filter_takes_and_returns_bytes() -> None:
    content = b"\xef\xbb\xbf[options]\r\na = 'b'"
    assert filtered(content, {"options": {"key": "x"}}) == b"\xef\xbb\xbf[options]\r\na = 'b'\r\nkey = 'x'"


@pytest.mark.parametrize(
    ("content", "wanted", "says"),
    [
        (b"[options\n", {"options": {"key": "x"}}, "the file is not TOML"),
        (b"", {"options": {"key": 1}}, "key in \\[options\\] has to be text"),
    ],
)
def test_filter_says_what_is_wrong(content: bytes, wanted: Any, says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=says):
        filtered(content, wanted)


def test_filter_wants_base64() -> None:
    with pytest.raises(AnsibleFilterError, match="base64"):
        FilterModule().filters()["rustdesk_toml_merge"]("not base64!", {})
