#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Remove every release of the bundle, and nothing else."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_bundle_purge
short_description: Remove every release of the bundle, and nothing else
description:
  - Removes the releases, the link to the one that is served, and what a publication was interrupted with. The
    directories go when nothing is left in them.
options:
  root:
    description: The web root.
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
- name: Remove the releases
  rustdesk_bundle_purge:
    root: /srv/rustdesk-bundle
"""

RETURN = r"""
removed:
  description: What was, or would be, removed.
  returned: success
  type: list
  elements: str
  sample: [/srv/rustdesk-bundle/releases/1.4.9-0f3a9c21]
kept:
  description: What is in the web root and is not the role's.
  returned: success
  type: list
  elements: str
"""

import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.bundle_release import CURRENT, INCOMING, RELEASE, RELEASES, STAGING


def own(root: Path) -> list[Path]:
    """Return what the role has put below a web root."""
    releases, link = root / RELEASES, root / CURRENT
    found = [path for path in (root / STAGING, root / INCOMING) if path.is_dir() and not path.is_symlink()]
    if link.is_symlink() and RELEASE.match(link.readlink().name):
        found.append(link)
    if releases.is_dir() and not releases.is_symlink():
        found += [path for path in sorted(releases.iterdir()) if RELEASE.match(path.name) and not path.is_symlink()]
    return found


def others(root: Path, gone: list[Path]) -> list[Path]:
    """Return what stays in the web root."""
    there = sorted(root.iterdir()) if root.is_dir() else []
    releases = root / RELEASES
    if releases in there and releases.is_dir() and not releases.is_symlink():
        there.remove(releases)
        there += sorted(releases.iterdir())
    return [path for path in there if path not in gone]


def emptied(root: Path, kept: list[Path]) -> list[Path]:
    """Return the directories that have nothing in them then."""
    there = [path for path in (root / RELEASES, root) if path.is_dir() and not path.is_symlink()]
    return [path for path in there if not any(path in one.parents for one in kept)]


def purge(paths: list[Path], directories: list[Path]) -> None:
    """Remove these paths, and then these directories."""
    # Nothing is served any more before it goes.
    for path in sorted(paths, key=lambda path: not path.is_symlink()):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)
    for directory in directories:
        directory.rmdir()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"root": {"type": "path", "required": True}}, supports_check_mode=True)
    root = Path(module.params["root"])
    try:
        paths = own(root)
        kept = others(root, paths)
        directories = emptied(root, kept)
        if not module.check_mode:
            purge(paths, directories)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or root}: {error.strerror or error}")
    module.exit_json(
        changed=bool(paths or directories), removed=[str(path) for path in paths], kept=[str(one) for one in kept]
    )


if __name__ == "__main__":
    main()
