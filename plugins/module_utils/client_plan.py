# SPDX-License-Identifier: MIT
"""What has to be written on a host so that its RustDesk clients have the settings asked for, or get back what they had.

Beside the settings of each profile lies a record, `rustdesk_client.json`: what was there when the role came first, and
what the role has set since. It is written before the settings are, so that a run can be interrupted anywhere. The
record never holds a secret of the role's, only its digest.

Runs on the controller, for Linux and Windows alike.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible.module_utils.client_options import ENCRYPTED
from ansible.module_utils.toml_merge import TomlError, decode, effective, has_table, merge, parse, without_header

SETTINGS_FILES = ("RustDesk.toml", "RustDesk2.toml", "RustDesk_local.toml", "RustDesk_default.toml")
RECORD = "rustdesk_client.json"
RESTART = "rustdesk_client.restart"
"""Tells, while the service is stopped by the role, that it ran before."""

PACKAGE, INSTALLING = "package", "installing"
"""What the record says of a package: which one the role has installed, and which one it is just about to install."""

FORMAT = 1
ABOUT = "What the Ansible role rustdesk_client found here, and what it has set. Its state absent needs it."

SECRETS = {("RustDesk2.toml", "socks", "password"), ("RustDesk.toml", "", "password")}
"""Values that the client encrypts when it saves, so that they cannot be compared afterwards."""
LEADERS = {
    "options": ("custom-rendezvous-server", ("relay-server", "api-server", "key")),
    "socks": ("proxy", ("username", "password")),
}
"""By table, the option that says whose the others are."""
NEW_MODE = "0600"
"""Of new files, as the client's own (hbb_common src/config.rs, store_path)."""

Settings = Mapping[str, Mapping[str, Mapping[str, "str | None"]]]
"""File: table: key: value; None stands for a key that is not to be there."""


@dataclass(frozen=True)
class Change:
    """A file to write, or with the content None to remove. A byte order mark is the first character of its text."""

    path: str
    before: str | None
    content: str | None
    owner: str = ""
    group: str = ""
    mode: str = NEW_MODE


@dataclass
class Plan:
    """What is to be done, in this order, and what stands in the way."""

    create: list[dict[str, str]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    """Directories, each only if nothing is left in it then."""
    users: list[str] = field(default_factory=list)
    """In whose directories all that is."""
    faults: list[str] = field(default_factory=list)

    @property
    def pending(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.create or self.changes or self.remove)

    def add(self, other: Plan) -> None:
        """Also do what another plan changes."""
        self.changes += other.changes
        self.users += [user for user in other.users if user not in self.users]

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as variables of Ansible."""
        return asdict(self) | {"pending": self.pending}


def join(directory: str, name: str) -> str:
    """Join a path of the target: on Windows its separator is the backslash."""
    return f"{directory}\\{name}" if "\\" in directory else f"{directory}/{name}"


def digest(secret: str, salt: str = "") -> str:
    """Return a salted digest of a secret that is slow to guess."""
    salt = salt or os.urandom(16).hex()
    raw = hashlib.scrypt(secret.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1)
    return f"{salt}${raw.hex()}"


def is_digest_of(recorded: object, secret: str) -> bool:
    """Tell whether a recorded digest is that of a secret."""
    text = recorded.get("scrypt", "") if isinstance(recorded, Mapping) else ""
    salt, _, expected = str(text).partition("$")
    try:
        return bool(expected) and hmac.compare_digest(digest(secret, salt).partition("$")[2], expected)
    except ValueError:
        return False


def present(profiles: Sequence[Mapping[str, Any]], settings: Settings, package: str | None = "") -> Plan:
    """Return what brings the settings into every profile.

    Args:
        profiles: as the module rustdesk_client_info returns them.
        settings: what is asked for.
        package: version of the package that is there, None for one that is neither installed nor gone.
    """
    plan = Plan()
    for profile in profiles:
        if profile["fault"]:
            plan.faults.append(str(profile["fault"]))
            continue
        plan.users.append(profile["name"])
        try:
            _configure(plan, profile, settings, package)
        except TomlError as error:
            plan.faults.append(str(error))
    return plan


def absent(profiles: Sequence[Mapping[str, Any]], *, service_stays: bool = False) -> Plan:
    """Return what gives every profile back what it had before the role came, as far as it still is the role's.

    Args:
        profiles: as the module rustdesk_client_info returns them.
        service_stays: whether there is a service that may be started afterwards, for which its mark stays.
    """
    plan = Plan()
    for profile in profiles:
        if profile["fault"]:
            # Without a record nothing here is the role's.
            if profile["recorded"]:
                plan.faults.append(str(profile["fault"]))
            continue
        if RECORD not in profile["files"]:
            continue
        plan.users.append(profile["name"])
        try:
            _give_back(plan, profile, {RECORD} if service_stays else {RECORD, RESTART})
        except TomlError as error:
            plan.faults.append(str(error))
    return plan


def mark(services: Sequence[Mapping[str, Any]]) -> Plan:
    """Return what tells the next run that the service ran, should this one be interrupted while it is stopped."""
    writable = [profile for profile in services if not profile["fault"]]
    # Directories that are made for it are gone from the next look, so they are recorded now.
    plan = _recorded([profile for profile in writable if profile["missing"]], dict)
    plan.users = [profile["name"] for profile in writable]
    plan.changes += [
        Change(join(profile["directory"], RESTART), None, "", profile["name"], profile["group"]) for profile in writable
    ]
    return plan


def marked(services: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those that a run has stopped and not started again."""
    return [profile for profile in services if RESTART in profile["names"] and not profile["fault"]]


def unmark(services: Sequence[Mapping[str, Any]]) -> Plan:
    """Return what takes that back."""
    writable = [profile for profile in services if not profile["fault"]]
    return Plan(
        changes=[Change(join(profile["directory"], RESTART), "", None) for profile in writable],
        users=[profile["name"] for profile in writable],
    )


def recorded_package(services: Sequence[Mapping[str, Any]], package: str | None) -> str:
    """Return the version of the package that is there and that the role has installed, "" when it has not.

    Args:
        services: profiles of the service.
        package: as in `present`.
    """
    records = [_record(profile) for profile in services if not profile["fault"]]
    return next(iter(filter(None, (_own_package(record, package) for record in records))), "")


def claim(services: Sequence[Mapping[str, Any]], version: str) -> Plan:
    """Return what records that the package is just about to be installed by the role."""
    return _recorded(services, lambda record: {**_without_package(record), INSTALLING: version})


def settle(services: Sequence[Mapping[str, Any]], package: str | None) -> Plan:
    """Return what records whether that came about: of a package that is not there nothing is kept."""
    return _recorded(services, lambda record: _with_package(record, package))


def _own_package(record: Mapping[str, Any], package: str | None) -> str:
    installing = str(record.get(INSTALLING, ""))
    if package == "":
        return ""
    # A run that was killed while it installed has left one of its version, or a half of one.
    return str(record.get(PACKAGE, "")) or (installing if package in (None, installing) else "")


def _without_package(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in (PACKAGE, INSTALLING)}


def _with_package(record: Mapping[str, Any], package: str | None) -> dict[str, Any]:
    own = _own_package(record, package)
    return _without_package(record) | ({PACKAGE: own} if own else {})


def _recorded(services: Sequence[Mapping[str, Any]], changed: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Plan:
    plan = Plan()
    for profile in services:
        if profile["fault"]:
            continue
        old = _record(profile)
        new = changed(old)
        if profile["missing"]:
            new.setdefault("created", profile["missing"])
        if new != old:
            new.setdefault("created", [])
            plan.users.append(profile["name"])
            plan.create += _directories(profile)
            plan.changes.append(_change(profile, RECORD, _text(profile, RECORD), _record_text(new)))
    return plan


def differences(profiles: Sequence[Mapping[str, Any]], settings: Settings, answers: Mapping[str, str]) -> list[str]:
    """Return a sentence for each setting that a client does not have as it was asked for; values are left out.

    Args:
        profiles: as read back.
        settings: what is asked for.
        answers: what the running client says of its options.
    """
    found = []
    for profile in profiles:
        if profile["fault"]:
            found.append(str(profile["fault"]))
            continue
        record = _record(profile)
        for file, tables in settings.items():
            path = join(profile["directory"], file)
            try:
                text = _text(profile, file) or ""
                _without_values(text, path)
                for table, keys in tables.items():
                    now = effective(text, table)
                    found += [
                        f"{path}: {_shown(table, key)} is not what was asked for"
                        for key, value in keys.items()
                        if not _holds(record, file, table, key, now.get(key), value)
                    ]
            except TomlError as error:
                found.append(str(error))
    wanted = settings.get("RustDesk2.toml", {}).get("options", {})
    found += [
        f"the running client: {key} is not what was asked for"
        for key, answer in answers.items()
        if key in wanted and answer != (wanted[key] or "") and not _is_excuse(answer)
    ]
    return found


def _is_excuse(answer: str) -> bool:
    """Tell whether a client said that it does not answer: a sentence, where values have no blank (src/core_main.rs)."""
    return " " in answer


def _shown(table: str, key: str) -> str:
    return f"{key} in [{table}]" if table else key


# --- Present --------------------------------------------------------------------------------------------------------


def _configure(plan: Plan, profile: Mapping[str, Any], settings: Settings, package: str | None) -> None:
    record = _record(profile)
    recorded: dict[str, Any] = record.get("files", {})
    of_package = _with_package(record, package) if profile["kind"] == "service" else record
    # Until all is written, the record also holds what is about to be given back, so that the next run can do it.
    meanwhile, final = copy.deepcopy(dict(of_package)), copy.deepcopy(dict(of_package))
    changes = []
    for file, tables in {**{file: {} for file in recorded}, **settings}.items():
        before = _text(profile, file)
        after = _asked_for(record, file, tables, before, join(profile["directory"], file))
        if file not in recorded and after == (before or ""):
            continue
        if after != (before if file not in settings else before or ""):
            changes.append(_change(profile, file, before, after))
        if file not in settings:
            del final["files"][file]
            continue
        entry = _updated(recorded.get(file), tables, before, after or "")
        final.setdefault("files", {})[file] = entry
        together = _together(recorded.get(file, {}).get("set", {}), entry["set"])
        meanwhile.setdefault("files", {})[file] = {**entry, "set": together}
    if final != record or changes:
        meanwhile.setdefault("created", profile["missing"])
        final.setdefault("created", profile["missing"])
        plan.create += _directories(profile)
        texts = [_text(profile, RECORD), _record_text(meanwhile), _record_text(final)]
        if meanwhile != record:
            plan.changes.append(_change(profile, RECORD, texts[0], texts[1]))
        plan.changes += changes
        if final != meanwhile:
            plan.changes.append(_change(profile, RECORD, texts[1] if meanwhile != record else texts[0], texts[2]))


def _asked_for(
    record: Mapping[str, Any],
    file: str,
    tables: Mapping[str, Mapping[str, str | None]],
    before: str | None,
    path: str,
) -> str | None:
    """Return what a file is to hold; one of which nothing is asked for any more, what it is given back."""
    if not tables:
        return _given_back(record["files"][file], file, before, path)
    after = _merged(before or "", _wanted(record, file, tables, before or "", path), path)
    _without_values(after, path)
    return after


def _updated(
    entry: Mapping[str, Any] | None, tables: Mapping[str, Mapping[str, str | None]], before: str | None, after: str
) -> dict[str, Any]:
    """Return the record of a file. Only what the role alone has changed is given back byte for byte later."""
    updated: dict[str, Any] = dict(entry) if entry else {"before": before}
    updated["set"] = _set_values(updated.get("set", {}), tables)
    if after != (before or ""):
        is_ours_alone = before == updated.get("before") or _sha256(before or "") == updated.pop("after", "")
        if is_ours_alone:
            updated["after"] = _sha256(after)
    return updated


def _together(old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {table: {**old.get(table, {}), **new.get(table, {})} for table in {**old, **new}}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _directories(profile: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"path": path, "owner": profile["name"], "group": profile["group"]} for path in profile["missing"]]


def _wanted(
    record: Mapping[str, Any], file: str, tables: Mapping[str, Mapping[str, str | None]], text: str, path: str
) -> dict[str, dict[str, str | None]]:
    """Return what to merge: what is asked for, and for what is asked for no more, what was there before."""
    entry = record.get("files", {}).get(file, {})
    now = _parsed(text, path)
    wanted: dict[str, dict[str, str | None]] = _restoration(entry, file, now, path, but=tables) if entry else {}
    for table, keys in tables.items():
        inside = _table(now, table)
        for key, value in keys.items():
            if not _holds(record, file, table, key, inside.get(key), value):
                wanted.setdefault(table, {})[key] = value
    return wanted


def _holds(
    record: Mapping[str, Any],
    file: str,
    table: str,
    key: str,
    current: object,
    wanted: str | None,
) -> bool:
    """Tell whether a value is what is asked for: itself, empty for none, or the encrypted form of a secret."""
    if current == wanted or (wanted is None and current == ""):
        return True
    if (file, table, key) not in SECRETS or not wanted or not str(current or "").startswith(ENCRYPTED):
        return False
    recorded = record.get("files", {}).get(file, {}).get("set", {}).get(table, {}).get(key)
    return is_digest_of(recorded, wanted)


def _set_values(
    recorded: Mapping[str, Any], tables: Mapping[str, Mapping[str, str | None]]
) -> dict[str, dict[str, Any]]:
    """Return what the record says of the values that are set: secrets only by their digest."""
    values: dict[str, dict[str, Any]] = {}
    for table, keys in tables.items():
        for key, value in keys.items():
            old = recorded.get(table, {}).get(key)
            if value is not None and _is_secret(table, key):
                values.setdefault(table, {})[key] = old if is_digest_of(old, value) else {"scrypt": digest(value)}
            else:
                values.setdefault(table, {})[key] = value
    return values


def _is_secret(table: str, key: str) -> bool:
    return any((table, key) == secret[1:] for secret in SECRETS)


def _without_values(text: str, path: str) -> None:
    """Refuse options that RustDesk would not read: one value that is no string makes it ignore all of them.

    Raises:
        TomlError: there is such a value.
    """
    for table in ("options", "socks"):
        inside = _table(_parsed(text, path), table)
        wrong = sorted(key for key, value in inside.items() if not isinstance(value, str))
        if wrong:
            raise TomlError(
                f"{path}: {wrong[0]} in [{table}] is not in quotes, so RustDesk ignores every value of [{table}]; "
                "put it in quotes, or remove it"
            )


# --- Absent ---------------------------------------------------------------------------------------------------------


def _give_back(plan: Plan, profile: Mapping[str, Any], gone: set[str]) -> None:
    record = _record(profile)
    for file, entry in record.get("files", {}).items():
        path = join(profile["directory"], file)
        now = _text(profile, file)
        back = _given_back(entry, file, now, path)
        if back is None:
            gone.add(file)
        if back != now:
            plan.changes.append(_change(profile, file, now, back))
    plan.changes.append(_change(profile, RECORD, _text(profile, RECORD), None))
    plan.remove += _emptied(profile, record.get("created", []), gone)


def _emptied(profile: Mapping[str, Any], created: Sequence[str], gone: set[str]) -> list[str]:
    """Return the directories that the role has made and that are left with nothing in them, innermost first.

    The record is its user's to write, so only directories that are the profile's own are taken from it.
    """
    fold = str.lower if "\\" in profile["directory"] else str
    made = {fold(path) for path in created}
    found: list[str] = []
    going = gone
    for path, names in ((profile["directory"], profile["names"]), *reversed(profile["above"].items())):
        if fold(path) not in made or {fold(name) for name in names} - {fold(name) for name in going}:
            break
        found.append(path)
        going = {re.split(r"[/\\]", path)[-1]}
    return found


def _given_back(entry: Mapping[str, Any], file: str, now: str | None, path: str) -> str | None:
    """Return what a file is to hold, None when it is to go."""
    before: str | None = entry.get("before")
    if now is None or _sha256(now) == entry.get("after"):
        return before
    text = _merged(now, _restoration(entry, file, _parsed(now, path), path, but={}), path)
    for table in entry.get("set", {}):
        if table and not (before and has_table(before, table)):
            text = without_header(text, table)
    return None if before is None and not text.strip() else text


def _restoration(
    entry: Mapping[str, Any],
    file: str,
    now: Mapping[str, Any],
    path: str,
    but: Mapping[str, Mapping[str, str | None]],
) -> dict[str, dict[str, str | None]]:
    """Return what gives back the values that are still the role's, except those that are set anew."""
    before = _parsed(entry.get("before") or "", path)
    wanted: dict[str, dict[str, str | None]] = {}
    for table, keys in entry.get("set", {}).items():
        inside = _table(now, table)
        for key, recorded in keys.items():
            if key in but.get(table, {}) or not _still_ours(file, table, key, recorded, inside.get(key)):
                continue
            if recorded is None and not _is_still_led(table, key, keys, inside):
                continue
            old = _table(before, table).get(key)
            wanted.setdefault(table, {})[key] = old if isinstance(old, str) else None
    return wanted


def _still_ours(file: str, table: str, key: str, recorded: object, current: object) -> bool:
    if not isinstance(recorded, Mapping):
        return current == recorded
    # What is encrypted cannot be compared, and nobody else is known to have set it.
    is_encrypted = (file, table, key) in SECRETS and str(current or "").startswith(ENCRYPTED)
    return isinstance(current, str) and (is_encrypted or is_digest_of(recorded, current))


def _is_still_led(table: str, key: str, recorded: Mapping[str, Any], inside: Mapping[str, Any]) -> bool:
    """Tell whether a value goes with what stands there: another server's relay is nothing to put beside this one's."""
    leader, led = LEADERS.get(table, ("", ()))
    if key not in led or leader not in recorded:
        return True
    return bool((inside.get(leader) or None) == recorded[leader])


# --- Files ----------------------------------------------------------------------------------------------------------


def _text(profile: Mapping[str, Any], name: str) -> str | None:
    file = profile["files"].get(name)
    if file is None:
        return None
    try:
        return decode(base64.b64decode(file["content"]))
    except TomlError as error:
        raise TomlError(_fault(join(profile["directory"], name), error)) from None


def _fault(path: str, error: TomlError) -> str:
    return f"{path} {error}; it is left as it is: correct it, or move it away"


def _parsed(text: str, path: str) -> dict[str, Any]:
    try:
        return parse(text)
    except TomlError as error:
        raise TomlError(_fault(path, error)) from None


def _merged(text: str, wanted: Mapping[str, Mapping[str, str | None]], path: str) -> str:
    try:
        return merge(text, wanted)
    except TomlError as error:
        raise TomlError(_fault(path, error)) from None


def _table(values: Mapping[str, Any], table: str) -> Mapping[str, Any]:
    inside = values.get(table, {}) if table else values
    return inside if isinstance(inside, Mapping) else {}


def _change(profile: Mapping[str, Any], name: str, before: str | None, content: str | None) -> Change:
    file = profile["files"].get(name, {})
    return Change(
        path=file.get("path") or join(profile["directory"], name),
        before=before,
        content=content,
        owner=file.get("owner") or profile["name"],
        group=file.get("group") or profile["group"],
        mode=file.get("mode") or NEW_MODE,
    )


def _record(profile: Mapping[str, Any]) -> dict[str, Any]:
    text = _text(profile, RECORD)
    if text is None:
        return {}
    try:
        record: object = json.loads(text)
        # What is no text in JSON may not be written as such either.
        json.dumps(record, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        record = None
    if isinstance(record, dict) and _is_record(record):
        return record
    raise TomlError(
        f"{join(profile['directory'], RECORD)} is not a record of this role, so what was there before is not known; "
        "restore it from a backup, or move it away"
    )


def _is_record(record: Mapping[str, Any]) -> bool:
    """Tell whether a record has the form of one, and is about settings only: its user could write anything there."""
    files, created = record.get("files", {}), record.get("created", [])
    return (
        record.get("format") == FORMAT
        and isinstance(files, dict)
        and all(name in SETTINGS_FILES and _is_entry(entry) for name, entry in files.items())
        and isinstance(created, list)
        and all(isinstance(path, str) for path in created)
        and all(isinstance(record.get(key, ""), str) for key in (PACKAGE, INSTALLING))
    )


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    tables = entry.get("set", {})
    return (
        isinstance(entry.get("before"), (str, type(None)))
        and isinstance(entry.get("after"), (str, type(None)))
        and isinstance(tables, dict)
        and all(isinstance(keys, dict) and all(map(_is_value, keys.values())) for keys in tables.values())
    )


def _is_value(value: object) -> bool:
    return value is None or isinstance(value.get("scrypt") if isinstance(value, dict) else value, str)


def _record_text(record: Mapping[str, Any]) -> str:
    return json.dumps({"about": ABOUT, "format": FORMAT, **record}, indent=2, sort_keys=True) + "\n"


SECRET_KEYS = re.compile(
    r"password|salt|secret|token|enc_id|key_pair|unlock_pin|trusted_devices|user_info|ice-servers"
    # Of two-factor authentication: its secret, and what sends its codes.
    r"|(?<![\w-])(2fa|bot)(?![\w-])",
    re.IGNORECASE,
)
"""What the keys of secrets have in their names (hbb_common src/config.rs; rustdesk src/auth_2fa.rs, src/common.rs)."""

_NAMED = re.compile(r"\s*([A-Za-z0-9_.-]+|\"[^\"\\\n]*\"|'[^'\n]*')\s*=")
_TOKEN = re.compile(
    r"\"\"\"(?:\\.|[^\\])*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'|#[^\n]*|[^\"'#\[\]{}\n]+|.", re.DOTALL
)


def masked(text: str) -> str:
    """Return settings for people to see, without the values of secrets, whoever has set them."""
    return "".join(
        _named(statement) if _is_of_secret(statement) else _without_logins(statement)
        for statement in _statements(text.removeprefix("\ufeff"))
    )


def _is_of_secret(statement: str) -> bool:
    # Any letter can be written as its number.
    return bool(SECRET_KEYS.search(statement.rpartition("=")[0])) or "\\u" in statement.lower()


def _without_logins(statement: str) -> str:
    return "".join(
        re.sub(r"[^\s'\"]+", _without_login, _of_address(line)) for line in statement.splitlines(keepends=True)
    )


def _of_address(line: str) -> str:
    """Take out user and password of an address; people leave blanks and slashes in a password as they are."""
    start, end = line.find("://"), line.rfind("@")
    return f"{line[: start + 3]}…{line[end:]}" if 0 <= start < end else line


def _without_login(word: re.Match[str]) -> str:
    """Take them out of an address without a scheme."""
    login, at, host = word[0].rpartition("@")
    return f"…@{host}" if at and ":" in login and "://" not in login else word[0]


def _named(statement: str) -> str:
    match = _NAMED.match(statement)
    return f"{match[1]} = (not shown)\n" if match else "(not shown)\n"


def _statements(text: str) -> Iterator[str]:
    """Return the lines of a TOML file, each with those that its value goes on in."""
    start = depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in ("[", "{")) - (token[0] in ("]", "}"))
        if token[0] == "\n" and depth <= 0:
            yield text[start : token.end()]
            start, depth = token.end(), 0
    yield text[start:]
