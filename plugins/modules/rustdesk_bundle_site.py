#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Write a file of nginx's configuration, and take it back when nginx refuses it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_bundle_site
short_description: Write a file of nginx's configuration, and take it back when nginx refuses it
description:
  - Writes the file and has nginx test the whole of its configuration with it. When the test fails, what was there
    before is put back. The running nginx is not touched; reload it when the file has changed.
  - A configuration that nginx refuses already is left as it is, and said to be at fault.
options:
  path:
    description: The file.
    type: path
    required: true
  content:
    description: What it holds.
    type: str
    default: ""
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    details: In check mode nginx tests nothing.
  diff_mode:
    support: full
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Describe the site
  rustdesk_bundle_site:
    path: /etc/nginx/sites-enabled/zz-rustdesk-bundle.conf
    content: "{{ lookup('ansible.builtin.template', 'site.conf.j2') }}"
"""

RETURN = r"""
"""

import contextlib
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

MODE = 0o644


def put(path: Path, content: bytes) -> None:
    """Give a file its content in one step."""
    # A name that no include takes in, be it of *.conf or of *: that is for no name with a dot in front.
    fresh = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with fresh.open("xb") as stream:
        os.fchmod(stream.fileno(), MODE)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


def restore(path: Path, before: bytes | None) -> None:
    """Put back what was there."""
    if before is None:
        path.unlink(missing_ok=True)
    else:
        put(path, before)


def refusal(module: AnsibleModule) -> str:
    """Have nginx test its configuration; return what it says against it, or ""."""
    nginx = module.get_bin_path("nginx", required=True, opt_dirs=["/usr/sbin"])
    code, _out, err = module.run_command([str(nginx), "-t", "-q"])
    return "; ".join(line.strip() for line in err.splitlines() if line.strip()) or "it does not say why" if code else ""


def apply(module: AnsibleModule, path: Path, before: bytes | None, after: bytes | None) -> None:
    """Bring the file to its new form, or fail with the old one in place."""
    restore(path, after)
    said = refusal(module)
    if not said:
        return
    restore(path, before)
    earlier = refusal(module)
    if earlier:
        module.fail_json(
            msg=f"nginx refuses its configuration with the new {path} ({said}), and with what was there before as well "
            f"({earlier}); mend that first (nginx -t)"
        )
    module.fail_json(msg=f"nginx refuses {path}, so it was taken back and nginx runs as before: {said}")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    after = module.params["content"].encode() if module.params["state"] == "present" else None
    try:
        before = path.read_bytes() if path.exists() else None
        changed = before != after
        if changed and not module.check_mode:
            apply(module, path, before, after)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or path}: {error.strerror or error}")
    module.exit_json(
        changed=changed,
        diff={
            "before_header": str(path),
            "after_header": str(path),
            "before": (before or b"").decode(errors="replace"),
            "after": (after or b"").decode(errors="replace"),
        },
    )


if __name__ == "__main__":
    main()
