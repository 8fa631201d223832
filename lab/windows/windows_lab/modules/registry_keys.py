"""``win_regedit`` and ``win_reg_stat``, on Wine's registry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from windows_lab import registry
from windows_lab.errors import Refused, Unhandled
from windows_lab.registry import Value

if TYPE_CHECKING:
    from windows_lab.call import Call, Result

# By the module's name of a type: the registry's, and .NET's, which the diff shows.
TYPES = {
    "binary": ("REG_BINARY", "Binary"),
    "dword": ("REG_DWORD", "DWord"),
    "expandstring": ("REG_EXPAND_SZ", "ExpandString"),
    "multistring": ("REG_MULTI_SZ", "MultiString"),
    "none": ("REG_NONE", "None"),
    "qword": ("REG_QWORD", "QWord"),
    "string": ("REG_SZ", "String"),
}
KINDS = dict(TYPES.values())
LARGEST = {"dword": 2**32 - 1, "qword": 2**64 - 1}
DIGITS = {"REG_DWORD": 8, "REG_QWORD": 16}


def win_regedit(call: Call) -> Result:
    """A key or a value, present or absent."""
    call.refuse_unmodelled("path", "name", "data", "type", "state", "delete_key")
    key = registry.address(call["path"])
    if key is None:
        msg = f"path: {call['path']} is not a valid powershell path, see module documentation for examples."
        raise Refused(msg)
    warnings, kind = [], call["type"]
    if call["name"] is None and kind != "string":
        warnings.append(
            "the data type when name is not specified can only be 'string', the type has automatically been converted"
        )
        kind = "string"
    result: Result = {"data_changed": False, "data_type_changed": False, "diff": {"before": "", "after": ""}}
    if call["state"] == "absent":
        result |= _absent(call, key)
    else:
        result |= _present(call, key, converted(kind, call["name"], call["data"]))
    if not call.diff:
        del result["diff"]
    return {**result, "warnings": warnings} if warnings else result


def converted(kind: str, name: str | None, data: Any) -> Value | None:
    """The value that data of a type makes; None for a key without a value. Raises Refused for what cannot be one."""
    if kind in {"binary", "none"}:
        return Value(TYPES[kind][0], _bytes(data))
    if kind in LARGEST:
        return Value(TYPES[kind][0], _number(kind, data))
    if kind == "multistring":
        return Value(
            TYPES[kind][0],
            [str(one) for one in data] if isinstance(data, list) else [] if data is None else [str(data)],
        )
    if data is None and not name:
        return None
    return Value(TYPES[kind][0], "" if data is None else str(data))


def _bytes(data: Any) -> bytes:
    if isinstance(data, list):
        return bytes(int(str(one), 0) for one in data)
    if isinstance(data, int):
        if data > 255:
            msg = (
                f"cannot convert binary data '{data}' to byte array, please specify this value as a yaml byte array"
                " or a comma separated hex value string"
            )
            raise Refused(msg)
        return bytes([data])
    return bytes.fromhex(re.sub(r"[^a-f0-9]", "", re.sub(r"0x|^hex:", "", str(data or "").lower())))


def _number(kind: str, data: Any) -> int:
    if isinstance(data, float) and data % 1:
        msg = f"data '{data}' cannot be a decimal or float value with a remainder when type is dword or qword"
        raise Refused(msg)
    try:
        number = int(data, 0) if isinstance(data, str) else int(data or 0)
    except ValueError:
        msg = (
            f'Cannot convert value "{data}" to type "System.UInt64". Error: "Input string was not in a correct format."'
        )
        raise Unhandled(msg) from None
    if number > LARGEST[kind]:
        msg = f"data cannot be larger than 0x{LARGEST[kind]:x} when type is {kind}"
        raise Refused(msg)
    return number


def shown(value: Value) -> dict[str, Any]:
    """A value as a diff shows it."""
    data: Any = value.data
    if isinstance(data, bytes):
        data = [f"0x{byte:02x}" for byte in data]
    elif value.type in DIGITS:
        data = f"0x{data:0{DIGITS[value.type]}x}"
    return {"type": KINDS[value.type], "value": data}


def _present(call: Call, address: str, wanted: Value | None) -> Result:
    path, name = call["path"], call["name"] or ""
    key = registry.query(address)
    if key is None:
        if not call.check:
            registry.create(address)
            if wanted:
                registry.set_value(address, name, wanted)
        after = {path: {name: shown(wanted)}} if wanted and not call.check else {path: {}}
        return {"changed": True, "diff": {"before": {}, "after": after}}
    before: dict[str, Any] = {path: {}}
    after = {path: {}}
    result: Result = {"diff": {"before": before, "after": after}}
    if wanted is None:
        return result
    known = key.value(name)
    after[path][name] = shown(wanted)
    if known:
        before[path][name] = shown(known)
        result["data_changed"] = known.data != wanted.data
        result["data_type_changed"] = known.type != wanted.type
    if known != wanted:
        result["changed"] = True
        if not call.check:
            registry.set_value(address, name, wanted)
    return result


def _absent(call: Call, address: str) -> Result:
    path, name = call["path"], call["name"] or ""
    key = registry.query(address)
    if key is None:
        return {}
    if call["delete_key"] and not name:
        if not call.check:
            registry.delete(address)
        return {"changed": True, "diff": {"before": {path: {}}, "after": {}}}
    known = key.value(name)
    if known is None:
        return {}
    if not call.check:
        registry.delete_value(address, name)
    return {"changed": True, "diff": {"before": {path: {name: shown(known)}}, "after": {path: {}}}}


def win_reg_stat(call: Call) -> Result:
    """A key with its values, or one value."""
    address = registry.address(call["path"])
    if address is None:
        msg = f"path: {call['path']} is not a valid registry path, see module documentation for examples."
        raise Refused(msg)
    key = registry.query(address)
    if key is None:
        return {"exists": False}
    if call["name"] is None:
        properties = {name: _property(call, value) for name, value in key.values.items()}
        return {"exists": True, "properties": properties, "sub_keys": key.sub_keys}
    value = key.value(call["name"])
    return {"exists": True, **_property(call, value)} if value else {"exists": False}


def _property(call: Call, value: Value) -> dict[str, Any]:
    if isinstance(value.data, bytes):
        return {"type": value.type, "value": list(value.data), "raw_value": [f"0x{byte:02x}" for byte in value.data]}
    expands = value.type == "REG_EXPAND_SZ"
    seen = call.machine.environment.expand(str(value.data)) if expands else value.data
    return {"type": value.type, "value": seen, "raw_value": value.data}
