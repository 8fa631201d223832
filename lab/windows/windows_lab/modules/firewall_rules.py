"""``win_firewall_rule``: rules are stored where Windows stores them, and filter nothing.

As in the real module a rule is found by its name alone, and every rule of that name is changed: two tasks that give
one name to a TCP and a UDP rule leave one rule, and change it at every run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from windows_lab import firewall
from windows_lab.errors import NotModelledError, Refused
from windows_lab.firewall import Rule, Stored

if TYPE_CHECKING:
    from windows_lab.call import Call, Result

PROTOCOLS = {"tcp": 6, "udp": 17, "icmpv4": 1, "icmpv6": 58}
# The module's option, and the property of a rule it sets, in the order they are compared.
PROPERTIES = {
    "description": "description",
    "direction": "direction",
    "action": "action",
    "program": "application_name",
    "group": "grouping",
    "service": "service_name",
    "enabled": "enabled",
    "profiles": "profiles",
    "localip": "local_addresses",
    "remoteip": "remote_addresses",
    "localport": "local_ports",
    "remoteport": "remote_ports",
    "protocol": "protocol",
}
COM_NAMES = (
    "Description", "Direction", "Action", "ApplicationName", "Grouping", "ServiceName", "Enabled", "Profiles",
    "LocalAddresses", "RemoteAddresses", "LocalPorts", "RemotePorts", "Protocol",
)  # fmt: skip
ALSO_COMPARED = {"InterfaceTypes": "All", "EdgeTraversalOptions": "0", "SecureFlags": "0", "IcmpTypesAndCodes": ""}


def win_firewall_rule(call: Call) -> Result:
    """A rule by name, or the rules of a group."""
    if not call["name"] and not call["group"]:
        msg = "Either name or group must be specified"
        raise Refused(msg)
    if call["icmp_type_code"]:
        raise NotModelledError("firewall rules for ICMP types")
    wished = firewall.validated(wish(call))
    existing = [entry for entry in firewall.stored() if _meant(call, entry.rule)]
    prepared: list[str] = []
    if call["state"] == "absent":
        result = _absent(call, existing, prepared)
    elif existing:
        result = _change(call, existing, wished, prepared)
    else:
        result = _create(call, wished, prepared)
    return {**result, "diff": {"prepared": "".join(prepared)}} if call.diff else result


def wish(call: Call) -> Rule:
    """The rule that the options describe. Raises Refused for a word that the module does not know."""
    rule = Rule(name=call["name"] or "*")
    given = {name: call[name] for name in PROPERTIES if call[name] is not None}
    simple = {name: value for name, value in given.items() if name in {"description", "group", "enabled"}}
    kept = {
        name: value
        for name, value in given.items()
        if name in {"program", "service", "localip", "remoteip", "localport", "remoteport"} and value != "any"
    }
    if "program" in kept:
        kept["program"] = call.machine.environment.expand(kept["program"])
    words: dict[str, Any] = {}
    if "direction" in given:
        words["direction"] = firewall.INBOUND if given["direction"] == "in" else firewall.OUTBOUND
    if "action" in given:
        words["action"] = firewall.ALLOW if given["action"] == "allow" else firewall.BLOCK
    if "profiles" in given:
        words["profiles"] = _profiles(given["profiles"])
    if given.get("protocol", "any") != "any":
        words["protocol"] = _protocol(given["protocol"])
    return replace(rule, **{PROPERTIES[name]: value for name, value in {**simple, **kept, **words}.items()})


def _profiles(names: list[str]) -> int:
    total = 0
    for name in dict.fromkeys(names):
        bit = firewall.PROFILES.get(name.capitalize())
        if bit is None:
            msg = f"Unknown profile '{name}'."
            raise Refused(msg)
        total += bit
    return firewall.ALL_PROFILES if total == 7 else total


def _protocol(text: str) -> int:
    if text.isdigit():
        return int(text)
    number = PROTOCOLS.get(text.lower())
    if number is None:
        msg = f"Unknown protocol '{text}'."
        raise Refused(msg)
    return number


def _meant(call: Call, rule: Rule) -> bool:
    if call["name"]:
        return rule.name.lower() == str(call["name"]).lower()
    return (rule.grouping or "").lower() == str(call["group"]).lower()


def _lines(sign: str, rule: Rule) -> list[str]:
    values = [(com, _text(getattr(rule, name))) for com, name in zip(COM_NAMES, PROPERTIES.values(), strict=True)]
    return [f"{sign}[{rule.name}]\n", *(f"{sign}{com}='{value}'\n" for com, value in [*values, *ALSO_COMPARED.items()])]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _absent(call: Call, existing: list[Stored], prepared: list[str]) -> Result:
    if not existing:
        told = f"Firewall rule '{call['name']}' does not exist." if call["name"] else None
        return {"msg": told or f"No firewall rules in group '{call['group']}' exist."}
    for entry in existing:
        prepared += _lines("-", entry.rule)
        if not call.check:
            firewall.remove(entry)
    names = "', '".join(entry.rule.name for entry in existing)
    return {"changed": True, "msg": f"Firewall rule(s) '{names}' removed."}


def _create(call: Call, wished: Rule, prepared: list[str]) -> Result:
    if not call["name"]:
        return {}
    prepared += _lines("+", wished)
    if not call.check:
        firewall.add(wished)
    return {"changed": True, "msg": f"Firewall rule '{call['name']}' created."}


def _change(call: Call, existing: list[Stored], wished: Rule, prepared: list[str]) -> Result:
    changed: list[str] = []
    unchanged: list[str] = []
    for entry in existing:
        prepared.append(f"[{entry.rule.name}]\n")
        different = {
            com: name
            for com, (option, name) in zip(COM_NAMES, PROPERTIES.items(), strict=True)
            if call[option] is not None and not _same(name, getattr(entry.rule, name), getattr(wished, name))
        }
        for com, name in different.items():
            prepared.append(f"-{com}='{_text(getattr(entry.rule, name))}'\n+{com}='{_text(getattr(wished, name))}'\n")
        if different and not call.check:
            firewall.put(
                Stored(entry.id, replace(entry.rule, **{name: getattr(wished, name) for name in different.values()}))
            )
        (changed if different else unchanged).append(entry.rule.name)
    told = f"Firewall rule(s) changed '{_joined(changed)}' - unchanged '{_joined(unchanged)}'"
    return {"changed": bool(changed), "msg": told}


def _same(name: str, known: Any, wished: Any) -> bool:
    if name.endswith("addresses"):
        return sorted(known.split(",")) == sorted(wished.split(","))
    if isinstance(known, str) and isinstance(wished, str):
        return known.lower() == wished.lower()
    return bool(known == wished)


def _joined(names: list[str]) -> str:
    return "', '".join(names)
