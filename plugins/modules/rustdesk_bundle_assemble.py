#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Name a release of the bundle by what it is, and put its files together."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_bundle_assemble
short_description: Name a release of the bundle by what it is, and put its files together
description:
  - The name is the client's version and the beginning of a digest over the archives and the page, so whatever changes
    of them makes another release.
  - Writes C(SHA256SUMS), and the page with the release's name in place of C(__RELEASE__), beside the archives. What an
    earlier build has left of its page is removed.
options:
  directory:
    description: Where the archives are, and the rest is put.
    type: path
    required: true
  version:
    description: Version of the client.
    type: str
    required: true
  archives:
    description: Names of the archives.
    type: list
    elements: str
    required: true
  page:
    description: The files of the page, by their names below its directory.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Put the release together
  rustdesk_bundle_assemble:
    directory: dist
    version: 1.4.9
    archives: [rustdesk-acme.zip]
    page:
      de/index.html: "{{ lookup('ansible.builtin.template', 'page/index.html.j2') }}"
"""

RETURN = r"""
release:
  description: Name of the release.
  returned: always
  type: str
  sample: 1.4.9-0f3a9c21
checksums:
  description: Digest of C(SHA256SUMS).
  returned: always
  type: str
  sample: 0565c41affe6c3f409b0bddfaf5a24ccbf3f64f5f8e3fec250b69a0d5f6bdbcf
"""

import hashlib
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.bundle_build import (
    CHECKSUMS,
    checksums,
    files_below,
    filled,
    release_name,
    write_if_other,
)
from ansible.module_utils.release import sha256_of

PAGE = "page"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "archives": {"type": "list", "elements": "str", "required": True},
            "page": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    page = {name: str(text).encode() for name, text in module.params["page"].items()}
    try:
        archives = {name: sha256_of(directory / name) for name in module.params["archives"]}
        digests = archives | {f"{PAGE}/{name}": hashlib.sha256(content).hexdigest() for name, content in page.items()}
        release = release_name(module.params["version"], digests)
        listing = checksums(archives, release).encode()
        wanted = {directory / CHECKSUMS: listing}
        wanted |= {directory / PAGE / name: filled(name, content, release) for name, content in page.items()}
        stale = [path for path in files_below(directory / PAGE).values() if path not in wanted]
        other = [path for path, content in wanted.items() if not path.is_file() or path.read_bytes() != content]
        if not module.check_mode:
            for path, content in wanted.items():
                write_if_other(path, content)
            for path in stale:
                path.unlink()
    except OSError as error:
        module.fail_json(msg=f"{error.filename or directory}: {error.strerror or error}")
    module.exit_json(changed=bool(stale or other), release=release, checksums=hashlib.sha256(listing).hexdigest())


if __name__ == "__main__":
    main()
