"""The two ways a call can end badly."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818  # what Windows or a module would answer, not a fault of this program
    """A module ends with ``failed``, and this is its message."""


class IllegalPathError(Refused):
    """A path that cannot be. Modules of the older kind say it in their own words."""


class Unhandled(Refused):
    """The same for an error that a module does not catch; the wrapper round modules words it so."""

    def __init__(self, message: str) -> None:
        super().__init__(f"Unhandled exception while executing module: {message}")


class NotModelledError(Exception):
    """Nothing is known about what Windows would do. Never answered with a guess."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The lab's stand-in for Windows does not model {what}.")
