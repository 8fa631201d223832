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
    from collections.abc import Iterator

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

Objects = list[dict[str, Any]]
"""What `nft --json list ruleset` prints, without the envelope."""


class NftError(Exception):
    """nft refused something; the message says what."""


@dataclass(frozen=True)
class Chain:
    """A chain of somebody else at a hook that denies, or has rules of the role from when it did.

    Attributes:
        denies: whether it denies what it does not allow.
        before: handle of the first rule that every packet is denied by; none when that is left to the policy.
        own: handles of the role's rules in it.
        compat: whether it belongs to iptables, which cannot read it any more once nft has written to it.
    """

    family: str
    table: str
    name: str
    denies: bool
    before: int | None
    own: tuple[int, ...]
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


def _denies_all(objects: Objects, rule: dict[str, Any], followed: tuple[str, ...] = ()) -> bool:
    """Tell whether every packet is denied that reaches a rule, also where it sends them to another chain for that."""
    statements = {name: value for statement in rule.get("expr", []) for name, value in statement.items()}
    if not all(name in _NO_MATCH for name in statements):
        return False
    if {"drop", "reject"} & set(statements):
        return True
    targets = [statements[name]["target"] for name in ("jump", "goto") if name in statements]
    return any(
        _denies_all(objects, inner, (*followed, target))
        for target in targets
        if target not in followed
        for inner in _rules(objects, {**rule, "name": target})
    )


def _is_foreign_base(chain: dict[str, Any], hook: str) -> bool:
    return (
        chain.get("type") == "filter"
        and chain.get("hook") == hook
        and chain["family"] in _FAMILIES
        and chain["table"] not in ("firewalld", *map(own_table, DIRECTIONS))
    )


def denying(objects: Objects, direction: str) -> Iterator[Chain]:
    """Yield the chains of others that deny in a direction, or hold rules of the role; not those of firewalld."""
    hook = DIRECTIONS[direction]
    for chain in (entry["chain"] for entry in objects if "chain" in entry):
        if not _is_foreign_base(chain, hook):
            continue
        rules = _rules(objects, chain)
        before = next((rule["handle"] for rule in rules if _denies_all(objects, rule)), None)
        own = tuple(rule["handle"] for rule in rules if _is_own(rule, direction))
        denies = chain.get("policy") == "drop" or before is not None
        if denies or own:
            yield Chain(
                family=chain["family"],
                table=chain["table"],
                name=chain["name"],
                denies=denies,
                before=before,
                own=own,
                compat=chain["name"] in _IPTABLES_CHAINS and chain["table"] == "filter" and chain["family"] != "inet",
            )


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
        place = "add" if chain.before is None else "insert"
        position = "" if chain.before is None else f" handle {chain.before}"
        lines += [
            f'{place} rule {chain.path}{position} {rule} comment "{comment(direction)}"'
            for rule in passes
            if chain.denies and fits(rule, chain.family)
        ]
    return "".join(f"{line}\n" for line in lines)


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
    chains = [chain.path for chain in denying(objects, direction) if not chain.compat]
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
