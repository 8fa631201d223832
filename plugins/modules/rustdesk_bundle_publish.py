#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Publish a release of the bundle, or one that was published before."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_bundle_publish
short_description: Publish a release of the bundle, or one that was published before
description:
  - Unpacks a release beside those that are published, compares each of its files with its manifest and its
    C(SHA256SUMS), and then serves it. Whoever downloads meanwhile gets either the one or the other, whole.
  - Without O(archive), serves a release that is still there.
  - An interrupted run leaves what was served before, and the next run finishes.
options:
  root:
    description: The web root, with C(releases) and the link C(current). It must exist.
    type: path
    required: true
  release:
    description: Name of the release.
    type: str
    required: true
  archive:
    description: The tar of the release on the host. Empty serves a release that is there.
    type: path
  sha256:
    description: Digest of the archive. Nothing is unpacked when it differs.
    type: str
    default: ""
  manifest:
    description: Digest of the manifest in it.
    type: str
    default: ""
  keep:
    description: How many releases stay, the one that is served included. Those go that were served the longest ago.
    type: int
    default: 3
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Go back to an earlier release
  rustdesk_bundle_publish:
    root: /srv/rustdesk-bundle
    release: 1.4.9-0f3a9c21
"""

RETURN = r"""
reason:
  description: Why something was, or would be, published. Empty when it was served already.
  returned: always
  type: str
  sample: 1.4.9-0f3a9c21 was served
removed:
  description: Releases that were, or would be, removed because others were served later.
  returned: always
  type: list
  elements: str
  sample: [1.4.8-77aa0e10]
"""

import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.bundle_release import (
    RELEASES,
    BundleError,
    Published,
    bring,
    finish,
    leftovers,
    manifest_digest,
    published,
    release_fault,
    remove,
    serve,
    superseded,
)


def missing(root: Path, release: str, manifest: str) -> str:
    """Say why a release has to be brought to the host, or return ""."""
    directory = root / RELEASES / release
    if not directory.is_dir():
        return f"{release} is new"
    if manifest and manifest_digest(directory) != manifest:
        return f"{release} was built anew"
    return release_fault(directory)


def publish(module: AnsibleModule) -> tuple[Published, str, list[str]]:
    """Serve the release; return what was there before, why that was not enough, and the releases that went.

    Raises:
        BundleError: it cannot be published.
        OSError: the file system refuses.
    """
    params = module.params
    root, release = Path(params["root"]), params["release"]
    before = published(root)
    reason = before.fault
    lacking = missing(root, release, params["manifest"])
    if lacking and not params["archive"]:
        raise BundleError(f"{lacking}, and no archive of it is given; there are {', '.join(before.releases) or 'none'}")
    if not reason and before.current != release:
        reason = f"{before.current} was served"
    reason = lacking or reason
    if reason and not module.check_mode:
        if lacking:
            bring(root, Path(params["archive"]), params["sha256"], release, params["manifest"])
        serve(root, release)
    removed = superseded(root, release, before.current, params["keep"])
    if not module.check_mode:
        for name in removed:
            remove(root, name)
        for path in leftovers(root):
            shutil.rmtree(path)
        finish(root)
    return before, reason, removed


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "archive": {"type": "path"},
            "sha256": {"type": "str", "default": ""},
            "manifest": {"type": "str", "default": ""},
            "keep": {"type": "int", "default": 3},
        },
        supports_check_mode=True,
    )
    try:
        before, reason, removed = publish(module)
    except BundleError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename or module.params['root']}: {error.strerror or error}")
    module.exit_json(
        changed=bool(reason or removed),
        reason=reason,
        removed=removed,
        diff={
            "before": f"served: {before.current or 'nothing'}\n",
            "after": f"served: {module.params['release']}\n",
        },
    )


if __name__ == "__main__":
    main()
