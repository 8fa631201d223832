# SPDX-License-Identifier: MIT
"""Change single values of a TOML file and nothing else in it, as its bytes stand.

RustDesk keeps its settings in TOML files that people edit too. tomlkit keeps comments and order; what it does not keep
is looked after here: a byte order mark, line ends of CR LF, a last line without an end, blanks in inline tables. Each
value is changed by itself, and tomlkit's answer is taken only for where the change goes: every byte outside it is the
file's own.

Runs on the controller.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Mapping
from typing import Any

import tomllib

# A controller without it runs the other roles; the preflight of the one that needs it says so.
with contextlib.suppress(ImportError):
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import Array, InlineTable, Table

BOM = "\ufeff"
UNSAFE = "is written in a way that this role cannot change safely; write its tables as [table] lines"

Settings = Mapping[str, Mapping[str, "str | None"]]
"""Table: key: value; None stands for a key that is not to be there. The table "" is the file's top level."""


class TomlError(ValueError):
    """A file that cannot be changed; the text says why, without any of its values."""


def decode(content: bytes) -> str:
    """Return the text of a file, a byte order mark as its first character.

    Raises:
        TomlError: the bytes are not UTF-8, which TOML has to be.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TomlError(f"is not TOML: byte {error.start + 1} is not UTF-8") from None


def parse(text: str) -> dict[str, Any]:
    """Return the values of a file.

    Raises:
        TomlError: the text is not TOML.
    """
    if text.startswith(BOM * 2):
        raise TomlError("is not TOML (it begins with more than one byte order mark)")
    try:
        return tomllib.loads(text.removeprefix(BOM))
    except ValueError as error:
        # The message names a place, and where it names more than that, it is a key and no value.
        place = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(error))
        raise TomlError(f"is not TOML{' (' + place[1] + ')' if place else ''}") from None
    except RecursionError:
        raise TomlError("is not TOML that a program can read: it is nested too deep") from None


def effective(text: str, table: str) -> dict[str, str]:
    """Return a table as RustDesk sees it: empty when a single value in it is no string.

    hbb_common `src/config.rs`, `deserialize_hashmap_string_string`: a value of another type makes the whole field fall
    back to its default.

    Raises:
        TomlError: the text is not TOML.
    """
    values = parse(text)
    found = values if not table else values.get(table, {})
    if not isinstance(found, dict):
        return {}
    if not table:
        return {key: value for key, value in found.items() if isinstance(value, str)}
    return dict(found) if all(isinstance(value, str) for value in found.values()) else {}


def not_strings(text: str, table: str) -> list[str]:
    """Return the keys of a table whose values are no strings.

    Raises:
        TomlError: the text is not TOML.
    """
    found = parse(text).get(table, {})
    return sorted(key for key, value in found.items() if not isinstance(value, str)) if isinstance(found, dict) else []


def merge(text: str, settings: Settings) -> str:
    """Return the text with the settings in it. What has its value already stays as it is written.

    Raises:
        TomlError: the text is not TOML, or has something else than a table where a table belongs, or a table where a
            value belongs.
    """
    mark = BOM if text.startswith(BOM) else ""
    parse(text)
    body = text.removeprefix(BOM)
    for table, values in settings.items():
        for key, value in values.items():
            body = _with_value(body, table, key, value)
    return mark + body


def has_table(text: str, table: str) -> bool:
    """Tell whether a table is written in the text; one that only other tables lie in, such as [table.other], is not.

    Raises:
        TomlError: the text is not TOML.
    """
    return _has_header(text.removeprefix(BOM), table, parse(text))


def without_header(text: str, table: str) -> str:
    """Return the text without the header of a table that has no key left, nor the one blank line before it.

    Raises:
        TomlError: the text is not TOML.
    """
    mark = BOM if text.startswith(BOM) else ""
    body = text.removeprefix(BOM)
    expected = parse(text)
    if expected.get(table) == {}:
        del expected[table]
    header = re.search(rf"(?m)(^\r?\n)?^[ \t]*\[[ \t]*{re.escape(_key(table))}[ \t]*\][ \t]*(\r?\n|\Z)", body)
    if not header:
        return text
    rest = body[: header.start()] + body[header.end() :]
    if not body.endswith("\n") and header.end() == len(body):
        rest = rest.removesuffix("\n").removesuffix("\r")
    try:
        return mark + _checked(rest, expected)
    except TomlError:
        return text


def _with_value(body: str, table: str, key: str, value: str | None) -> str:
    values = parse(body)
    inside = values.get(table, {}) if table else values
    if not isinstance(inside, dict):
        raise TomlError(f"has '{table}', but not as a table")
    if _is_table(body, table, key, inside.get(key)):
        raise TomlError(f"has '{key}' as a table, where a value belongs")
    if inside.get(key) == value and isinstance(value, str):
        return body
    if value is None:
        return _without(body, table, key) if key in inside else body
    expected = copy.deepcopy(values)
    (expected.setdefault(table, {}) if table else expected)[key] = value
    changed = _replaced(body, table, key, value) if key in inside else _added(body, table, key, value, values)
    return _checked(changed, expected)


def _is_table(body: str, table: str, key: str, found: object) -> bool:
    """Tell whether a key is a table, or several, of lines of their own; one in braces is a value like any other."""
    if not any(isinstance(part, Mapping) for part in (found if isinstance(found, list) else [found])):
        return False
    return not isinstance(_container(_document(body), table)[key], (Array, InlineTable))


def _checked(changed: str, expected: Mapping[str, Any]) -> str:
    """Refuse a text that does not say what it should: the file stays as it is then."""
    try:
        fits = parse(changed) == expected
    except TomlError:
        fits = False
    if not fits:
        raise TomlError(UNSAFE)
    return changed


def _quoted(value: str) -> str:
    """Return a value as a string of one line, as RustDesk writes it: in single quotes wherever TOML allows them."""
    if re.search(r"['\x00-\x08\x0a-\x1f\x7f]", value):
        return tomlkit.string(value).as_string()
    return f"'{value}'"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else tomlkit.string(key).as_string()


def _line_end(body: str) -> str:
    first = body.find("\n")
    return "\r\n" if first > 0 and body[first - 1] == "\r" else "\n"


def _document(body: str) -> tomlkit.TOMLDocument:
    try:
        document = tomlkit.parse(body)
        faithful = document.as_string() == body
    except (TOMLKitError, ValueError, RecursionError):
        faithful = False
    if not faithful:
        raise TomlError(UNSAFE)
    return document


def _container(document: tomlkit.TOMLDocument, table: str) -> Any:
    return document[table] if table else document


def _in_common(left: str, right: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(left), len(right)))


def _difference(old: str, new: str) -> tuple[int, int, str]:
    """Return what stands between the common beginning and end: its place in the old text, and the new text."""
    start = _in_common(old, new)
    end = _in_common(old[start:][::-1], new[start:][::-1])
    return start, len(old) - end, new[start : len(new) - end]


def _replaced(body: str, table: str, key: str, value: str) -> str:
    document = _document(body)
    _container(document, table)[key] = tomlkit.string(value) if _quoted(value)[0] == '"' else _literal(value)
    start, end, new = _difference(body, document.as_string())
    if "\n" in new:
        raise TomlError(UNSAFE)
    return body[:start] + new + body[end:]


def _literal(value: str) -> Any:
    return tomlkit.string(value, literal=True)


def _added(body: str, table: str, key: str, value: str, values: Mapping[str, Any]) -> str:
    """Add a key: after the last one of its table, in a table of its own at the end where there is none."""
    line_end = _line_end(body)
    line = f"{_key(key)} = {_quoted(value)}"
    open_end = bool(body) and not body.endswith("\n")
    closed = body + line_end if open_end else body
    if table and not _has_header(closed, table, values):
        # Always one blank line, also after another one: so it is known to be ours when the table goes again.
        gap = line_end if closed else ""
        result = f"{closed}{gap}[{_key(table)}]{line_end}{line}{line_end}"
        return result.removesuffix(line_end) if open_end else result

    result = _line_added(closed, table, key, value, line_end)
    return result.removesuffix(line_end) if open_end and result.endswith(line_end) else result


def _line_added(body: str, table: str, key: str, value: str, line_end: str) -> str:
    """Let tomlkit say where a key goes and how it is written there, and put just that line into the text."""
    document = _document(body)
    container = _container(document, table)
    token = _absent_from(body)
    container[key] = _literal(token)
    changed = document.as_string()
    place = changed.index(f"'{token}'")
    if isinstance(container, InlineTable):
        start, end, new = _difference(body, changed)
        lost = body[start:end]
        if lost.strip():
            raise TomlError(UNSAFE)
        return body[:start] + new.replace(f"'{token}'", _quoted(value)) + lost + body[end:]
    start = changed.rfind("\n", 0, place) + 1
    if not body.startswith(changed[:start]):
        raise TomlError(UNSAFE)
    return body[:start] + changed[start:place] + _quoted(value) + line_end + body[start:]


def _has_header(body: str, table: str, values: Mapping[str, Any]) -> bool:
    """Tell whether a table is written as such; one that only other tables lie in ([table.other]) is not."""
    if table not in values:
        return False
    item = _document(body)[table]
    return not (isinstance(item, Table) and item.is_super_table())


def _without(body: str, table: str, key: str) -> str:
    """Cut out the line of a key; in an inline table, the key and what separates it."""
    expected = parse(body)
    del (expected[table] if table else expected)[key]
    container = _container(_document(body), table)
    if isinstance(container, InlineTable):
        # As it is added here; tomlkit would leave a blank where it was.
        result = body.replace(f", {_key(key)} = {container[key].as_string()}", "", 1)
        if parse(result) == expected:
            return result
        document = _document(body)
        del _container(document, table)[key]
        return _checked(document.as_string(), expected)

    token = _absent_from(body)
    marked = _replaced(body, table, key, token)
    place = marked.index(token)
    line_start = marked.rfind("\n", 0, place) + 1
    line_end = marked.find("\n", place) + 1 or len(marked)
    result = marked[:line_start] + marked[line_end:]
    if not body.endswith("\n") and line_end == len(marked):
        # The key stood in a last line without an end: now the line before has none.
        result = result.removesuffix("\n").removesuffix("\r")
    return _checked(result, expected)


def _absent_from(body: str) -> str:
    mark = "removed"
    while mark in body:
        mark += "-"
    return mark
