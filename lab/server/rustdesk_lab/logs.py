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


def level_of(specification: str) -> int:
    """Read ``RUST_LOG``: the general level among its comma-separated parts; parts for single modules are ignored."""
    if not specification:
        return logging.INFO
    general = [part.strip().lower() for part in specification.split(",") if "=" not in part]
    named = [_LEVELS[part] for part in general if part in _LEVELS]
    return named[-1] if named else _LEVELS["off"]


def start_logging(environ: Mapping[str, str]) -> None:
    """Log to standard output at the level that ``RUST_LOG`` in the process environment names (default info)."""
    logging.addLevelName(logging.WARNING, "WARN")
    logging.addLevelName(TRACE, "TRACE")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_UpstreamFormatter())
    root = logging.getLogger("rustdesk_lab")
    root.handlers = [handler]
    root.propagate = False
    root.setLevel(level_of(environ.get("RUST_LOG", "")))
