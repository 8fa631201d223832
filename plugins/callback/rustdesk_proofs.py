# SPDX-License-Identifier: MIT
"""Show at the end of a run what was proven of the service, and what clients need to use it."""

from __future__ import annotations

DOCUMENTATION = """
name: rustdesk_proofs
type: aggregate
short_description: Show what was proven of a RustDesk service, and what clients need
description:
  - Collects the results of C(rustdesk_probe) and C(rustdesk_launcher_check), wherever they ran, and
    prints them at the end of the run as one table. Below it stand the failed proofs, each with its remedy.
  - When the same service was probed from the same machine more than once, the last result counts.
  - Then prints the public key and the configuration string of every host that has set the fact
    C(rustdesk_server_facts), as the role C(rustdesk_server) does.
  - Prints nothing in a run without either.
requirements:
  - enabled in C(callbacks_enabled)
author: the maintainers of this repository
"""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible import constants
from ansible.plugins.callback import CallbackBase

PROBES = ("rustdesk_probe", "rustdesk_launcher_check")
FACT = "rustdesk_server_facts"
DEFAULT_PORT = 21116
"""hbbs's port unless told otherwise; its relay is on the next one."""
NARROWEST = 20
"""Characters a text is given at least, even where the screen ends."""


class TaskResult(Protocol):
    """What a callback is told of a task on one host (ansible-core 2.19 and later)."""

    host: Any
    task: Any
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One line to print; ``color`` is one of Ansible's names, None is the terminal's own."""

    text: str
    color: str | None = None


@dataclass(frozen=True)
class Proof:
    """One proof as ``rustdesk_probe`` returns it; ``latency_ms`` is None for one that did not run."""

    name: str
    state: str
    latency_ms: float | None = None
    detail: str = ""
    remedy: str = ""

    @classmethod
    def of(cls, returned: Mapping[str, Any]) -> Proof:
        """Take a proof from a module's result; what is missing stays empty."""
        latency = returned.get("latency_ms")
        return cls(
            name=str(returned.get("name", "?")),
            state=str(returned.get("state", "?")),
            latency_ms=float(latency) if isinstance(latency, (int, float)) else None,
            detail=one_line(returned.get("detail")),
            remedy=one_line(returned.get("remedy")),
        )


@dataclass(frozen=True)
class Service:
    """What a probe said of a service; without proofs it did not run, and ``fault`` says why."""

    name: str
    origin: str
    proofs: tuple[Proof, ...] = ()
    fault: str = ""

    @property
    def failed(self) -> tuple[Proof, ...]:
        """The proofs that were not given."""
        return tuple(proof for proof in self.proofs if proof.state == "failed")

    @property
    def proven(self) -> bool:
        """Whether something was proven and nothing refuted."""
        return not self.fault and not self.failed and any(proof.state == "passed" for proof in self.proofs)


@dataclass
class Access:
    """What clients need for a service, and the inventory hosts that said so."""

    host: str
    public_key: str
    config_string: str
    said_by: list[str] = field(default_factory=list)


def one_line(value: object) -> str:
    """The value as text without line breaks; None is empty."""
    return "" if value is None else " ".join(str(value).split())


def service_name(arguments: Mapping[str, Any]) -> str:
    """Name the service a probe was pointed at; the port and the relay only where they are not the usual ones."""
    host = str(arguments.get("host") or "an unnamed service")
    port = str(arguments.get("port") or DEFAULT_PORT)
    relay = str(arguments.get("relay") or "")
    name, usual = f"{host}:{port}", {""}
    if port.isdecimal():
        usual.add(f"{host}:{int(port) + 1}")
    if port == str(DEFAULT_PORT):
        name = host
        usual.add(host)
    return name if relay in usual else f"{name} with relay {relay}"


def service_of(result: TaskResult) -> Service:
    """What one run of the probe said."""
    returned = result.result
    invocation = returned.get("invocation")
    arguments = invocation.get("module_args") if isinstance(invocation, Mapping) else None
    # A probe that did not even start has no arguments yet, only templates of them.
    name = service_name(arguments) if isinstance(arguments, Mapping) else str(result.host.get_name())
    origin = str(result.task.delegate_to or result.host.get_name())
    found = returned.get("proofs")
    proofs = tuple(Proof.of(proof) for proof in found if isinstance(proof, Mapping)) if isinstance(found, list) else ()
    fault = "" if proofs else one_line(returned.get("msg")) or "the probe said nothing"
    return Service(name, origin, proofs, fault)


def latency_text(latency_ms: float | None) -> str:
    """Milliseconds, with a decimal while it says something."""
    if latency_ms is None:
        return "-"
    return f"{latency_ms:.1f} ms" if latency_ms < 100 else f"{latency_ms:.0f} ms"


def count_text(service: Service) -> str:
    """How many of the service's proofs were given."""
    if service.fault:
        return "the probe did not run"
    states = [proof.state for proof in service.proofs]
    text = f"{states.count('passed')} of {len(states)} passed"
    return text + "".join(f", {states.count(state)} {state}" for state in ("failed", "skipped") if state in states)


def color_of(state: str) -> str | None:
    """Ansible's colour for a proof in this state."""
    colors: dict[str, str] = {
        "passed": constants.COLOR_OK,
        "failed": constants.COLOR_ERROR,
        "skipped": constants.COLOR_SKIP,
    }
    return colors.get(state)


def wrapped(text: str, width: int, start: str, indent: str) -> list[str]:
    """The text in lines of at most ``width`` characters, words whole; ``indent`` stands before all but the first."""
    lines = textwrap.wrap(
        text,
        max(width, len(indent) + NARROWEST),
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [start.rstrip()]


def proof_lines(services: Sequence[Service], width: int) -> Iterator[Line]:
    """The table: a heading for each service, and its proofs."""
    names = max((len(proof.name) for service in services for proof in service.proofs), default=0)
    states = max((len(proof.state) for service in services for proof in service.proofs), default=0)
    for service in services:
        heading = f"{service.name} from {service.origin}: {count_text(service)}"
        yield Line(heading, color_of("passed" if service.proven else "failed"))
        for proof in service.proofs:
            start = f"  {proof.name:{names}}  {proof.state:{states}} {latency_text(proof.latency_ms):>9}  "
            for line in wrapped(proof.detail, width, start, " " * len(start)):
                yield Line(line, color_of(proof.state))


def remedy_lines(services: Iterable[Service], width: int) -> Iterator[Line]:
    """What was not proven, and what to do about it."""
    for service in services:
        faults = [(proof.name, proof.remedy or proof.detail) for proof in service.failed]
        if service.fault:
            faults.append(("no proof", service.fault))
        for name, remedy in faults:
            yield Line("")
            yield Line(f"{service.name} from {service.origin}, {name}:", color_of("failed"))
            for line in wrapped(remedy, width, "  ", "  "):
                yield Line(line)


def summary_line(services: Sequence[Service]) -> Line:
    """The last word: how many services are proven."""
    outcomes = [service.proven for service in services]
    proven, count = sum(outcomes), len(outcomes)
    noun = "service is" if count == 1 else "services are"
    if proven == count:
        return Line(f"{'The' if count == 1 else f'All {count}'} {noun} proven.", color_of("passed"))
    return Line(f"{proven} of {count} {noun} proven.", color_of("failed"))


def access_lines(accesses: Iterable[Access]) -> Iterator[Line]:
    """What to hand out to clients. The configuration string is never cut: people copy it."""
    for access in accesses:
        yield Line(f"{access.host} ({'; '.join(access.said_by)})")
        yield Line(f"  public key            {access.public_key or 'none'}")
        yield Line(f"  configuration string  {access.config_string or 'none'}")


class CallbackModule(CallbackBase):
    """Collects during the run, prints at its end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "rustdesk_proofs"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._services: dict[tuple[str, str], Service] = {}
        self._accesses: dict[str, dict[str, Any]] = {}

    def v2_runner_on_ok(self, result: TaskResult) -> None:
        """Take the proofs, or the facts, of a task that succeeded."""
        self._take_probe(result)
        self._take_facts(result)

    def v2_runner_on_failed(self, result: TaskResult, ignore_errors: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Take the proofs of a probe that failed."""
        self._take_probe(result)

    def v2_runner_on_unreachable(self, result: TaskResult) -> None:
        """Remember that a probe could not run."""
        self._take_probe(result)

    def v2_runner_item_on_ok(self, result: TaskResult) -> None:
        """Take the proofs of one item of a loop."""
        self._take_probe(result)

    def v2_runner_item_on_failed(self, result: TaskResult) -> None:
        """Take the proofs of one item of a loop."""
        self._take_probe(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002
        """Print what was collected."""
        services, width = [self._services[key] for key in sorted(self._services)], int(self._display.columns)
        if services:
            self._display.banner("PROOFS")
            self._print(proof_lines(services, width))
            self._print(remedy_lines(services, width))
            self._print([Line(""), summary_line(services)])
        accesses = self._merged_accesses()
        if accesses:
            self._display.banner("CLIENTS")
            self._print(access_lines(accesses))

    def _take_probe(self, result: TaskResult) -> None:
        # Of a loop only the items count: its own result is their sum.
        if str(result.task.action).rpartition(".")[2] not in PROBES or {"results", "skipped"} & set(result.result):
            return
        service = service_of(result)
        self._services[service.name, service.origin] = service

    def _take_facts(self, result: TaskResult) -> None:
        facts = result.result.get("ansible_facts")
        found = facts.get(FACT) if isinstance(facts, Mapping) else None
        if isinstance(found, Mapping):
            self._accesses[str(result.host.get_name())] = dict(found)

    def _merged_accesses(self) -> list[Access]:
        """Hosts that serve the same clients, such as an ID server and its relay, share one entry."""
        merged: dict[tuple[str, str, str], Access] = {}
        for name, facts in sorted(self._accesses.items()):
            host, public_key, string = (str(facts.get(part) or "") for part in ("host", "public_key", "config_string"))
            access = merged.setdefault((host, public_key, string), Access(host or name, public_key, string))
            about = ", ".join(str(facts[part]) for part in ("mode", "version") if facts.get(part))
            access.said_by.append(f"{name}: {about}" if about else name)
        return list(merged.values())

    def _print(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._display.display(line.text, color=line.color)
