# SPDX-License-Identifier: MIT
"""Prove over the wire that a RustDesk server does what its clients need.

An open port proves nothing: a proof here is an answer only the right daemon gives. All proofs
run side by side, each bounded by its own timeout, and none registers anything: the ids they
use begin with a parenthesis, which no client can have (hbb_common `src/lib.rs`,
`is_valid_custom_id`), and hbbs stores an id only when its key is registered
(rustdesk-server `src/rendezvous_server.rs`, `update_addr`). The wrong keys that prove
enforcement leave two warnings in hbbs's log and four in hbbr's.

`probe` is plain Python without Ansible; the module `rustdesk_probe` puts it before Ansible.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from .ed25519 import format_public, parse_public
from .probe_network import (
    PAUSE,
    READ_BYTES,
    Address,
    Connection,
    Deadline,
    Door,
    ProofError,
    Resolution,
    choose,
    connect,
    milliseconds_since,
    resolve,
    stays_here,
    strange_bytes,
)
from .probe_terms import (
    MAX_TIMEOUT,
    MIN_TIMEOUT,
    NEED_KEY,
    PROOFS,
    REMEDIES,
    Cause,
    ProbeArgumentError,
    ProofResult,
    Report,
    Target,
)
from .rendezvous import (
    PunchFailure,
    PunchHoleRequest,
    PunchHoleResponse,
    RegisterPeer,
    RegisterPeerResponse,
    RequestRelay,
    TestNatRequest,
    TestNatResponse,
    WireError,
    decode_message,
    encode_frame,
    encode_message,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

RELAY_BYTES = 8 * 1024
"""How many bytes `relay_bytes` sends each way: few enough to be under way at once (RFC 6928)."""

_MARKER_BYTES = 32
_FIRST_RESEND = 0.2
# How long one side may be closed before the other until the two requests must have met in the
# same instant: hbbr looks a uuid up and stores it in two steps, so both can find nobody, and the
# one stored last drives the other out (rustdesk-server `src/relay_server.rs`, `make_pair_`).
_RACE_GRACE = 0.5


# --- Proofs -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Context:
    """What the proofs have in common; a daemon without an address has the reason instead."""

    target: Target
    names: list[Resolution]
    hbbs: Address | ProofError
    hbbr: Address | ProofError
    timeout: float

    def hbbs_door(self, offset: int = 0, protocol: str = "tcp") -> Door:
        if isinstance(self.hbbs, ProofError):
            raise self.hbbs
        return Door(self.target.host, self.hbbs, self.target.port + offset, "hbbs", protocol)

    def hbbr_door(self) -> Door:
        if isinstance(self.hbbr, ProofError):
            raise self.hbbr
        return Door(self.target.relay_host, self.hbbr, self.target.relay_port, "hbbr")

    def wrong_keys(self) -> dict[str, str]:
        """Return keys that must be refused, by what to call them.

        The wrong one differs from the right one in its last two bytes only, so that a server
        which compares lengths or beginnings is found out; by chance, so that it is not the
        server's own key where the given one is a near miss.
        """
        raw = bytearray(parse_public(self.target.key))
        for index in (-2, -1):
            raw[index] ^= 1 + secrets.randbelow(255)
        return {"a wrong key": format_public(bytes(raw)), "no key": ""}


def _unused_id() -> str:
    return f"(:probe-{secrets.token_hex(8)}:)"


async def _dns(context: _Context) -> str:
    for resolution in context.names:
        if resolution.failure:
            raise resolution.failure
    used = [address.text for address in (context.hbbs, context.hbbr) if isinstance(address, Address)]
    return "; ".join(
        resolution.detail + (f", {address} is used" if len(resolution.addresses) > 1 else "")
        for resolution, address in zip(context.names, used)
    )


async def _source_port(door: Door, connection: Connection) -> int:
    """Return the source port that hbbs sees, checked for plausibility."""
    answer = await connection.ask(TestNatRequest(), TestNatResponse)
    if not 0 < answer.port <= 0xFFFF:
        detail = f"{door.name} names {answer.port} as source port"
        raise ProofError(Cause.UNEXPECTED, detail, door)
    return answer.port


async def _nat_test(context: _Context) -> str:
    """Ask both ports from one local port, as a client does (rustdesk `src/common.rs`)."""
    deadline = Deadline(context.timeout)
    doors = [context.hbbs_door(-1), context.hbbs_door()]
    with contextlib.ExitStack() as stack:
        connections = []
        local_port = 0
        for door in doors:
            connection = await connect(door, deadline, local_port)
            stack.callback(connection.close)
            connections.append(connection)
            local_port = connection.local_port
        # Both are awaited even if one fails: a socket must not be closed while it is read.
        answers = await asyncio.gather(*map(_source_port, doors, connections), return_exceptions=True)
        own = [connection.local_port for connection in connections]
    seen = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        seen.append(answer)
    ports = f"{doors[0].port} and {doors[1].port}"
    if seen == own:
        return f"no port translation on the way: {ports} see source port {seen[0]}"
    if own[0] != own[1]:
        return f"{ports} answer; the address is translated on the way"
    if seen[0] == seen[1]:
        return f"translated alike: {ports} see source port {seen[0]} instead of {own[0]}"
    return (
        f"symmetric NAT: source port {own[0]} is seen as {seen[0]} and {seen[1]}, "
        "so most sessions from here will need the relay"
    )


async def _rendezvous_tcp(context: _Context) -> str:
    door = context.hbbs_door()
    connection = await connect(door, Deadline(context.timeout))
    with contextlib.closing(connection):
        port = await _source_port(door, connection)
    return f"{door.name} answers, it sees source port {port}"


async def _rendezvous_udp(context: _Context) -> str:
    """Send the heartbeat of an unknown client, again and again, until hbbs wants its key."""
    door = context.hbbs_door(protocol="udp")
    deadline = Deadline(context.timeout)
    heartbeat = encode_message(RegisterPeer(id=_unused_id()))
    strange: ProofError | None = None
    sent, resend = 0, _FIRST_RESEND
    try:
        with socket.socket(door.address.family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0)
            sock.connect(door.address.at(door.port))
            while deadline.left > 0:
                with contextlib.suppress(BlockingIOError):
                    sock.send(heartbeat)
                sent += 1
                turn = Deadline(min(resend, deadline.left))
                resend *= 2
                while turn.left > 0:
                    try:
                        read = asyncio.get_running_loop().sock_recv(sock, READ_BYTES)
                        datagram = await asyncio.wait_for(read, turn.left)
                    except asyncio.TimeoutError:
                        break
                    strange = _judge_datagram(door, datagram)
                    if strange is None:
                        lost = f", {sent} datagrams were needed" if sent > 1 else ""
                        return f"{door.name} asks an unknown client for its key{lost}"
    except ConnectionRefusedError:
        detail = f"{door.name} at {door.address.text} refused the datagram"
        raise ProofError(Cause.UDP_REFUSED, detail, door) from None
    except OSError as error:
        detail = f"{door.name} at {door.address.text} cannot be reached ({error.strerror})"
        raise ProofError(Cause.UNREACHABLE, detail, door) from None
    if strange is not None:
        raise strange
    detail = f"none of {sent} datagrams to {door.name} was answered within {deadline.seconds:g} s"
    raise ProofError(Cause.UDP_SILENT, detail, door)


def _judge_datagram(door: Door, datagram: bytes) -> ProofError | None:
    """Return None for the expected answer, else what is wrong with this one."""
    try:
        message = decode_message(datagram)
    except WireError as error:
        return strange_bytes(door, datagram[:16], str(error))
    if not isinstance(message, RegisterPeerResponse):
        kind = type(message).__name__ if message else "an empty message"
        return ProofError(Cause.UNEXPECTED, f"{door.name} answers a heartbeat with {kind}", door)
    if not message.request_pk:
        detail = f"{door.name} claims to know a client that does not exist"
        return ProofError(Cause.UNEXPECTED, detail, door)
    return None


async def _is_key_accepted(context: _Context, key: str) -> bool:
    """Ask hbbs for an id nobody has: a refused key is noticed before the unknown id.

    The order of these checks is upstream's (rustdesk-server `src/rendezvous_server.rs`,
    `handle_punch_hole_request`).
    """
    door = context.hbbs_door()
    connection = await connect(door, Deadline(context.timeout))
    with contextlib.closing(connection):
        request = PunchHoleRequest(id=_unused_id(), licence_key=key)
        answer = await connection.ask(request, PunchHoleResponse)
    if not answer.socket_addr and not answer.other_failure:
        if answer.failure == PunchFailure.LICENSE_MISMATCH:
            return False
        if answer.failure == PunchFailure.ID_NOT_EXIST:
            return True
    known = {int(failure): failure.name for failure in PunchFailure}
    what = known.get(answer.failure, str(answer.failure))
    if answer.socket_addr:
        what = "an address"
    elif answer.other_failure:
        what = repr(answer.other_failure[:80])
    detail = f"{door.name} answers a request for an unknown id with {what}"
    raise ProofError(Cause.UNEXPECTED, detail, door)


async def _key_accepted(context: _Context) -> str:
    if not await _is_key_accepted(context, context.target.key):
        door = context.hbbs_door()
        raise ProofError(Cause.KEY_DIFFERS, "hbbs refuses this key", door)
    return "hbbs accepts this key"


async def _key_enforced(context: _Context) -> str:
    wrong = context.wrong_keys()
    accepted = await asyncio.gather(*(_is_key_accepted(context, key) for key in wrong.values()))
    let_in = [name for name, is_accepted in zip(wrong, accepted) if is_accepted]
    if let_in:
        door = context.hbbs_door()
        raise ProofError(Cause.KEY_NOT_CHECKED, f"hbbs accepts {' and '.join(let_in)}", door)
    return f"hbbs refuses {' and '.join(wrong)}"


class _Side:
    """One of two connections that ask hbbr for the same uuid, and what arrives on it."""

    def __init__(self, connection: Connection, sends: bytes) -> None:
        self._connection = connection
        self.sends = sends
        self.received = b""
        self.closed = False

    async def request(self, request: bytes) -> None:
        await self._connection.send(request)

    async def send(self) -> None:
        await self._connection.send(self.sends)

    async def watch(self, seconds: float) -> None:
        """Wait that long for bytes or the end of the connection."""
        with contextlib.suppress(asyncio.TimeoutError):
            self._take(await self._connection.receive(seconds))

    async def collect(self, limit: int, changed: asyncio.Event) -> None:
        """Read until the other side closes, more came than was sent, or the task is cancelled.

        Without a timeout of its own: up to Python 3.11 `asyncio.wait_for` swallows a
        cancellation that meets the arrival of what it waits for.
        """
        while not self.closed and len(self.received) <= limit:
            self._take(await self._connection.read())
            changed.set()

    def _take(self, data: bytes) -> None:
        self.received += data
        self.closed = not data


_Pair = tuple[_Side, _Side]


def _is_one_driven_out(pair: _Pair) -> bool:
    """Tell whether exactly one side is closed and nothing was passed on."""
    left, right = pair
    return left.closed is not right.closed and not (left.received or right.received)


async def _meet(context: _Context, key: str, size: int, done: Callable[[_Pair], bool]) -> _Pair:
    """Let two connections ask hbbr for the same uuid and send each other random bytes.

    Both send without waiting, as clients do: hbbr answers nothing, it either closes or passes
    on what comes. Ends when `done` says so, both are closed, or time is up; starts again with
    another uuid when the two requests crossed inside hbbr.

    Raises:
        ProofError: hbbr cannot be reached, or closes before it is asked for anything.
    """
    deadline = Deadline(context.timeout)
    while True:
        pair = await _meet_once(context, deadline, key, size, done)
        if not _is_one_driven_out(pair) or deadline.left < 2 * PAUSE:
            return pair


async def _meet_once(
    context: _Context, deadline: Deadline, key: str, size: int, done: Callable[[_Pair], bool]
) -> _Pair:
    door = context.hbbr_door()
    request = encode_frame(encode_message(RequestRelay(uuid=secrets.token_hex(16), licence_key=key)))
    with contextlib.ExitStack() as stack:
        connections = await asyncio.gather(connect(door, deadline), connect(door, deadline), return_exceptions=True)
        for connection in connections:
            if isinstance(connection, Connection):
                stack.callback(connection.close)
        for connection in connections:
            if isinstance(connection, BaseException):
                raise connection
        left, right = (_Side(cast("Connection", connection), os.urandom(size)) for connection in connections)
        pair = (left, right)
        await left.watch(PAUSE)
        if left.closed:
            detail = f"{door.name} closes connections before anything is asked"
            raise ProofError(Cause.HUNG_UP, detail, door)
        await left.request(request)
        await left.watch(PAUSE)
        await right.request(request)
        changed = asyncio.Event()
        tasks = [asyncio.ensure_future(work) for side in pair for work in (side.send(), side.collect(size, changed))]
        try:
            while not (done(pair) or all(side.closed for side in pair)):
                changed.clear()
                wait = min(_RACE_GRACE, deadline.left) if _is_one_driven_out(pair) else deadline.left
                await asyncio.wait_for(changed.wait(), wait)
        except asyncio.TimeoutError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return pair


def _count_passed(pair: _Pair) -> int:
    """Return how many of the first bytes that one side sent have reached the other unchanged."""
    left, right = pair
    beginnings = ((left.received[:_MARKER_BYTES], right.sends), (right.received[:_MARKER_BYTES], left.sends))
    return max(len(got) if sent.startswith(got) else 0 for got, sent in beginnings)


def _check_met(context: _Context, pair: _Pair) -> None:
    """Fail with the reason unless something sent by one side reached the other.

    Raises:
        ProofError: hbbr refused both, stays silent, or something else answers.
    """
    door = context.hbbr_door()
    left, right = pair
    passed = _count_passed(pair)
    if passed == _MARKER_BYTES:
        return
    if passed:
        raise ProofError(Cause.RELAY_INCOMPLETE, f"no more than {passed} bytes pass through {door.name}", door)
    head = (left.received or right.received)[:16]
    if head:
        raise strange_bytes(door, head, "neither side sent them")
    if left.closed and right.closed:
        raise ProofError(Cause.RELAY_KEY_REFUSED, f"{door.name} closes the connections of this key", door)
    raise ProofError(Cause.RELAY_SILENT, f"{door.name} neither connects two clients nor refuses them", door)


async def _relay_accepted(context: _Context) -> str:
    def done(pair: _Pair) -> bool:
        return any(len(side.received) >= _MARKER_BYTES for side in pair)

    pair = await _meet(context, context.target.key, _MARKER_BYTES, done)
    _check_met(context, pair)
    return "hbbr connects two clients that have this key"


async def _relay_bytes(context: _Context) -> str:
    def done(pair: _Pair) -> bool:
        return all(len(side.received) >= RELAY_BYTES for side in pair)

    door = context.hbbr_door()
    left, right = await _meet(context, context.target.key, RELAY_BYTES, done)
    _check_met(context, (left, right))
    counts = []
    for sender, receiver in ((left, right), (right, left)):
        got, sent = receiver.received, sender.sends
        if got[: len(sent)] != sent[: len(got)]:
            at = next(i for i, (a, b) in enumerate(zip(got, sent)) if a != b)
            raise ProofError(Cause.RELAY_CORRUPT, f"byte {at} was changed on {door.name}", door)
        counts.append(len(got))
    if counts != [RELAY_BYTES, RELAY_BYTES]:
        detail = f"of {RELAY_BYTES} bytes each way through {door.name}, {counts[0]} and {counts[1]} arrived"
        raise ProofError(Cause.RELAY_INCOMPLETE, detail, door)
    return f"{RELAY_BYTES} bytes each way arrive unchanged"


async def _relay_enforced(context: _Context) -> str:
    def done(pair: _Pair) -> bool:
        return any(side.received for side in pair)

    async def refuse(name: str, key: str) -> None:
        door = context.hbbr_door()
        pair = await _meet(context, key, _MARKER_BYTES, done)
        if _count_passed(pair):
            raise ProofError(Cause.RELAY_OPEN, f"hbbr connects two clients that have {name}", door)
        head = (pair[0].received or pair[1].received)[:16]
        if head:
            raise strange_bytes(door, head, "neither side sent them")
        if not all(side.closed for side in pair):
            raise ProofError(Cause.RELAY_SILENT, f"{door.name} does not close connections that have {name}", door)

    wrong = context.wrong_keys()
    await asyncio.gather(*(refuse(name, key) for name, key in wrong.items()))
    return f"hbbr refuses {' and '.join(wrong)}"


_RUN: dict[str, Callable[[_Context], Awaitable[str]]] = {
    "dns": _dns,
    "nat_test": _nat_test,
    "rendezvous_udp": _rendezvous_udp,
    "rendezvous_tcp": _rendezvous_tcp,
    "key_accepted": _key_accepted,
    "key_enforced": _key_enforced,
    "relay_accepted": _relay_accepted,
    "relay_enforced": _relay_enforced,
    "relay_bytes": _relay_bytes,
}


# --- The whole --------------------------------------------------------------------------


async def _prove(context: _Context, name: str) -> ProofResult:
    """Run one proof and turn its outcome into a result."""
    if name in NEED_KEY and not context.target.key:
        return ProofResult(name, "skipped", None, "no key was given", Cause.NO_KEY.value, REMEDIES[Cause.NO_KEY])
    start = time.monotonic()
    try:
        detail = await _RUN[name](context)
    except ProofError as failure:
        return ProofResult(
            name, "failed", milliseconds_since(start), failure.detail, failure.cause.value, failure.remedy
        )
    elapsed = milliseconds_since(start)
    if name == "dns":
        elapsed = max(resolution.milliseconds for resolution in context.names)
    return ProofResult(name, "passed", elapsed, detail)


async def _probe(target: Target, proofs: Sequence[str], timeout: float, *, allow_loopback: bool) -> Report:
    names = list(dict.fromkeys([target.host, target.relay_host]))
    found = await asyncio.gather(*(resolve(name, timeout, allow_loopback=allow_loopback) for name in names))

    async def chosen(resolution: Resolution, port: int) -> Address | ProofError:
        if resolution.failure:
            return resolution.failure
        return await choose(resolution.addresses, port, timeout)

    # A host that is only a relay has nobody on hbbs's port to choose an address by.
    only_relay = len(names) == 1 and all(name == "dns" or name.startswith("relay_") for name in proofs)
    ports = [target.relay_port if only_relay else target.port, target.relay_port]
    addresses = await asyncio.gather(*map(chosen, found, ports))
    context = _Context(target, list(found), addresses[0], addresses[-1], timeout)
    results = await asyncio.gather(*(_prove(context, name) for name in proofs))
    texts = [address.text if isinstance(address, Address) else None for address in addresses]
    return Report(target, texts[0], texts[-1], list(results))


def probe(
    target: Target,
    proofs: Iterable[str] = PROOFS,
    timeout: float = 3.0,
    *,
    allow_loopback: bool = False,
) -> Report:
    """Run the proofs against a server and report each of them.

    Takes at most three times `timeout` seconds: names, the choice among several addresses, and
    the proofs, of which all run side by side.

    Args:
        target: the server, from `Target.parse`.
        proofs: names out of `PROOFS`; reported in that order.
        timeout: seconds for each proof, `MIN_TIMEOUT` to `MAX_TIMEOUT`.
        allow_loopback: accept 127.0.0.0/8 and ::1; for servers that have no console there.

    Raises:
        ProbeArgumentError: an unknown proof or none, a timeout out of range, a loopback address.
    """
    wanted = set(proofs)
    unknown = sorted(wanted - set(PROOFS))
    if unknown or not wanted:
        raise ProbeArgumentError(
            f"proofs must name at least one of {', '.join(PROOFS)}" + (f", not {', '.join(unknown)}" if unknown else "")
        )
    if not MIN_TIMEOUT <= timeout <= MAX_TIMEOUT:
        raise ProbeArgumentError(
            f"timeout must be between {MIN_TIMEOUT:g} and {MAX_TIMEOUT:g} seconds, not {timeout:g}"
        )
    for name, value in (("host", target.host), ("relay", target.relay_host)):
        if not allow_loopback and stays_here(value):
            raise ProbeArgumentError(
                f"{name} {value} cannot be probed, give an address of the server's network "
                "interface: on loopback the ports of the NAT test and of the relay are "
                "administration consoles"
            )
    ordered = [name for name in PROOFS if name in wanted]
    return asyncio.run(_probe(target, ordered, timeout, allow_loopback=allow_loopback))
