# SPDX-License-Identifier: MIT
"""Load the tables of the role rustdesk_firewall without touching a rule of anybody else.

Runs as a program too, with nothing but Python's own library: the role leaves it on hosts, where a unit starts it at
boot and again whenever nftables.service has replaced the ruleset.

For each direction (in, out) two files say what is wanted:

* `/etc/rustdesk-firewall-<direction>.nft`: a table of our own, which replaces itself in one transaction,
* `/etc/rustdesk-firewall-<direction>.pass`: a rule a line, for chains of others that deny what is not allowed. What one
  table accepts can still be dropped in another one (nft(8), "VERDICT STATEMENTS"), so the way has to be opened in these
  chains themselves. The rules carry a comment by which they are found again.

Without the files, what they had brought about is taken back.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TAG = "rustdesk_firewall"
"""What the comment of every rule of the role begins with."""

DIRECTIONS = {"in": "input", "out": "output"}
"""The role's directions, and the hooks of the kernel they are filtered at."""

STATE = Path("/run/rustdesk-firewall")
ACTIVATED = Path("/etc/rustdesk-firewall-activated")
"""Names the firewall that the role has switched on."""

_FAMILIES = ("inet", "ip", "ip6")
_IPTABLES_CHAINS = ("INPUT", "OUTPUT", "FORWARD")
_NO_MATCH = ("counter", "log", "drop", "reject", "comment", "jump", "goto")
"""Statements of a rule that every packet reaches."""

Packet = tuple[str, str]
"""A new connection's packet, as far as chains deny all of a kind: its protocol and its family."""

PACKETS: tuple[Packet, ...] = (("tcp", "ip"), ("tcp", "ip6"), ("udp", "ip"), ("udp", "ip6"))
_NUMBERS = {"tcp": 6, "udp": 17}
_NAMES = {"ip": "ipv4", "ip6": "ipv6"}
_REJECTED = {"tcp reset": "tcp", "icmp": "ip", "icmpv6": "ip6"}
"""What answers of a rule that rejects limit it to."""
_INTERFACES = ("iif", "iifname", "oif", "oifname")

Objects = list[dict[str, Any]]
"""What `nft --json list ruleset` prints, without the envelope."""


class NftError(Exception):
    """nft refused something; the message says what."""


@dataclass(frozen=True)
class Chain:
    """A chain of somebody else at a hook that denies, or has rules of the role from when it did.

    Attributes:
        denies: whether it denies what it does not allow, be it of one protocol only.
        policy: whether its policy denies what reaches its end.
        closing: position and handle of the first rule that denies all packets of a kind.
        own: handles of the role's rules in it.
        late: whether one of these stands behind a rule that leaves it nothing.
        compat: whether it belongs to iptables, which cannot read it any more once nft has written to it.
    """

    family: str
    table: str
    name: str
    denies: bool
    policy: bool
    closing: Mapping[Packet, tuple[int, int]]
    own: tuple[int, ...]
    late: bool
    compat: bool

    @property
    def path(self) -> str:
        """The chain as nft's commands name it."""
        return f"{self.family} {self.table} {self.name}"


def comment(direction: str) -> str:
    """Return what comments of a direction's rules begin with."""
    return f"{TAG} {direction}"


def file_of(direction: str, kind: str) -> Path:
    """Return the file of a direction; its kind is nft or pass."""
    return Path(f"/etc/rustdesk-firewall-{direction}.{kind}")


def own_table(direction: str) -> str:
    """Return the name of a direction's table."""
    return f"{TAG}_{direction}"


def nft(*arguments: str, text: str = "") -> str:
    """Run nft and return what it prints.

    Raises:
        NftError: nft is not there, or refuses.
    """
    program = shutil.which("nft", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        raise NftError("this host has no nft; install the package nftables")
    done = subprocess.run(  # noqa: S603
        [program, *arguments], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NftError(done.stderr.strip() or f"nft ended with status {done.returncode}")
    return done.stdout


def ruleset() -> Objects:
    """Return the live ruleset.

    Raises:
        NftError: as `nft`.
    """
    listed = json.loads(nft("--json", "--terse", "list", "ruleset") or '{"nftables": []}')
    objects: Objects = listed["nftables"]
    return objects


def _rules(objects: Objects, chain: dict[str, Any]) -> list[dict[str, Any]]:
    place = (chain["family"], chain["table"], chain["name"])
    rules = [entry["rule"] for entry in objects if "rule" in entry]
    return [rule for rule in rules if (rule["family"], rule["table"], rule["chain"]) == place]


def _is_own(rule: dict[str, Any], direction: str) -> bool:
    text = str(rule.get("comment", ""))
    return text == comment(direction) or text.startswith(f"{comment(direction)}:")


def _values(right: Any) -> set[Any]:
    """Return what a match compares with, one or several."""
    if isinstance(right, dict) and isinstance(right.get("set"), list):
        return _values(right["set"])
    if isinstance(right, list):
        return {value for value in right if isinstance(value, (str, int))}
    return {right} if isinstance(right, (str, int)) else set()


def _seen(left: Any, packet: Packet) -> set[Any]:
    """Return what a packet shows where a match looks; nothing where that differs from one to the next."""
    protocol, family = packet
    numbers = {protocol, _NUMBERS[protocol]}
    if left.get("ct", {}).get("key") == "state":
        return {"new"}
    payload = left.get("payload", {})
    if (payload.get("protocol"), payload.get("field")) in (("ip", "protocol"), ("ip6", "nexthdr")):
        return numbers if payload["protocol"] == family else set()
    meta: dict[str, set[Any]] = {
        "l4proto": numbers,
        "nfproto": {_NAMES[family]},
        "protocol": {family},
        "pkttype": {"host", "unicast"},
    }
    return meta.get(left.get("meta", {}).get("key"), set())


def _holds(statement: dict[str, Any], packet: Packet) -> bool:
    """Tell whether a statement lets every packet of a kind pass to the next one."""
    name, value = next(iter(statement.items()))
    if name == "limit":
        # What is within a limit is denied like all else; what is over it, is a flood.
        return isinstance(value, dict) and not value.get("inv")
    if name == "reject" and isinstance(value, dict):
        return _REJECTED.get(str(value.get("type")), packet[0]) in packet
    if name != "match":
        return name in _NO_MATCH
    seen = _seen(value["left"], packet) if isinstance(value["left"], dict) else set()
    common = seen & _values(value["right"])
    return bool(seen) and (not common if value["op"] in ("!=", "!") else bool(common) and value["op"] in ("==", "in"))


def _denies(objects: Objects, rule: dict[str, Any], packet: Packet, followed: tuple[str, ...] = ()) -> bool:
    """Tell whether every packet of a kind is denied by a rule, also where it sends them to another chain for that."""
    statements = rule.get("expr", [])
    if not all(_holds(statement, packet) for statement in statements):
        return False
    if any({"drop", "reject"} & set(statement) for statement in statements):
        return True
    targets = [statement[name]["target"] for statement in statements for name in ("jump", "goto") if name in statement]
    return any(
        _denies(objects, inner, packet, (*followed, target))
        for target in targets
        if target not in followed
        for inner in _rules(objects, {**rule, "name": target})
    )


def _kinds(family: str) -> list[Packet]:
    """Return the packets that a chain of a family meets."""
    return [packet for packet in PACKETS if family in ("inet", packet[1])]


def _kinds_of(rule: str, family: str) -> list[Packet]:
    """Return the packets that a rule of the role is for, as it is written."""
    words = set(re.findall(r"\b(?:tcp|udp|ip6?)\b", rule))
    families = words & {"ip", "ip6"} or {"ip", "ip6"}
    return [packet for packet in _kinds(family) if packet[0] in words and packet[1] in families]


def _written_kinds(rule: dict[str, Any], family: str) -> list[Packet]:
    """Return the packets that a rule of the role is for, as nft tells it."""
    lefts = [statement["match"]["left"] for statement in rule.get("expr", []) if "match" in statement]
    payloads = [left.get("payload", {}).get("protocol", "") for left in lefts if isinstance(left, dict)]
    return _kinds_of(" ".join(payloads), family)


def _closing(objects: Objects, rules: list[dict[str, Any]], family: str) -> dict[Packet, tuple[int, int]]:
    """Return position and handle of the first of the rules that denies all packets of a kind."""
    found: dict[Packet, tuple[int, int]] = {}
    for position, rule in enumerate(rules):
        for packet in _kinds(family):
            if packet not in found and _denies(objects, rule, packet):
                found[packet] = (position, rule["handle"])
    return found


def _is_foreign_base(chain: dict[str, Any], hook: str) -> bool:
    return (
        chain.get("type") == "filter"
        and chain.get("hook") == hook
        and chain["family"] in _FAMILIES
        and chain["table"] not in ("firewalld", *map(own_table, DIRECTIONS))
    )


def _is_compat(chain: dict[str, Any]) -> bool:
    return chain["name"] in _IPTABLES_CHAINS and chain["table"] == "filter" and chain["family"] != "inet"


def denying(objects: Objects, direction: str) -> Iterator[Chain]:
    """Yield the chains of others that deny in a direction, or hold rules of the role; not those of firewalld."""
    hook = DIRECTIONS[direction]
    for chain in (entry["chain"] for entry in objects if "chain" in entry):
        if not _is_foreign_base(chain, hook):
            continue
        rules = _rules(objects, chain)
        closing = _closing(objects, rules, chain["family"])
        own = [(position, rule) for position, rule in enumerate(rules) if _is_own(rule, direction)]
        policy = chain.get("policy") == "drop"
        if policy or closing or own:
            yield Chain(
                family=chain["family"],
                table=chain["table"],
                name=chain["name"],
                denies=policy or bool(closing),
                policy=policy,
                closing=closing,
                own=tuple(rule["handle"] for _position, rule in own),
                late=any(
                    position > closing[packet][0]
                    for position, rule in own
                    for packet in _written_kinds(rule, chain["family"])
                    if packet in closing
                ),
                compat=_is_compat(chain),
            )


def _denials(
    objects: Objects, rule: dict[str, Any], before: tuple[dict[str, Any], ...] = (), followed: tuple[str, ...] = ()
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield the rules that deny where a rule leads, with all that a packet has to pass until it is denied."""
    own = rule.get("expr", [])
    statements = [*before, *(statement for statement in own if not {"jump", "goto"} & set(statement))]
    if any({"drop", "reject"} & set(statement) for statement in own):
        yield rule, statements
    for target in [statement[name]["target"] for statement in own for name in ("jump", "goto") if name in statement]:
        if target not in followed:
            for inner in _rules(objects, {**rule, "name": target}):
                yield from _denials(objects, inner, tuple(statements), (*followed, target))


def _selects(statement: dict[str, Any]) -> bool:
    """Tell whether a statement is a match of addresses, ports or interfaces."""
    left = statement.get("match", {}).get("left")
    if not isinstance(left, dict):
        return False
    payload = left.get("payload", {})
    return (
        payload.get("field") in ("saddr", "daddr", "sport", "dport") or left.get("meta", {}).get("key") in _INTERFACES
    )


def _could_hold(statement: dict[str, Any], packet: Packet) -> bool:
    """Tell whether a statement lets packets of a kind pass by their addresses, ports or interfaces."""
    if not _selects(statement):
        return _holds(statement, packet)
    protocol = statement["match"]["left"].get("payload", {}).get("protocol")
    return protocol in (None, "th", *packet)


def _ports(statements: list[dict[str, Any]]) -> list[list[int]]:
    """Return the ranges of destination ports that statements are limited to; none where that is not told."""
    for match in (statement["match"] for statement in statements if "match" in statement):
        left = match["left"]
        if isinstance(left, dict) and left.get("payload", {}).get("field") == "dport" and match["op"] == "==":
            right = match["right"]
            values = right["set"] if isinstance(right, dict) and isinstance(right.get("set"), list) else [right]
            ranges = [
                value["range"] if isinstance(value, dict) and "range" in value else [value] * 2 for value in values
            ]
            return ranges if all(isinstance(end, int) for ends in ranges for end in ends) else []
    return []


def narrowing(objects: Objects, direction: str) -> Iterator[dict[str, Any]]:
    """Yield the rules of others that deny some addresses, ports or interfaces, before the role's could allow them."""
    for chain in (entry["chain"] for entry in objects if "chain" in entry):
        if not _is_foreign_base(chain, DIRECTIONS[direction]) or _is_compat(chain):
            continue
        rules = _rules(objects, chain)
        closing = _closing(objects, rules, chain["family"])
        for position, rule in enumerate(rules):
            kinds = [packet for packet in _kinds(chain["family"]) if position < closing.get(packet, (len(rules), 0))[0]]
            for inner, statements in _denials(objects, rule):
                denied = [packet for packet in kinds if all(_could_hold(statement, packet) for statement in statements)]
                if denied and any(map(_selects, statements)):
                    yield {
                        "chain": f"{inner['family']} {inner['table']} {inner['chain']}",
                        "handle": inner["handle"],
                        "protocols": sorted({protocol for protocol, _family in denied}),
                        "ports": _ports(statements),
                    }


def fits(rule: str, family: str) -> bool:
    """Tell whether a rule can stand in a chain of a family: one for IPv4 knows no IPv6 addresses."""
    other = {"ip": "ip6", "ip6": "ip"}.get(family)
    return other is None or other not in re.findall(r"\bip6?\b", rule)


def transaction(objects: Objects, direction: str, table: str, passes: list[str]) -> str:
    """Return the commands that make a direction what it has to be, to be run as one transaction.

    Args:
        objects: the live ruleset.
        direction: in or out.
        table: commands for the table of our own, "" for none.
        passes: the rules for chains that deny.
    """
    lines = []
    if table:
        lines.append(table)
    elif _loaded(objects, direction):
        lines.append(f"delete table inet {own_table(direction)}")
    for chain in denying(objects, direction):
        if chain.compat:
            continue
        lines += [f"delete rule {chain.path} handle {handle}" for handle in chain.own]
        lines += [line for rule in passes for line in _opened(chain, rule, comment(direction))]
    return "".join(f"{line}\n" for line in lines)


def _opened(chain: Chain, rule: str, text: str) -> Iterator[str]:
    """Yield the command that lets a rule's packets through a chain, before the first rule that denies them all."""
    closing = [chain.closing[packet] for packet in _kinds_of(rule, chain.family) if packet in chain.closing]
    if not fits(rule, chain.family):
        return
    if closing:
        yield f'insert rule {chain.path} handle {min(closing)[1]} {rule} comment "{text}"'
    elif chain.policy:
        yield f'add rule {chain.path} {rule} comment "{text}"'


def _loaded(objects: Objects, direction: str) -> bool:
    tables = [entry["table"] for entry in objects if "table" in entry]
    return any(table["family"] == "inet" and table["name"] == own_table(direction) for table in tables)


def _bare(value: Any) -> Any:
    """Return a statement without what changes by itself: numbers of packets, handles, and what sets have learnt."""
    if isinstance(value, dict):
        # Not every version of nft tells that a set is dynamic; those of the role have a timeout.
        learnt = {"elem"} if {"dynamic", "timeout"} & set(value.get("flags", ())) else set()
        return {name: _bare(value[name]) for name in sorted(set(value) - {"handle", "packets", "bytes"} - learnt)}
    return [_bare(entry) for entry in value] if isinstance(value, list) else value


def fingerprint(objects: Objects, direction: str) -> str:
    """Return a digest of a direction's rules as they are in the kernel; "" when there are none."""
    name = own_table(direction)
    own = [
        entry
        for entry in objects
        for kind, item in entry.items()
        if item.get("table") == name or (kind == "table" and item["name"] == name) or _is_own(item, direction)
    ]
    chains = [(chain.path, chain.late) for chain in denying(objects, direction) if not chain.compat]
    return hashlib.sha256(json.dumps([_bare(own), chains]).encode()).hexdigest() if own else ""


def intact(objects: Objects, direction: str) -> bool:
    """Tell whether a direction's rules are still what was loaded, and in every chain that needs them."""
    try:
        loaded = (STATE / f"{direction}.loaded").read_text(encoding="ascii")
    except FileNotFoundError:
        loaded = ""
    return loaded == fingerprint(objects, direction)


def load() -> None:
    """Make the live rules of both directions what the files say, or leave them as they are.

    Raises:
        NftError: nft refuses; nothing has changed.
        OSError: a file cannot be read or written.
    """
    objects = ruleset()
    commands = ""
    for direction in DIRECTIONS:
        table, passes = file_of(direction, "nft"), file_of(direction, "pass")
        commands += transaction(
            objects,
            direction,
            table.read_text(encoding="utf-8") if table.exists() else "",
            passes.read_text(encoding="utf-8").splitlines() if passes.exists() else [],
        )
    if commands:
        nft("--file", "-", text=commands)
    STATE.mkdir(mode=0o755, exist_ok=True)
    objects = ruleset()
    for direction in DIRECTIONS:
        (STATE / f"{direction}.loaded").write_text(fingerprint(objects, direction), encoding="ascii")


def main() -> int:
    """Load the rules; exit status 1 and a sentence when that is refused."""
    try:
        load()
    except (NftError, OSError) as error:
        print(f"The rules of {TAG} were not loaded, and those before stay: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
