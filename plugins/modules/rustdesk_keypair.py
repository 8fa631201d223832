#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Keep the key pair of a rustdesk-server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_keypair
short_description: Keep the key pair of a rustdesk-server
description:
  - Provides C(id_ed25519) (mode 0600) and C(id_ed25519.pub) in the working directory of hbbs and hbbr.
  - Without O(private_key) a pair is generated on the host when there is none. The public key has neither C(/) nor C(:),
    as upstream makes its own, because it can become part of a Windows file name.
  - An existing key is never overwritten without O(rotate). The pair that a rotation replaces is kept beside it as
    C(id_ed25519.previous) and C(id_ed25519.pub.previous).
  - A missing or wrong C(id_ed25519.pub) beside a good C(id_ed25519) is written anew, and so is a file with another
    owner or mode. What the directory holds is never followed as a link, nor changed in place.
options:
  path:
    description: The working directory of the daemons. It must exist, except in check mode.
    type: path
    required: true
  private_key:
    description:
      - Content of C(id_ed25519) that the host is to have. Empty means to keep, or generate, the host's own.
    type: str
    default: ""
  public_key:
    description:
      - Public key that the pair must have. A pair with another one is refused.
    type: str
    default: ""
  rotate:
    description: Allows an existing key to be replaced, by O(private_key) or, without one, by a generated key.
    type: bool
    default: false
  owner:
    description: Owner of the files.
    type: str
    required: true
  group:
    description: Group of the files.
    type: str
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The diff shows fingerprints, never a key's secret.
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Make sure that the host has a key
  rustdesk_keypair:
    path: /var/lib/rustdesk-server
    owner: rustdesk-server
    group: rustdesk-server
  register: __keypair

- name: Give the host the key that clients know
  rustdesk_keypair:
    path: /var/lib/rustdesk-server
    private_key: "{{ vaulted_private_key }}"
    owner: rustdesk-server
    group: rustdesk-server
  no_log: true
"""

RETURN = r"""
public_key:
  description: The public key; empty in check mode when a key would be generated.
  returned: always
  type: str
  sample: P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA=
fingerprint:
  description: Fingerprint of the public key; empty in check mode when a key would be generated.
  returned: always
  type: str
action:
  description:
    - What was, or would be, done to the key. V(kept) changed nothing, V(completed) wrote a file of the same key anew,
      V(imported) and V(generated) provided the first key, V(rotated) replaced one.
  returned: always
  type: str
  sample: generated
"""

import grp
import pwd
import secrets
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ed25519 import KeyFormatError, KeyPair, parse_public
from ansible.module_utils.key_files import (
    PRIVATE_FILE,
    PUBLIC_FILE,
    Attributes,
    KeyFileError,
    KeyState,
    inspect,
    is_as_wanted,
    keep_previous,
    read,
    write,
)

MODES = {PRIVATE_FILE: 0o600, PUBLIC_FILE: 0o644}


class RefusalError(Exception):
    """The key cannot be provided as asked; the text is one sentence for the operator."""


@dataclass(frozen=True)
class Plan:
    """What is to be done: see the module's `action`; `pair` is None when it is still to be generated."""

    action: str
    pair: KeyPair | None


def given_pair(text: str) -> KeyPair | None:
    """Return the pair of a given private key, None when none was given.

    Raises:
        RefusalError: it is no private key.
    """
    if not text:
        return None
    try:
        return KeyPair.parse(text)
    except KeyFormatError as error:
        raise RefusalError(f"private_key cannot be used: {error}") from None


def decide(now: KeyState, given: KeyPair | None, *, rotate: bool) -> str:
    """Return `kept`, `imported`, `generated` or `rotated`.

    Raises:
        RefusalError: a key is there that must not be replaced, or cannot be used.
    """
    if now.state == "absent":
        return "imported" if given else "generated"
    if now.state == "valid" and (given.public_text == now.public_key if given else not rotate):
        return "kept"
    if now.state == "public_only" and given and given.public_text == now.public_key:
        return "imported"
    if rotate:
        return "rotated"
    if now.state == "valid" and given:
        raise RefusalError(
            f"the host has the key {now.fingerprint}, but {given.fingerprint} is given; remove private_key to keep the "
            "host's key, or set rotate once to replace it and then configure every client anew"
        )
    raise RefusalError(f"{now.detail}; restore the key from a backup, or set rotate once to replace it")


def expect(public_key: str, plan: Plan) -> None:
    """Refuse a pair that is not the one clients are configured for.

    Raises:
        RefusalError: the plan ends with another public key, or it is none.
    """
    if not public_key or (plan.pair and plan.pair.public_text == public_key):
        return
    try:
        parse_public(public_key)
    except KeyFormatError as error:
        raise RefusalError(f"public_key cannot be used: {error}") from None
    outcome = f"would have {plan.pair.public_text}" if plan.pair else "would generate another one"
    raise RefusalError(
        f"public_key is {public_key}, but the host {outcome}; "
        "give the private key that belongs to public_key, or leave public_key empty"
    )


def attributes_of(owner: str, group: str) -> dict[str, Attributes] | None:
    """Return what each file must have, None when the host lacks the owner or the group."""
    try:
        uid, gid = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError:
        return None
    return {name: Attributes(uid, gid, mode) for name, mode in MODES.items()}


def texts(pair: KeyPair) -> dict[str, str]:
    """Return what each file must hold."""
    return {PRIVATE_FILE: pair.private_text, PUBLIC_FILE: pair.public_text}


def make_plan(module: AnsibleModule, directory: Path, now: KeyState) -> Plan:
    """Find out what is to be done.

    Raises:
        RefusalError: what is asked cannot be done.
        KeyFileError: the key was taken away while it was looked at.
    """
    given = given_pair(module.params["private_key"])
    action = decide(now, given, rotate=module.params["rotate"])
    plan = Plan(action, KeyPair.parse(read(directory / PRIVATE_FILE) or "") if action == "kept" else given)
    expect(module.params["public_key"].strip(), plan)
    attributes = attributes_of(module.params["owner"], module.params["group"])
    if not attributes and not module.check_mode:
        raise RefusalError(
            f"the host has no user {module.params['owner']} with a group {module.params['group']}; create them first"
        )
    if action == "kept" and plan.pair:
        wanted = texts(plan.pair)
        if not attributes or not all(is_as_wanted(directory / name, wanted[name], attributes[name]) for name in wanted):
            return Plan("completed", plan.pair)
    return plan


def carry_out(module: AnsibleModule, directory: Path, now: KeyState, plan: Plan) -> Plan:
    """Do what was planned, and return the plan with the pair that is there then.

    Raises:
        OSError: the file system refused.
    """
    pair = plan.pair or KeyPair.generate(secrets.token_bytes)
    attributes = attributes_of(module.params["owner"], module.params["group"])
    if not attributes:
        return plan
    names = [PRIVATE_FILE, PUBLIC_FILE]
    if plan.action == "rotated":
        # The private key last: should this be interrupted, the pair to be kept is still the one that clients know.
        names.reverse()
        keep_previous(directory, now)
    wanted = texts(pair)
    for name in names:
        if not is_as_wanted(directory / name, wanted[name], attributes[name]):
            write(directory / name, wanted[name], attributes[name])
    return Plan(plan.action, pair)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "private_key": {"type": "str", "default": "", "no_log": True},
            "public_key": {"type": "str", "default": ""},
            "rotate": {"type": "bool", "default": False},
            "owner": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["path"])
    try:
        now = inspect(directory)
        plan = make_plan(module, directory, now)
        if plan.action != "kept" and not module.check_mode:
            plan = carry_out(module, directory, now, plan)
    except (RefusalError, KeyFileError, KeyFormatError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"the key in {directory} cannot be written ({error.strerror or error}); nothing of the old key is lost"
        )
    fingerprint = plan.pair.fingerprint if plan.pair else ""
    module.exit_json(
        changed=plan.action != "kept",
        action=plan.action,
        public_key=plan.pair.public_text if plan.pair else "",
        fingerprint=fingerprint,
        diff={
            "before": f"key: {now.fingerprint or now.state}\n",
            "after": f"key: {fingerprint or 'generated on the host'}\n",
        },
    )


if __name__ == "__main__":
    main()
