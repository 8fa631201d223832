"""Which chains of others get rules, where in them, and what tells that something of the role is gone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible.module_utils import firewall_nft as nft

PASSES = ["tcp dport { 21115, 21116 } counter accept", "ip daddr { 192.0.2.7 } udp dport { 21116 } counter accept"]

Objects = list[dict[str, Any]]


def chain(name: str = "output", policy: str = "accept", **change: Any) -> dict[str, Any]:
    base = {"family": "inet", "table": "site", "type": "filter", "hook": "output", "prio": 0}
    return {"chain": {**base, "name": name, "policy": policy, **change}}


def rule(handle: int, *expr: dict[str, Any], **change: Any) -> dict[str, Any]:
    return {
        "rule": {"family": "inet", "table": "site", "chain": "output", "handle": handle, "expr": list(expr), **change}
    }


MATCH: dict[str, Any] = {"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "lo"}}
COUNTER: dict[str, Any] = {"counter": {"packets": 5, "bytes": 300}}
DROP: dict[str, Any] = {"drop": None}
REJECT: dict[str, Any] = {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}
ACCEPT: dict[str, Any] = {"accept": None}
JUMP: dict[str, Any] = {"jump": {"target": "helper"}}
GOTO: dict[str, Any] = {"goto": {"target": "helper"}}
HELPER: Objects = [
    {"chain": {"family": "inet", "table": "site", "name": "helper"}},
    rule(7, {"log": None}, chain="helper"),
    rule(8, DROP, chain="helper"),
]


def paths(objects: Objects, direction: str = "out") -> list[str]:
    return [found.path for found in nft.denying(objects, direction) if found.denies]


@pytest.mark.parametrize(
    ("objects", "denies"),
    [
        ([chain(policy="drop")], True),
        ([chain(policy="accept")], False),
        ([chain(), rule(4, MATCH, ACCEPT), rule(5, COUNTER, REJECT)], True),
        ([chain(), rule(4, DROP)], True),
        ([chain(), rule(4, COUNTER, JUMP), *HELPER], True),
        ([chain(), rule(4, GOTO), *HELPER], True),
        ([chain(), rule(4, MATCH, JUMP), *HELPER], False),
        ([chain(), rule(4, JUMP), HELPER[0], rule(7, MATCH, DROP, chain="helper")], False),
        ([chain(), rule(4, JUMP), HELPER[0], rule(7, JUMP, chain="helper")], False),
        ([chain(), rule(4, MATCH, DROP)], False),
        ([chain(policy="drop", hook="input")], False),
        ([chain(policy="drop", hook="forward")], False),
        ([chain(policy="drop", type="nat")], False),
        ([chain(policy="drop", table="firewalld")], False),
        ([chain(policy="drop", table="rustdesk_firewall_out")], False),
        ([chain(policy="drop", family="bridge")], False),
        ([{"chain": {"family": "inet", "table": "site", "name": "helper"}}], False),
    ],
)
def test_chains_that_deny_are_found(objects: Objects, denies: bool) -> None:
    assert paths(objects) == (["inet site output"] if denies else [])


def test_rules_go_before_the_one_that_denies_all() -> None:
    objects = [chain(), rule(4, MATCH, ACCEPT), rule(5, MATCH, DROP), rule(6, COUNTER, DROP)]
    commands = nft.transaction(objects, "out", "", PASSES)
    assert commands.splitlines() == [
        f'insert rule inet site output handle 6 {body} comment "rustdesk_firewall out"' for body in PASSES
    ]


def meta(key: str, value: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"meta": {"key": key}}, "right": value}}


def state(value: Any, op: str = "in") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"ct": {"key": "state"}}, "right": value}}


def payload(protocol: str, field: str, value: Any) -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": field}}, "right": value}}


LIMIT: dict[str, Any] = {"limit": {"rate": 5, "burst": 5, "per": "second"}}
FLOOD: dict[str, Any] = {"limit": {"rate": 5, "burst": 5, "per": "second", "inv": True}}
SOMEBODY = payload("ip", "daddr", "192.0.2.66")


def places(*rules: dict[str, Any], policy: str = "accept", family: str = "inet") -> dict[str, int | None]:
    """Before which rule those of the role for each protocol go; none for the end."""
    objects = [chain(policy=policy, family=family), *({"rule": {**one["rule"], "family": family}} for one in rules)]
    found: dict[str, int | None] = {}
    for protocol in ("tcp", "udp"):
        words = nft.transaction(objects, "out", "", [f"{protocol} dport {{ 21116 }} accept"]).split()
        if words:
            found[protocol] = int(words[words.index("handle") + 1]) if "handle" in words else None
    return found


@pytest.mark.parametrize(
    ("matches", "closed"),
    [
        ([meta("l4proto", "udp")], ["udp"]),
        ([meta("l4proto", 6)], ["tcp"]),
        ([meta("l4proto", {"set": ["tcp", "udp"]})], ["tcp", "udp"]),
        ([meta("l4proto", "icmp", "!=")], ["tcp", "udp"]),
        ([meta("l4proto", "icmp")], []),
        ([meta("nfproto", "ipv4")], ["tcp", "udp"]),
        ([meta("protocol", "ip6"), meta("l4proto", "tcp")], ["tcp"]),
        ([payload("ip", "protocol", "tcp")], ["tcp"]),
        ([payload("ip6", "nexthdr", 17)], ["udp"]),
        ([meta("pkttype", "host"), LIMIT, COUNTER], ["tcp", "udp"]),
        ([meta("pkttype", {"set": ["broadcast", "multicast"]})], []),
        ([FLOOD], []),
        ([{"limit": "named"}], []),
        ([state("new")], ["tcp", "udp"]),
        ([state(["invalid", "new"])], ["tcp", "udp"]),
        ([state(["established", "related"], "!=")], ["tcp", "udp"]),
        ([state("invalid")], []),
        ([SOMEBODY], []),
        ([payload("tcp", "dport", 21116)], []),
        ([{"match": {"op": "==", "left": "x", "right": {"range": [1, 2]}}}], []),
    ],
)
def test_rules_go_before_the_first_that_denies_all_of_their_kind(
    matches: list[dict[str, Any]], closed: list[str]
) -> None:
    for policy in ("accept", "drop"):
        expected = (
            dict.fromkeys(closed, 4) if policy == "accept" else {"tcp": None, "udp": None} | dict.fromkeys(closed, 4)
        )
        assert places(rule(4, *matches, REJECT), policy=policy) == expected


def test_a_chain_that_rejects_by_protocol_is_opened_protocol_by_protocol() -> None:
    reset = {"reject": {"type": "tcp reset"}}
    rules = [
        rule(4, state(["established", "related"]), ACCEPT),
        rule(5, meta("l4proto", "udp"), REJECT),
        rule(6, SOMEBODY, DROP),
        rule(7, reset),
        rule(8, COUNTER, REJECT),
    ]
    assert places(*rules, policy="drop") == {"udp": 5, "tcp": 7}
    assert places(rule(4, {"reject": {"type": "icmp", "expr": "port-unreachable"}}), family="ip6") == {}
    assert paths([chain(), rules[1]]) == ["inet site output"]


def test_rules_that_deny_some_are_named() -> None:
    objects = [
        chain(),
        rule(3, state("invalid"), DROP),
        rule(4, SOMEBODY, DROP),
        rule(5, MATCH, JUMP),
        HELPER[0],
        rule(7, payload("tcp", "dport", {"set": [21116, {"range": [1, 9]}]}), DROP, chain="helper"),
        rule(8, payload("icmp", "type", "echo-request"), DROP),
        rule(9, payload("udp", "dport", "@ports"), ACCEPT),
        rule(10, meta("l4proto", "tcp"), REJECT),
        rule(11, payload("udp", "dport", "@ports"), SOMEBODY, DROP),
        rule(12, payload("tcp", "dport", 21116), DROP),
        rule(13, DROP),
        rule(14, SOMEBODY, DROP),
    ]
    found = [(one["chain"], one["handle"], one["protocols"], one["ports"]) for one in nft.narrowing(objects, "out")]
    assert found == [
        ("inet site output", 4, ["tcp", "udp"], []),
        ("inet site helper", 7, ["tcp"], [[21116, 21116], [1, 9]]),
        ("inet site output", 11, ["udp"], []),
    ]
    assert list(nft.narrowing(objects, "in")) == []


def test_rules_go_to_the_end_where_the_policy_denies() -> None:
    commands = nft.transaction([chain(policy="drop"), rule(4, MATCH, DROP)], "out", "", PASSES[:1])
    assert commands == f'add rule inet site output {PASSES[0]} comment "rustdesk_firewall out"\n'


def test_own_rules_are_replaced_and_others_stay() -> None:
    objects = [
        chain(policy="drop"),
        rule(4, MATCH, ACCEPT, comment="rustdesk_firewall outer"),
        rule(5, MATCH, ACCEPT, comment="rustdesk_firewall out"),
        rule(6, MATCH, ACCEPT, comment="rustdesk_firewall in"),
        rule(7, MATCH, ACCEPT),
    ]
    commands = nft.transaction(objects, "out", "", PASSES[:1]).splitlines()
    assert commands[0] == "delete rule inet site output handle 5"
    assert [line for line in commands if line.startswith("delete")] == commands[:1]


def test_a_chain_that_no_longer_denies_loses_its_rules() -> None:
    objects = [chain(policy="accept"), rule(5, MATCH, ACCEPT, comment="rustdesk_firewall out")]
    assert nft.transaction(objects, "out", "", PASSES) == "delete rule inet site output handle 5\n"


def test_without_files_everything_goes() -> None:
    objects = [
        {"table": {"family": "inet", "name": "rustdesk_firewall_out", "handle": 9}},
        chain(policy="drop"),
        rule(5, MATCH, ACCEPT, comment="rustdesk_firewall out"),
    ]
    assert nft.transaction(objects, "out", "", []).splitlines() == [
        "delete table inet rustdesk_firewall_out",
        "delete rule inet site output handle 5",
    ]
    assert nft.transaction([], "out", "", []) == ""


def test_a_chain_of_one_family_gets_its_own_addresses() -> None:
    objects = [chain(policy="drop", family="ip6", table="six")]
    commands = nft.transaction(objects, "out", "", PASSES)
    assert "ip daddr" not in commands
    assert commands.count("add rule ip6 six output") == 1


def test_chains_of_iptables_are_not_written_to() -> None:
    objects = [chain("OUTPUT", policy="drop", family="ip", table="filter")]
    assert [found.compat for found in nft.denying(objects, "out")] == [True]
    assert nft.transaction(objects, "out", "", PASSES) == ""


LOADED: Objects = [
    {"table": {"family": "inet", "name": "rustdesk_firewall_in", "handle": 9}},
    {
        "set": {
            "family": "inet",
            "name": "sources4",
            "table": "rustdesk_firewall_in",
            "flags": ["timeout"],
            "elem": ["192.0.2.1"],
        }
    },
    chain("input", table="rustdesk_firewall_in", hook="input"),
    rule(4, MATCH, COUNTER, ACCEPT, table="rustdesk_firewall_in", chain="input", comment="rustdesk_firewall in: x"),
    chain("input", hook="input", policy="drop"),
    rule(5, COUNTER, ACCEPT, chain="input", comment="rustdesk_firewall in"),
]


def changed(index: int, path: tuple[str | int, ...], value: Any) -> Objects:
    objects = copy.deepcopy(LOADED)
    place: Any = objects[index]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return objects


@pytest.mark.parametrize(
    "objects",
    [
        changed(3, ("rule", "expr", 1, "counter", "packets"), 999),
        changed(3, ("rule", "handle"), 77),
        changed(1, ("set", "elem"), ["198.51.100.1"]),
        [*LOADED, {"table": {"family": "inet", "name": "other", "handle": 10}}],
        [*LOADED, rule(8, MATCH, ACCEPT, chain="input")],
    ],
    ids=["counter", "handle", "learnt", "foreign table", "foreign rule"],
)
def test_what_changes_by_itself_or_is_another_s_is_no_damage(objects: Objects) -> None:
    assert nft.fingerprint(objects, "in") == nft.fingerprint(LOADED, "in") != ""


@pytest.mark.parametrize(
    "objects",
    [
        LOADED[:3] + LOADED[4:],
        LOADED[:5],
        changed(3, ("rule", "expr", 2), DROP),
        changed(2, ("chain", "prio"), 5),
        [*LOADED, chain("more", hook="input", policy="drop")],
    ],
    ids=["own rule", "rule in a foreign chain", "verdict", "priority", "new chain that denies"],
)
def test_damage_is_noticed(objects: Objects) -> None:
    assert nft.fingerprint(objects, "in") != nft.fingerprint(LOADED, "in")


def test_a_rule_that_comes_before_and_denies_all_is_damage() -> None:
    opened = rule(5, payload("udp", "dport", 21116), ACCEPT, chain="input", comment="rustdesk_firewall in")
    closes, other = (rule(8, meta("l4proto", name), REJECT, chain="input") for name in ("udp", "tcp"))
    sound = nft.fingerprint([*LOADED[:5], opened, closes], "in")
    assert nft.fingerprint([*LOADED[:5], other, opened], "in") == sound
    assert nft.fingerprint([*LOADED[:5], closes, opened], "in") != sound


def test_nothing_has_no_fingerprint() -> None:
    assert nft.fingerprint([chain(policy="drop")], "out") == ""
