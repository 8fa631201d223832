"""How long the proofs take, measured on a client machine with the probe itself beside this file (``module_utils``).

Prints the milliseconds of every run as JSON, by proof and in total. Without Ansible, which costs a module's
start besides.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from module_utils.probe import probe
from module_utils.probe_terms import ProbeArgumentError, Target


class UnprovenError(Exception):
    """A proof failed, so its latency says nothing; the text is the probe's own sentence."""


def measure(target: Target, count: int, timeout: float) -> dict[str, list[float]]:
    """Milliseconds by proof, and as ``total``, of each of ``count`` runs.

    Raises:
        UnprovenError: a proof failed.
    """
    found: dict[str, list[float]] = {}
    for _ in range(count):
        start = time.perf_counter()
        report = probe(target, timeout=timeout)
        total = (time.perf_counter() - start) * 1000
        if not report.passed:
            raise UnprovenError(report.message)
        for proof in report.proofs:
            found.setdefault(proof.name, []).append(proof.latency_ms or 0.0)
        found.setdefault("total", []).append(total)
    return found


def main() -> int:
    """Measure and print JSON; a fault is one sentence on stderr and exit status 1."""
    parser = argparse.ArgumentParser(description="Measure the latency of the proofs.")
    parser.add_argument("host")
    parser.add_argument("key", help="the server's public key")
    parser.add_argument("--count", type=int, default=20, help="how often (default: %(default)d)")
    parser.add_argument("--timeout", type=float, default=3.0, help="seconds for each proof (default: %(default)g)")
    arguments = parser.parse_args()
    try:
        target = Target.parse(arguments.host, key=arguments.key)
        print(json.dumps(measure(target, arguments.count, arguments.timeout)))
    except (ProbeArgumentError, UnprovenError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
