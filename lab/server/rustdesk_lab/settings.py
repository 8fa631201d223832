"""Where the daemons' settings come from: command line, ``-c`` file, ``.env`` and environment, as in 1.1.16."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from . import VERSION
from .errors import DaemonError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RENDEZVOUS_PORT = 21116
RELAY_PORT = 21117
MEBI = 1024 * 1024

_ESCAPES = {"0": "\0", "a": "\a", "b": "\b", "t": "\t", "r": "\r", "n": "\n", "\n": ""}
_PAIR = re.compile(
    r"""(?P<key>(?:\\.|[^\\=:])+?) [=:] [^\S\r\n]*
        (?: "(?P<double>(?:\\.|[^\\"])*)" | '(?P<single>(?:\\.|[^\\'])*)' )?
        (?P<bare>(?:\\.|[^\\\r\n])*)""",
    re.VERBOSE | re.DOTALL,
)


# --- files -------------------------------------------------------------------------------------------------------


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        return _ESCAPES.get(match[1], match[1])

    return re.sub(r"\\(.)", one, text, flags=re.DOTALL)


def parse_ini(text: str) -> dict[str, str]:
    """Read the pairs before the first ``[section]`` of an INI text.

    Pairs are ``key = value`` or ``key: value``, values may be quoted, backslashes escape, comments start a line.
    Raises ValueError when the text is not of that form (upstream then ignores the whole file).
    """
    pairs: dict[str, str] = {}
    position = 0
    while True:
        position += len(text[position:]) - len(text[position:].lstrip())
        rest = text[position : position + 1]
        if not rest or rest == "[":
            return pairs
        if rest in "#;":
            if position and text[position - 1] != "\n":
                raise ValueError("a comment must start its line")
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            continue
        match = _PAIR.match(text, position)
        if match is None:
            raise ValueError("neither a comment nor a pair")
        quoted = match["double"] if match["double"] is not None else match["single"] or ""
        pairs[_unescape(match["key"]).strip()] = _unescape(quoted + match["bare"]).strip()
        position = match.end()


def load_ini(path: Path) -> dict[str, str]:
    """Read a settings file; a missing or malformed one counts as empty, without a word, as in upstream."""
    try:
        return parse_ini(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


# --- numbers as Rust reads them ----------------------------------------------------------------------------------


def parse_integer(text: str) -> int | None:
    """Read a decimal integer (sign allowed, no blanks); None when it is not one."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else None


def parse_decimal(text: str) -> float | None:
    """Read a decimal number; None when it is not one."""
    return float(text) if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text) else None


# --- hbbs --------------------------------------------------------------------------------------------------------


def argument_name(name: str) -> str:
    """Spell an option as hbbs's environment variable: upper case with dashes."""
    return name.upper().replace("_", "-")


def hbbs_environment(
    arguments: Mapping[str, str], environ: Mapping[str, str], directory: Path = Path()
) -> dict[str, str]:
    """Merge hbbs's sources, the strongest last: environment, ``.env``, the ``--config`` file, command line.

    Names from files are spelt with dashes here. That is why 1.1.16 never finds ``ALWAYS_USE_RELAY``, ``DB_URL``
    and ``TEST_HBBS`` in a file, and ``RELAY_SERVERS`` not in the environment.
    """
    merged = dict(environ)
    sources: list[Mapping[str, str]] = [load_ini(directory / ".env")]
    if "config" in arguments:
        sources.append(load_ini(directory / arguments["config"]))
    sources.append(arguments)
    for source in sources:
        merged.update({argument_name(name): value for name, value in source.items()})
    return merged


@dataclass(frozen=True)
class HbbsSettings:
    """What hbbs runs with."""

    port: int = RENDEZVOUS_PORT
    """As given: the sockets use its low 16 bits, like upstream's."""
    key: str = "-"
    relay_servers: str = ""
    rendezvous_servers: str = ""
    serial: int = 0
    receive_buffer: int = 0
    """SO_RCVBUF of the UDP socket in bytes; 0 leaves the system's."""
    mask: str = ""
    local_ip: str | None = None
    always_use_relay: bool = False
    test_address: str = ""
    """Where the self-test sends to: empty = the own listener, ``no`` = no self-test."""
    database: str = "./db_v2.sqlite3"

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> HbbsSettings:
        """Read the merged environment; raise DaemonError when hbbs would not start with it."""
        port = parse_integer(env.get("PORT", str(RENDEZVOUS_PORT)))
        if port is None:
            raise DaemonError("invalid digit found in string")
        if port < 3:
            raise DaemonError("Invalid port")
        return cls(
            port=port,
            key=env.get("KEY", "-"),
            relay_servers=env.get("RELAY-SERVERS", ""),
            rendezvous_servers=env.get("RENDEZVOUS-SERVERS", ""),
            serial=parse_integer(env.get("SERIAL", "")) or 0,
            receive_buffer=max(parse_integer(env.get("RMEM", "")) or 0, 0),
            mask=env.get("MASK", ""),
            local_ip=env.get("LOCAL-IP"),
            always_use_relay=env.get("ALWAYS_USE_RELAY", "").upper() == "Y",
            test_address=env.get("TEST_HBBS", ""),
            database=env.get("DB_URL", "./db_v2.sqlite3"),
        )


# --- hbbr --------------------------------------------------------------------------------------------------------


def hbbr_environment(environ: Mapping[str, str], directory: Path = Path()) -> dict[str, str]:
    """Merge hbbr's sources: the environment, over it ``.env`` with its names taken as they are."""
    return {**environ, **load_ini(directory / ".env")}


@dataclass
class Bandwidth:
    """hbbr's limits. Speeds in bit/s; the settings are in Mb/s of 1024 * 1024 bits. The console changes them."""

    total: int = 1024 * MEBI
    """Cap over all relayed traffic."""
    single: int = 128 * MEBI
    """Cap per relayed pair, both directions together."""
    limited: int = 32 * MEBI
    """Cap for downgraded pairs and blacklisted addresses (LIMIT_SPEED)."""
    downgrade_percent: int = 66
    """A pair whose average exceeds this share of ``single`` is downgraded."""
    downgrade_start_s: int = 1800
    """Age of a pair before which it is never downgraded, in seconds."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Bandwidth:
        """Read the limits; a value that is not a positive number is ignored, as in upstream."""
        limits = cls()
        for name, attribute in (("TOTAL", "total"), ("SINGLE", "single")):
            setattr(limits, attribute, megabits(env.get(f"{name}_BANDWIDTH", "")) or getattr(limits, attribute))
        limits.limited = megabits(env.get("LIMIT_SPEED", "")) or limits.limited
        limits.downgrade_percent = percent(env.get("DOWNGRADE_THRESHOLD", "")) or limits.downgrade_percent
        limits.downgrade_start_s = seconds(env.get("DOWNGRADE_START_CHECK", "")) or limits.downgrade_start_s
        return limits


def megabits(text: str) -> int | None:
    """Read a speed in Mb/s as bit/s; None unless it is positive."""
    value = parse_decimal(text)
    return int(value * MEBI) if value is not None and value > 0 else None


def percent(text: str) -> int | None:
    """Read a share such as 0.66 as per cent; None unless it is positive."""
    value = parse_decimal(text)
    return int(value * 100) if value is not None and value > 0 else None


def seconds(text: str) -> int | None:
    """Read a duration in whole seconds; None unless it is positive."""
    value = parse_integer(text)
    return value if value is not None and value > 0 else None


def show_number(value: float) -> str:
    """Write a number as Rust does: without a fraction when it is whole."""
    return str(int(value)) if value == int(value) else repr(value)


@dataclass(frozen=True)
class HbbrSettings:
    """What hbbr runs with."""

    port_text: str = str(RELAY_PORT)
    key: str = ""

    @classmethod
    def from_sources(cls, arguments: Mapping[str, str], env: Mapping[str, str]) -> HbbrSettings:
        """Combine command line and environment. ``PORT`` of the environment is hbbs's port: hbbr takes the next."""
        port = parse_integer(env.get("PORT", "")) or 0
        text = arguments.get("port", str(port + 1 if port > 0 else RELAY_PORT))
        return cls(text, arguments.get("key", env.get("KEY", "")))

    @property
    def port(self) -> int:
        """The listening port; raise DaemonError for a text that is none."""
        number = parse_integer(self.port_text)
        if number is None or self.port_text.startswith("-"):
            raise DaemonError("invalid digit found in string")
        if number > 0xFFFF:
            raise DaemonError("number too large to fit in target type")
        return number


# --- command line ------------------------------------------------------------------------------------------------

Option = tuple[str, str, str]
"""Short flag (may be empty), long flag, help text."""

HBBS_OPTIONS: Sequence[Option] = (
    ("-c", "--config", "Sets a custom config file"),
    ("-p", "--port", "Sets the listening port"),
    ("-s", "--serial", "Sets configure update serial number"),
    ("-R", "--rendezvous-servers", "Sets rendezvous servers, separated by comma"),
    ("-u", "--software-url", "Accepted and ignored by the lab server"),
    ("-r", "--relay-servers", "Sets the default relay servers, separated by comma"),
    ("-M", "--rmem", "Sets UDP recv buffer size in bytes"),
    ("", "--mask", "Determine if the connection comes from LAN, e.g. 192.168.0.0/16"),
    ("-k", "--key", "Only allow the client with the same key"),
)
HBBR_OPTIONS: Sequence[Option] = (
    ("-p", "--port", "Sets the listening port"),
    ("-k", "--key", "Only allow the client with the same key"),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Leave with upstream's exit code for a wrong command line, which is 1."""
        usage = f"USAGE:\n    {self.prog} [OPTIONS]"
        sys.stderr.write(f"error: {message}\n\n{usage}\n\nFor more information try --help\n")
        raise SystemExit(1)


def parse_arguments(name: str, about: str, options: Sequence[Option], argv: Sequence[str]) -> dict[str, str]:
    """Read a command line into {long option name: value}, given options only."""
    parser = _Parser(prog=name, description=f"{about} (lab server)", allow_abbrev=False)
    parser.add_argument("-V", "--version", action="version", version=f"{name} {VERSION}")
    for short, long, text in options:
        flags = [flag for flag in (short, long) if flag]
        parser.add_argument(*flags, action="append", default=argparse.SUPPRESS, help=text)
    known, unknown = parser.parse_known_args(argv)
    given: dict[str, list[str]] = {key.replace("_", "-"): values for key, values in vars(known).items()}
    unknown += [values[0] for values in given.values() if re.match("-.", values[0]) and values[0] in argv]
    if unknown:
        parser.error(f"Found argument '{unknown[0]}' which wasn't expected, or isn't valid in this context")
    for key, values in given.items():
        if len(values) > 1:
            parser.error(f"The argument '--{key}' was provided more than once, but cannot be used multiple times")
    return {key: values[0] for key, values in given.items()}
