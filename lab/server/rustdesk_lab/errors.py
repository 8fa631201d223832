"""Why a daemon ends."""

from __future__ import annotations


class DaemonError(Exception):
    """The daemon cannot start or go on: exit code 1, and the text (if any) on standard error in upstream's words."""


class MalformedKeyFileError(Exception):
    """The secret key file can be read but holds no key: exit code 1, and the text on standard output."""
