"""Speed of one relayed session, measured from a client machine: two connections that one hbbr pairs.

Runs on the client machine with the protocol library beside it (``module_utils/rendezvous.py``), and prints as JSON
bytes per second for each direction, and the round trip of a message as small as a mouse movement.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import socket
import statistics
import sys
import threading
import time
from dataclasses import asdict, dataclass

from module_utils.rendezvous import RequestRelay, encode_frame, encode_message

MEGABYTE = 1_000_000
CHUNK = 256 * 1024
MARKER = b"both ends of the session"
PAIRING_PAUSE = 0.1
"""Seconds between the two requests: hbbr must have stored the first before the second asks for it."""
PATIENCE = 5.0
"""Seconds to wait for a connection, for pairing, and for bytes that stopped coming."""
ROUND_TRIPS = 2000
"""How many at most."""


class RelayError(Exception):
    """The session did not come about; the text is one sentence."""


@dataclass(frozen=True)
class Speed:
    """Bytes per second from the first connection to the second and back, how many bytes that were in all, and the
    median of the round trips in seconds.
    """

    forward: float
    backward: float
    moved: int
    round_trip: float


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """The next bytes of a connection.

    Raises:
        RelayError: it was closed before, as hbbr does with a key that it refuses.
    """
    received = b""
    while len(received) < size:
        data = connection.recv(size - len(received))
        if not data:
            raise RelayError("hbbr closed the session before it began: check the key")
        received += data
    return received


def open_session(address: tuple[str, int], key: str) -> tuple[socket.socket, socket.socket]:
    """Two connections that hbbr has paired; no wait on them is longer than ``PATIENCE``.

    Raises:
        RelayError: hbbr does not pair them.
        OSError: it cannot be reached, or stays silent.
    """
    request = encode_frame(encode_message(RequestRelay(uuid=secrets.token_hex(16), licence_key=key)))
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(socket.create_connection(address, timeout=PATIENCE)) for _ in range(2)]
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.sendall(request)
            time.sleep(PAIRING_PAUSE)
        for sender, receiver in (ends, ends[::-1]):
            sender.sendall(MARKER)
            if receive_exactly(receiver, len(MARKER)) != MARKER:
                raise RelayError("hbbr passed on other bytes than it was given")
        stack.pop_all()
    return ends[0], ends[1]


def transfer(sender: socket.socket, receiver: socket.socket, size: int, seconds: float) -> tuple[int, float]:
    """Bytes moved and seconds taken by a transfer of ``size`` bytes that lasts ``seconds`` at most.

    Raises:
        RelayError: the session ended before.
    """
    over = threading.Event()

    def send() -> None:
        chunk = memoryview(bytes(CHUNK))
        left = size
        with contextlib.suppress(OSError):
            while left and not over.is_set():
                left -= sender.send(chunk[: min(left, CHUNK)])

    buffer = bytearray(CHUNK)
    received = 0
    thread = threading.Thread(target=send, daemon=True)
    start = time.perf_counter()
    deadline = start + seconds
    thread.start()
    try:
        while received < size and time.perf_counter() < deadline:
            count = receiver.recv_into(buffer)
            if not count:
                raise RelayError(f"hbbr ended the session after {received} of {size} bytes")
            received += count
        elapsed = time.perf_counter() - start
    finally:
        over.set()
    if received == size:
        thread.join()
    return received, elapsed


def round_trips(first: socket.socket, second: socket.socket, seconds: float) -> list[float]:
    """Seconds of messages that go to the other end and back, one after the other, for ``seconds`` at most."""
    found: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(found) < ROUND_TRIPS and time.perf_counter() < deadline:
        start = time.perf_counter()
        for sender, receiver in ((first, second), (second, first)):
            sender.sendall(MARKER)
            receive_exactly(receiver, len(MARKER))
        found.append(time.perf_counter() - start)
    return found


def transfer_apart(
    address: tuple[str, int], key: str, size: int, seconds: float, *, forward: bool
) -> tuple[int, float]:
    """One transfer in a session of its own: one that was cut off leaves nothing behind for the next."""
    first, second = open_session(address, key)
    with first, second:
        sender, receiver = (first, second) if forward else (second, first)
        return transfer(sender, receiver, size, seconds)


def measure(address: tuple[str, int], key: str, size: int, seconds: float) -> Speed:
    """Small messages first, then ``size`` bytes forth, then back, ``seconds`` each at most.

    Raises:
        RelayError: there was no session, or it ended too early.
        OSError: the network failed.
    """
    first, second = open_session(address, key)
    with first, second:
        trips = round_trips(first, second, seconds)
    forth, forth_seconds = transfer_apart(address, key, size, seconds, forward=True)
    back, back_seconds = transfer_apart(address, key, size, seconds, forward=False)
    return Speed(forth / forth_seconds, back / back_seconds, forth + back, statistics.median(trips))


def main() -> int:
    """Measure and print JSON; a fault is one sentence on stderr and exit status 1."""
    parser = argparse.ArgumentParser(description="Measure the speed of a relay.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("key", help="the server's public key")
    parser.add_argument("--megabytes", type=float, default=16000.0, help="at most, each way (default: %(default)g)")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="at most, each way, and for the round trips (default: %(default)g)"
    )
    arguments = parser.parse_args()
    size = int(arguments.megabytes * MEGABYTE)
    try:
        speed = measure((arguments.host, arguments.port), arguments.key, size, arguments.seconds)
    except (OSError, RelayError) as error:
        print(f"{arguments.host}:{arguments.port}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(speed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
