"""The launchers' proofs are called as those of the probe, and say the same."""

from __future__ import annotations

import json

from ansible.module_utils.probe_terms import PROOFS, REMEDIES

from .toolchain import ROOT


def test_the_vectors_are_what_the_probe_says() -> None:
    shared = json.loads((ROOT / "tests" / "vectors" / "proofs.json").read_text(encoding="utf-8"))
    assert shared["proofs"] == list(PROOFS)
    assert shared["remedies"] == {cause.value: remedy for cause, remedy in REMEDIES.items()}
