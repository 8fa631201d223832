#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Install a release of rustdesk-server from its archive."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_release
short_description: Install a release of rustdesk-server from its archive
description:
  - Checks a release archive of rustdesk-server by its sha256 and its members, unpacks its programs below
    C(<install_dir>/<version>) and points C(<install_dir>/current) to them.
  - The new release takes its place in one step. An interrupted run leaves the old release working, and the next run
    finishes.
  - Programs that were changed after they had been installed are replaced.
options:
  archive:
    description: The release archive on the host. It may be missing when the release is installed already.
    type: path
    required: true
  version:
    description: Version of the release; names the directory.
    type: str
    required: true
  architecture:
    description: Architecture the archive is for.
    type: str
    required: true
    choices: [amd64, arm64, armv7, i386]
  sha256:
    description: Digest of the archive. Nothing of the archive is unpacked when it differs.
    type: str
    required: true
  install_dir:
    description: Directory that holds the releases. It must exist.
    type: path
    default: /opt/rustdesk-server
  keep:
    description: How many releases stay installed, the current one included.
    type: int
    default: 2
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Install the release
  rustdesk_release:
    archive: /root/rustdesk-server-linux-amd64.zip
    version: 1.1.16
    architecture: amd64
    sha256: 0565c41affe6c3f409b0bddfaf5a24ccbf3f64f5f8e3fec250b69a0d5f6bdbcf
"""

RETURN = r"""
reason:
  description: Why the release was, or would be, installed. Empty when it was there already.
  returned: always
  type: str
  sample: version 1.1.16 is not installed
removed:
  description: Versions that were, or would be, removed because newer ones are installed.
  returned: always
  type: list
  elements: str
  sample: [1.1.14]
"""

import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.release import (
    DIRECTORIES,
    Installed,
    ReleaseError,
    archive_fault,
    install,
    installed,
    remove,
    superseded,
)

VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]*\Z")
"""A version names a directory, so nothing in it may lead out of the installation directory."""


def provide(module: AnsibleModule) -> tuple[Installed, list[str]]:
    """Install the release where it is not; return what was there before, and the versions that went.

    Raises:
        ReleaseError: it cannot be installed.
        OSError: the installation directory cannot be read or written.
    """
    params = module.params
    archive, install_dir = Path(params["archive"]), Path(params["install_dir"])
    version, architecture, sha256 = params["version"], params["architecture"], params["sha256"]
    if not VERSION.match(version):
        raise ReleaseError(f"version '{version}' is not the name of a release")

    before = installed(install_dir, version, sha256)
    if before.fault and not module.check_mode:
        install(archive, install_dir, version, architecture, sha256)
    elif before.fault and archive.exists():
        fault = archive_fault(archive, architecture, sha256)
        if fault:
            raise ReleaseError(fault)

    removed = superseded(install_dir, version, params["keep"])
    if not module.check_mode:
        for release in removed:
            remove(release)
    return before, sorted(release.name for release in removed)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "archive": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "architecture": {"type": "str", "required": True, "choices": list(DIRECTORIES)},
            "sha256": {"type": "str", "required": True},
            "install_dir": {"type": "path", "default": "/opt/rustdesk-server"},
            "keep": {"type": "int", "default": 2},
        },
        supports_check_mode=True,
    )
    version = module.params["version"]
    try:
        before, removed = provide(module)
    except ReleaseError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or module.params['install_dir']}: {error.strerror or error}")
    module.exit_json(
        changed=bool(before.fault or removed),
        reason=before.fault,
        removed=removed,
        diff={
            "before": f"current: {before.version or 'none'}\n",
            "after": f"current: {version}\n",
        },
    )


if __name__ == "__main__":
    main()
