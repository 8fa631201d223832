#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Ansible's side of the probe; the proofs are in module_utils/probe.py."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_probe
short_description: Prove over the wire that a RustDesk server works
version_added: "1.0.0"
author: The rustdesk-server project
description:
  - Speaks RustDesk's own protocol with C(hbbs) and C(hbbr), from the machine it runs on, and reports what was proven.
  - An open port proves nothing. The server passes when a right key is accepted and a wrong key is refused by both
    daemons, UDP answers, and relayed bytes arrive unchanged.
  - All proofs run side by side. A healthy server takes a fraction of a second; the module never takes longer than
    three times O(timeout).
  - Nothing is registered, and no row appears in the server's database. The proofs that wrong keys are refused leave
    two warnings in the log of C(hbbs), for ids that begin with V((:probe-), and four in the log of C(hbbr).
options:
  host:
    description:
      - Name or address of the ID server.
      - A loopback address is refused, because there the ports of the NAT test and of the relay are administration
        consoles. On the server itself, give the address of a network interface.
      - Of several addresses the first that accepts a TCP connection is used.
    type: str
    required: true
  port:
    description:
      - TCP and UDP port of C(hbbs). The NAT test is on the TCP port below.
    type: int
    default: 21116
  relay:
    description:
      - The relay as V(host), V(host:port) or V([IPv6]:port); 21117 where no port is given.
      - Left out, it is O(host) and the port above O(port).
    type: str
  key:
    description:
      - Public key of the server, the content of C(id_ed25519.pub).
      - Left out, the proofs that need a key are skipped.
    type: str
  proofs:
    description:
      - What to prove.
      - V(dns) - O(host) and the relay resolve, to an address other than loopback.
      - V(nat_test) - both TCP ports of C(hbbs) tell the source port they see. The detail says what NAT is on the way.
      - V(rendezvous_udp) - C(hbbs) asks an unknown client for its key over UDP. Lost datagrams are sent again.
      - V(rendezvous_tcp) - C(hbbs) answers over TCP.
      - V(key_accepted) - C(hbbs) accepts O(key).
      - V(key_enforced) - C(hbbs) refuses a key that differs in its last bytes, and an empty one.
      - V(relay_accepted) - C(hbbr) connects two clients that have O(key).
      - V(relay_enforced) - C(hbbr) closes connections with a key that differs in its last bytes, and with an empty one,
        and passes no byte between them.
      - V(relay_bytes) - 8 KiB of random bytes arrive unchanged in both directions through C(hbbr).
    type: list
    elements: str
    choices:
      - dns
      - nat_test
      - rendezvous_udp
      - rendezvous_tcp
      - key_accepted
      - key_enforced
      - relay_accepted
      - relay_enforced
      - relay_bytes
    default:
      - dns
      - nat_test
      - rendezvous_udp
      - rendezvous_tcp
      - key_accepted
      - key_enforced
      - relay_accepted
      - relay_enforced
      - relay_bytes
  timeout:
    description:
      - Seconds for each proof, 0.1 to 20.
    type: float
    default: 3.0
  report_only:
    description:
      - Never fail because of what was found; RV(passed) and RV(proofs) say it.
    type: bool
    default: false
attributes:
  check_mode:
    description: Runs the same in check mode, it changes nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
requirements:
  - Python 3.9 on the machine it runs on, nothing else
"""

EXAMPLES = r"""
- name: Prove the service from the controller
  rustdesk_probe:
    host: rustdesk.example.org
    key: "{{ rustdesk_public_key }}"
  delegate_to: localhost

- name: Prove the service with a relay of its own from an endpoint
  rustdesk_probe:
    host: rustdesk.example.org
    relay: relay.example.org:21117
    key: "{{ rustdesk_public_key }}"

- name: Find out what the network lets through, without a key
  rustdesk_probe:
    host: rustdesk.example.org
    proofs: [dns, nat_test, rendezvous_udp, rendezvous_tcp]
    timeout: 1.5
    report_only: true
  register: reachable

- name: Show what to do
  ansible.builtin.debug:
    msg: "{{ reachable.proofs | selectattr('state', 'eq', 'failed') | map(attribute='remedy') | unique }}"
"""

RETURN = r"""
passed:
  description: Whether at least one proof was given and none failed.
  returned: always
  type: bool
  sample: true
address:
  description: The address of C(hbbs) that was used, none when the name does not resolve.
  returned: always
  type: str
  sample: 192.0.2.10
relay_address:
  description: The address of C(hbbr) that was used, none when the name does not resolve.
  returned: always
  type: str
  sample: 192.0.2.10
proofs:
  description: One entry per proof, in the order in which the option lists them by default.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The proof.
      type: str
      sample: relay_enforced
    state:
      description: V(passed), V(failed) or V(skipped).
      type: str
      sample: failed
    latency_ms:
      description: Milliseconds until the proof was decided; none when it was skipped.
      type: float
      sample: 61.4
    detail:
      description: What was seen.
      type: str
      sample: hbbr connects two clients that have a wrong key
    cause:
      description:
        - Why it failed or was skipped, as a word that does not change between versions; empty when it passed.
        - One of V(name_unknown), V(name_timeout), V(name_loopback), V(refused), V(timeout), V(unreachable),
          V(udp_refused), V(udp_silent), V(no_answer), V(closed), V(hung_up), V(intercepted), V(foreign), V(unexpected),
          V(key_differs), V(key_not_checked), V(relay_key_refused), V(relay_open), V(relay_silent), V(relay_incomplete),
          V(relay_corrupt), V(no_key).
      type: str
      sample: relay_open
    remedy:
      description: What to do next; empty when it passed.
      type: str
      sample: >-
        Start hbbr with -k and the server's public key (or -k _ where it can read the key file) and restart it:
        until then it relays for everybody.
msg:
  description: The failed proofs with the first one's detail and remedy, or how many were given.
  returned: always
  type: str
  sample: RustDesk at rustdesk.example.org (192.0.2.10) passed 9 proofs
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.probe import probe
from ansible.module_utils.probe_terms import DEFAULT_PORT, PROOFS, ProbeArgumentError, Target

ARGUMENTS: dict[str, dict[str, Any]] = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": DEFAULT_PORT},
    "relay": {"type": "str"},
    # A public key needs no hiding. A private key pasted here by mistake does: Ansible would log it.
    "key": {"type": "str", "no_log": True},
    "proofs": {"type": "list", "elements": "str", "choices": list(PROOFS), "default": list(PROOFS)},
    "timeout": {"type": "float", "default": 3.0},
    "report_only": {"type": "bool", "default": False},
}


def main() -> None:
    """Probe and report; fail unless everything passed or only a report was wanted."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = module.params
    try:
        target = Target.parse(wanted["host"], wanted["port"], wanted["relay"], wanted["key"])
        report = probe(target, wanted["proofs"], wanted["timeout"])
    except ProbeArgumentError as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = {
        "passed": report.passed,
        "address": report.address,
        "relay_address": report.relay_address,
        "proofs": [asdict(proof) for proof in report.proofs],
    }
    if report.passed or wanted["report_only"]:
        module.exit_json(changed=False, msg=report.message, **result)
    module.fail_json(msg=report.message, changed=False, **result)


if __name__ == "__main__":
    main()
