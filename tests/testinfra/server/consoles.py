"""The consoles of the daemons, which answer to their own machine only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testinfra.host import Host

ASK = (
    'python3 -c \'import socket, sys; s = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); '
    "s.sendall(sys.argv[2].encode()); print(s.makefile().read())' {0} {1}"
)


def console(host: Host, port: int, command: str) -> str:
    """Ask a daemon something."""
    answer: str = host.check_output(ASK.format(port, command))
    return answer
