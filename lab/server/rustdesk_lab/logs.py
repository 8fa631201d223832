"""Log lines in upstream's form, on standard output: ``[time] LEVEL [file:line] text``."""

from __future__ import annotations

import datetime as dt
import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACE = 5
_LEVELS = {
    "off": logging.CRITICAL + 1,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}


class _UpstreamFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = dt.datetime.fromtimestamp(record.created).astimezone()
        stamp = moment.strftime("%Y-%m-%d %H:%M:%S.%f")
        offset = moment.strftime("%z")
        return (
            f"[{stamp} {offset[:3]}:{offset[3:5]}] {record.levelname} "
            f"[src/{record.filename}:{record.lineno}] {record.getMessage()}"
        )


def level_of(specification: str | None, program: str) -> int:
    """Read ``RUST_LOG``: comma-separated levels, ``level`` for everything or ``program=level``; unset means info.

    As upstream does, take a text of another form for unset, and log nothing when nothing concerns the program.
    """
    if specification is None:
        return logging.INFO
    general = own = None
    for part in filter(None, (part.strip() for part in specification.split(","))):
        name, separator, level = part.lower().partition("=")
        if separator and level not in _LEVELS:
            return logging.INFO
        if separator and name == program:
            own = _LEVELS[level]
        elif name in _LEVELS and not separator:
            general = _LEVELS[name]
    chosen = general if own is None else own
    return _LEVELS["off"] if chosen is None else chosen


def start_logging(program: str, environ: Mapping[str, str]) -> None:
    """Log to standard output at the level that ``RUST_LOG`` in the process environment names for a program."""
    logging.addLevelName(logging.WARNING, "WARN")
    logging.addLevelName(TRACE, "TRACE")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_UpstreamFormatter())
    root = logging.getLogger("rustdesk_lab")
    root.handlers = [handler]
    root.propagate = False
    root.setLevel(level_of(environ.get("RUST_LOG"), program))
