#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Download the published bundle as a customer does."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_bundle_check
short_description: Download the published bundle as a customer does
description:
  - Follows http to https, reads the page in both languages and its headers, fetches each archive whole and in part,
    compares it with what was built, and looks that nothing else is shown. The certificate is checked.
  - Fails with a sentence for each fault, and the way out.
options:
  url:
    description: The download URL.
    type: str
    required: true
  archives:
    description: The sha256 of each archive, by its name.
    type: dict
    required: true
  release:
    description: The release that has to be served.
    type: str
    required: true
  address:
    description: Address to connect to, instead of what the name resolves to.
    type: str
    default: ""
  certificates:
    description: Certificates that are trusted, in PEM form, instead of the system's.
    type: str
    default: ""
  http_port:
    description: The port that redirects.
    type: int
    default: 80
  hsts:
    description: Whether browsers are to be told to insist on TLS.
    type: bool
    default: true
  timeout:
    description: Seconds for each step of a request.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Download it as a customer does
  rustdesk_bundle_check:
    url: https://dl.example.org/rd
    release: 1.4.9-0f3a9c21
    archives:
      rustdesk-acme.zip: 0565c41affe6c3f409b0bddfaf5a24ccbf3f64f5f8e3fec250b69a0d5f6bdbcf
"""

RETURN = r"""
passed:
  description: Names of the checks that passed.
  returned: always
  type: list
  elements: str
  sample: [redirect, page de, page en, checksums, rustdesk-acme.zip, closed]
faults:
  description: A sentence for each fault.
  returned: always
  type: list
  elements: str
"""

import ssl

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.bundle_download import Site, prove


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "archives": {"type": "dict", "required": True},
            "release": {"type": "str", "required": True},
            "address": {"type": "str", "default": ""},
            "certificates": {"type": "str", "default": ""},
            "http_port": {"type": "int", "default": 80},
            "hsts": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    params = module.params
    own = {name: params[name] for name in ("url", "address", "certificates", "http_port", "hsts", "timeout")}
    try:
        report = prove(Site(**own), params["archives"], params["release"])
    except ssl.SSLError:
        module.fail_json(msg="certificates: they are not in PEM form; give what openssl x509 writes")
    sentences = sorted({fault.sentence for fault in report.faults})
    if sentences:
        checks = ", ".join(dict.fromkeys(fault.check for fault in report.faults))
        lines = [f"{params['url']} is not as it has to be ({checks}).", *(f"- {sentence}" for sentence in sentences)]
        module.fail_json(msg="\n".join(lines), passed=report.passed, faults=sentences)
    module.exit_json(changed=False, passed=report.passed, faults=[])


if __name__ == "__main__":
    main()
