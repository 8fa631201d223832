"""A stand-in for RustDesk's OSS rendezvous and relay server: the lab's test equipment, never installed in production.

The package follows the observable behaviour of rustdesk-server 1.1.16: command lines, key files, ports, wire
protocol, local consoles and log lines. The protocol is written here independently of
``plugins/module_utils/rendezvous.py`` on purpose, so that an error in one of the two is seen by the other.
"""

VERSION = "1.1.16"
"""The upstream version whose behaviour is followed, printed by ``--version``."""
