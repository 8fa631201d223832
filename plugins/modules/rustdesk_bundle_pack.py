#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Pack a release of the bundle, with its manifest, for the way to a host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_bundle_pack
short_description: Pack a release of the bundle, with its manifest, for the way to a host
description:
  - Writes a tar with the archives, their checksums, the page, and C(MANIFEST) with the digest of each of these files.
    It is the same whenever it is made from the same files.
options:
  directory:
    description: Where the release was put together.
    type: path
    required: true
  files:
    description: Names of its files beside the page.
    type: list
    elements: str
    required: true
  path:
    description: The tar.
    type: path
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
- name: Pack the release
  rustdesk_bundle_pack:
    directory: dist
    files: [rustdesk-acme.zip, SHA256SUMS]
    path: dist/work/release.tar
"""

RETURN = r"""
sha256:
  description: Digest of the tar.
  returned: always
  type: str
  sample: 0565c41affe6c3f409b0bddfaf5a24ccbf3f64f5f8e3fec250b69a0d5f6bdbcf
manifest:
  description: Digest of the manifest.
  returned: always
  type: str
  sample: 6a4ae3c5ca257a4278ded72fd17eb2ca4eeb0356a5425e63a3e7fcb0ec6c155c
"""

import hashlib
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.bundle_build import MANIFEST, files_below, listed, packed, write_if_other

PAGE = "page"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "str", "required": True},
            "path": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    directory, path = Path(module.params["directory"]), Path(module.params["path"])
    try:
        files = {name: (directory / name).read_bytes() for name in module.params["files"]}
        files |= {f"{PAGE}/{name}": file.read_bytes() for name, file in files_below(directory / PAGE).items()}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        manifest = listed(digests).encode()
        tar = packed(files | {MANIFEST: manifest})
        changed = not path.is_file() or path.read_bytes() != tar
        if not module.check_mode:
            write_if_other(path, tar)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or directory}: {error.strerror or error}")
    module.exit_json(
        changed=changed, sha256=hashlib.sha256(tar).hexdigest(), manifest=hashlib.sha256(manifest).hexdigest()
    )


if __name__ == "__main__":
    main()
