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
  - Without O(private_key) a pair is generated on the host when there is none. The public key has neither C(/) nor C(:), as
    upstream makes its own, because it can become part of a Windows file name.
  - An existing key is never overwritten without O(rotate). The pair that a rotation replaces is kept beside it as
    C(id_ed25519.previous) and C(id_ed25519.pub.previous).
  - A missing or wrong C(id_ed25519.pub) beside a good C(id_ed25519) is written anew.
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
  description: Fingerprint of the public key.
  returned: always
  type: str
action:
  description: What was, or would be, done to the key.
  returned: always
  type: str
  sample: generated
"""

import grp
import os
import pwd
import secrets
import tempfile
from pathlib import Path
from typing import Optional

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ed25519 import KeyFormatError, KeyPair
from ansible.module_utils.key_files import PRIVATE_FILE, PUBLIC_FILE, KeyState, inspect

MODES = {PRIVATE_FILE: "0600", PUBLIC_FILE: "0644"}


class Refusal(Exception):
    """The key cannot be provided as asked; the text is one sentence for the operator."""


def given_pair(text: str) -> Optional[KeyPair]:
    """Return the pair of a given private key, None when none was given."""
    if not text.strip():
        return None
    try:
        return KeyPair.parse(text)
    except KeyFormatError as error:
        raise Refusal(f"private_key cannot be used: {error}") from None


def decide(now: KeyState, given: Optional[KeyPair], rotate: bool) -> str:
    """Return what is to be done: ``kept``, ``completed``, ``imported``, ``generated`` or ``rotated``."""
    if now.state == "absent":
        return "imported" if given else "generated"
    if now.state == "valid" and (given.public_text == now.public_key if given else not rotate):
        return "kept" if now.public_file_fits else "completed"
    if now.state == "public_only" and given and given.public_text == now.public_key:
        return "imported"
    if rotate:
        return "rotated"
    if now.state == "valid" and given:
        raise Refusal(
            f"the host has the key {now.fingerprint}, but {given.fingerprint} is given; remove private_key to keep the host's key, "
            "or set rotate once to replace it and then configure every client anew"
        )
    raise Refusal(f"{now.detail}; restore the key from a backup, or set rotate once to replace it")


def write(module: AnsibleModule, path: Path, text: str) -> None:
    """Write a file in one step; it never exists with a wider mode than its own."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        own(module, Path(name), MODES[path.name])
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def own(module: AnsibleModule, path: Path, mode: str) -> bool:
    """Set owner, group and mode; return whether anything had to be changed."""
    arguments = {
        "path": str(path),
        "owner": module.params["owner"],
        "group": module.params["group"],
        "mode": mode,
        "secontext": [None, None, None],
        "attributes": None,
    }
    return bool(module.set_fs_attributes_if_different(arguments, False))


def own_both(module: AnsibleModule, directory: Path) -> bool:
    """Set owner, group and mode of both files; return whether anything had to be changed."""
    return any([own(module, directory / name, mode) for name, mode in MODES.items()])


def owner_known(module: AnsibleModule) -> bool:
    """Tell whether owner and group exist; in check mode they may still have to be created."""
    try:
        pwd.getpwnam(module.params["owner"])
        grp.getgrnam(module.params["group"])
    except KeyError:
        return False
    return True


def apply(module: AnsibleModule, action: str, directory: Path, given: Optional[KeyPair]) -> KeyPair:
    """Carry out what was decided, and return the pair that is there then."""
    if action in ("kept", "completed"):
        pair = KeyPair.parse((directory / PRIVATE_FILE).read_text(encoding="ascii"))
    else:
        pair = given or KeyPair.generate(secrets.token_bytes)
    if action == "rotated":
        for name in (PRIVATE_FILE, PUBLIC_FILE):
            previous = directory / f"{name}.previous"
            if (directory / name).exists():
                previous.unlink(missing_ok=True)
                os.link(directory / name, previous)
    if action in ("imported", "generated", "rotated"):
        write(module, directory / PRIVATE_FILE, pair.private_text)
    if action != "kept":
        write(module, directory / PUBLIC_FILE, pair.public_text)
    return pair


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
    now = inspect(directory)
    expected = module.params["public_key"].strip()
    try:
        given = given_pair(module.params["private_key"])
        action = decide(now, given, module.params["rotate"])
        public = now.public_key if action in ("kept", "completed") else given.public_text if given else ""
        if expected and expected != public:
            raise Refusal(
                f"public_key is {expected}, but the host {'would have' if public else 'would generate'} {public or 'another one'}; "
                "give the private key that belongs to public_key, or leave public_key empty"
            )
        if module.check_mode:
            pair = given
            changed = action != "kept" or not owner_known(module) or own_both(module, directory)
        else:
            pair = apply(module, action, directory, given)
            changed = own_both(module, directory) or action != "kept"
    except Refusal as refusal:
        module.fail_json(msg=str(refusal))
    except OSError as error:
        module.fail_json(
            msg=f"the key in {directory} cannot be written ({error.strerror}); nothing of the old key is lost"
        )
    fingerprint = pair.fingerprint if pair else now.fingerprint if action == "kept" else ""
    module.exit_json(
        changed=changed,
        action=action,
        public_key=pair.public_text if pair else public,
        fingerprint=fingerprint,
        diff={
            "before": f"key: {now.fingerprint or now.state}\n",
            "after": f"key: {fingerprint or 'generated on the host'}\n",
        },
    )


if __name__ == "__main__":
    main()
