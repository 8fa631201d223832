"""Options, the server under test, and the scenarios that run in the background."""

from __future__ import annotations

import socket
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from .lab import Lab, Sources

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKGROUND_S = 60.0
"""Longest time a background scenario may take."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--server", help="name or address of the server (hbbs, or hbbr with --relay-only)")
    group.addoption("--port", type=int, default=21116, help="hbbs's port")
    group.addoption("--relay", help="HOST[:PORT] of hbbr (default: the server, hbbs's port + 1)")
    group.addoption("--key", help="the server's public key, content of id_ed25519.pub")
    group.addoption("--relay-only", action="store_true", help="the server runs hbbr only")
    group.addoption("--always-relay", action="store_true", help="hbbs runs with ALWAYS_USE_RELAY=Y")
    group.addoption(
        "--console-exec",
        metavar="COMMAND",
        help="run the console tests too; COMMAND runs a program on the server ('' when this is the server)",
    )


def pytest_configure(config: pytest.Config) -> None:
    for option in ("--server", "--key"):
        if not config.getoption(option) and not config.getoption("--help"):
            raise pytest.UsageError(f"{option} is missing: the suite needs a running server and its public key")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unwanted = set()
    if config.getoption("--relay-only"):
        unwanted.add("hbbs")
    if config.getoption("--console-exec") is None:
        unwanted.add("console")
    deselected = [item for item in items if any(item.get_closest_marker(name) for name in unwanted)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
    kept = [item for item in items if item not in deselected]
    items[:] = sorted(kept, key=lambda item: item.get_closest_marker("background") is not None)


def _resolve(name: str) -> str:
    return str(socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])


def _reach(config: pytest.Config) -> Lab:
    """Find the server under test; raise OSError when it cannot be reached."""
    option = config.getoption
    server, port = _resolve(option("--server")), option("--port")
    relay_host, _, relay_port = (option("--relay") or "").partition(":")
    relay = (_resolve(relay_host) if relay_host else server, int(relay_port or port + 1))
    lab = Lab(server, port, relay, option("--key"), Sources(server), always_relay=option("--always-relay"))
    for target in (lab.relay,) if option("--relay-only") else (lab.rendezvous, lab.nat_test, lab.relay):
        try:
            lab.connect(target).socket.close()
        except OSError as error:
            raise OSError(f"nothing answers at {target[0]}, TCP port {target[1]}: {error}") from error
    return lab


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    try:
        lab = _reach(pytestconfig)
    except OSError as error:
        pytest.exit(f"The server under test cannot be used: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
    yield lab
    lab.close()


@pytest.fixture(scope="session", autouse=True)
def scenarios(request: pytest.FixtureRequest, lab: Lab) -> Iterator[dict[str, Future[Any]]]:
    """Start the scenarios of the selected background tests, side by side."""
    marked = {item.nodeid: item.get_closest_marker("background") for item in request.session.items}
    chosen = {nodeid: marker.kwargs["scenario"] for nodeid, marker in marked.items() if marker}
    pool = ThreadPoolExecutor(max_workers=len(chosen) or 1)
    yield {nodeid: pool.submit(scenario, lab) for nodeid, scenario in chosen.items()}
    pool.shutdown(wait=False)


@pytest.fixture
def outcome(request: pytest.FixtureRequest, scenarios: dict[str, Future[Any]]) -> Any:
    """What the test's background scenario returned; its exception is the test's."""
    return scenarios[request.node.nodeid].result(BACKGROUND_S)
