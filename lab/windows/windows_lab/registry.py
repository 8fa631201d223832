"""The registry: Wine's, asked and changed through its own functions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from windows_lab import wine
from windows_lab.errors import NotModelledError

PATH = re.compile(r"^(?P<hive>HK(?:CC|CR|CU|LM|U)):\\(?P<key>.*)$", re.IGNORECASE)
TYPES = {
    "REG_NONE": 0,
    "REG_SZ": 1,
    "REG_EXPAND_SZ": 2,
    "REG_BINARY": 3,
    "REG_DWORD": 4,
    "REG_MULTI_SZ": 7,
    "REG_QWORD": 11,
}
NAMES = {number: name for name, number in TYPES.items()}
TEXTS = {"REG_SZ", "REG_EXPAND_SZ"}
WIDTH = {"REG_DWORD": 4, "REG_QWORD": 8}
MULTIPLE = "REG_MULTI_SZ"

Data = str | int | bytes | list[str]


@dataclass(frozen=True)
class Value:
    """A value of a key: its type by the registry's name, its data as text, number, bytes or list of texts."""

    type: str
    data: Data


@dataclass(frozen=True)
class Key:
    """A key's values by name (the default one's is empty) and the names of the keys below it."""

    values: dict[str, Value] = field(default_factory=dict)
    sub_keys: list[str] = field(default_factory=list)

    def value(self, name: str) -> Value | None:
        """A value, whatever the case of its name."""
        return next((value for known, value in self.values.items() if known.upper() == name.upper()), None)


def address(path: str) -> str | None:
    r"""A path in PowerShell's form (``HKLM:\\Software``) as this module wants it; None when it is no such path."""
    found = PATH.match(path)
    return f"{found['hive'].upper()}\\{found['key'].strip(chr(92))}" if found else None


def decode(number: int, content: bytes) -> Value:
    """A value from what is stored. Raises NotModelledError for a type that no module knows."""
    kind = NAMES.get(number)
    if kind is None:
        raise NotModelledError(f"registry values of the type {number}")
    if kind in WIDTH:
        return Value(kind, int.from_bytes(content, "little"))
    if kind in TEXTS:
        return Value(kind, content.decode("utf-16-le").removesuffix("\0"))
    if kind == MULTIPLE:
        return Value(kind, [text for text in content.decode("utf-16-le").split("\0") if text])
    return Value(kind, content)


def encode(value: Value) -> bytes:
    """What is stored of a value."""
    if isinstance(value.data, bytes):
        return value.data
    if isinstance(value.data, int):
        return value.data.to_bytes(WIDTH[value.type], "little")
    texts = [*value.data, ""] if isinstance(value.data, list) else [value.data]
    return "".join(f"{text}\0" for text in texts).encode("utf-16-le")


def query(key: str) -> Key | None:
    """A key by its address, or None when there is none."""
    found = wine.ask("registry", "query", key)
    if found is None:
        return None
    values = {name: decode(number, bytes.fromhex(content)) for name, number, content in found["values"]}
    return Key(values, found["sub_keys"])


def set_value(key: str, name: str, value: Value) -> None:
    """Set a value, and make the key where it is missing."""
    wine.ask("registry", "set", key, name, str(TYPES[value.type]), encode(value).hex())


def create(key: str) -> None:
    """Make a key without values."""
    wine.ask("registry", "create", key)


def delete(key: str) -> None:
    """Delete a key with all that is below it."""
    wine.ask("registry", "delete", key)


def delete_value(key: str, name: str) -> None:
    """Delete one value of a key."""
    wine.ask("registry", "delete-value", key, name)
