#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Write a zip that is the same whenever it is made from the same files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_bundle_archive
short_description: Write a zip that is the same whenever it is made from the same files
description:
  - The order, time, mode and compression of its members are fixed, so its digest says nothing but what is in it.
  - Refuses a program that is not the one that was meant.
options:
  path:
    description: The zip.
    type: path
    required: true
  files:
    description: Its members.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name in the zip, with C(/) between directories.
        type: str
        required: true
      source:
        description: File that holds it.
        type: path
      content:
        description: >-
          Text that is it, instead of O(files[].source). It is written as Notepad reads it, UTF-8 with a mark and CRLF.
        type: str
      sha256:
        description: Digest that the file must have.
        type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Write the bundle
  rustdesk_bundle_archive:
    path: dist/rustdesk-acme.zip
    files:
      - name: rustdesk.exe
        source: dist/rustdesk-1.4.9-x86_64.exe
        sha256: eaedeb0088e687bf46f7c46a9c6ea5493ce51f3134dfd6acbedb47b5b9136274
      - name: README.txt
        content: Start rustdesk-acme.exe.
"""

RETURN = r"""
sha256:
  description: Digest of the zip.
  returned: always
  type: str
  sample: 0565c41affe6c3f409b0bddfaf5a24ccbf3f64f5f8e3fec250b69a0d5f6bdbcf
size:
  description: Its bytes.
  returned: always
  type: int
  sample: 26214400
"""

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.bundle_build import for_notepad, write_if_other, zipped


class MemberError(Exception):
    """A member cannot be what was asked for; the text is one sentence for the operator."""


def content_of(member: dict[str, Any]) -> bytes:
    """Return what a member holds.

    Raises:
        MemberError: it is not what it has to be.
        OSError: its file cannot be read.
    """
    name = str(member["name"])
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or str(parts) != name or "\\" in name:
        raise MemberError(f"'{name}' is no name for a member; give one below the archive, with / between directories")
    if (member["source"] is None) == (member["content"] is None):
        raise MemberError(f"{name}: give either source or content")
    content = for_notepad(member["content"]) if member["source"] is None else Path(member["source"]).read_bytes()
    found, wanted = hashlib.sha256(content).hexdigest(), member["sha256"]
    if wanted and found != wanted.lower():
        raise MemberError(f"{member['source']} has the sha256 {found}, but {name} has to have {wanted.lower()}")
    return content


def members_of(files: list[dict[str, Any]]) -> dict[str, bytes]:
    """Return what each member holds, by its name.

    Raises:
        MemberError: a member cannot be what was asked for.
        OSError: its file cannot be read.
    """
    members = {str(member["name"]): content_of(member) for member in files}
    if len(members) != len(files):
        raise MemberError("two members have one name; give each its own")
    return members


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "source": {"type": "path"},
                    "content": {"type": "str"},
                    "sha256": {"type": "str"},
                },
            },
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    try:
        members = members_of(module.params["files"])
        archive = zipped(members)
        changed = not path.is_file() or path.read_bytes() != archive
        if not module.check_mode:
            write_if_other(path, archive)
    except MemberError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or path}: {error.strerror or error}")
    module.exit_json(changed=changed, sha256=hashlib.sha256(archive).hexdigest(), size=len(archive))


if __name__ == "__main__":
    main()
