"""Modules answer as the transcript says: the lab's model here, real Windows in the workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from windows_plays import FLAGS, Result, at, run

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("transcript.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def answers() -> dict[str, Result]:
    tasks = [
        {case["module"]: case["args"], "check_mode": case.get("check", False), "diff": case.get("diff", False)}
        for case in CASES
    ]
    return dict(zip((case["name"] for case in CASES), run(tasks), strict=True))


def test_no_two_cases_have_one_name() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if "any" not in case["expect"]], ids=lambda case: case["name"])
def test_module_answers_as_written(case: dict[str, Any], answers: dict[str, Result]) -> None:
    answer, expected = answers[case["name"]], case["expect"]
    flags = {flag: answer[flag] for flag in FLAGS}
    assert flags == {flag: expected.get(flag, False) for flag in FLAGS}, answer
    assert str(expected.get("msg", "")) in str(answer.get("msg", "")), answer
    wanted = expected.get("values", {})
    assert {way: at(answer, way) for way in wanted} == wanted
    for way in expected.get("keys", ()):
        at(answer, way)
