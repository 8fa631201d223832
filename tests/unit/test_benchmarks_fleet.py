from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import bench
import fleet
import hosts
from console import Console

if TYPE_CHECKING:
    from collections.abc import Mapping


NAMES = ["fleet-1", "fleet-2"]


def counted(number: int) -> dict[str, Any]:
    return {"remote": number, "by_module": {"ping": number}, "commands": 2 * number, "files": number - 1}


def done(remote: Mapping[str, int], changed: Mapping[str, int] | None = None) -> bench.Counted:
    counts = {host: counted(number) for host, number in remote.items()}
    return bench.Counted(30.0, 20.0, dict(changed or dict.fromkeys(remote, 0)), counts)


# --- Numbers ----------------------------------------------------------------------------------------------------------


def test_a_run_is_that_of_all_endpoints() -> None:
    run = fleet.summed_up("first", done({"fleet-1": 3, "fleet-2": 5, "server-deb12": 9}), NAMES, 1.5)
    assert (run.executions, run.by_module, run.load) == ([3, 5], {"ping": 5}, 1.5)
    assert (run.commands, run.files) == (10, 4)
    assert (run.each, run.ratio, run.shown_executions) == (15.0, 1.5, "3 to 5")


@pytest.mark.parametrize(
    "partial",
    [
        done({"fleet-1": 3}),
        done({"fleet-1": 3, "fleet-2": 0}),
        done({"fleet-1": 3, "fleet-2": 3}, {"fleet-1": 0}),
    ],
)
def test_an_endpoint_that_was_left_out_is_told(partial: bench.Counted) -> None:
    with pytest.raises(bench.BenchError, match="nothing on 1 of 2 endpoints: fleet-2"):
        fleet.summed_up("steady", partial, NAMES, 0.0)


def test_a_run_that_changes_something_is_no_steady_one() -> None:
    fleet.refuse_changes({"fleet-1": 0, "fleet-2": 0})
    with pytest.raises(bench.BenchError, match="changed 1 of 2 endpoints, such as fleet-2"):
        fleet.refuse_changes({"fleet-1": 0, "fleet-2": 1})


# --- Machines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "last"), [(7, "fleet-7"), (50, "fleet-50"), (100, "fleet-100")])
def test_endpoints_sort_as_they_are_numbered(count: int, last: str) -> None:
    names = fleet.endpoint_names(count)
    assert (len(set(names)), names[-1]) == (count, last)
    assert sorted(names) == names


def test_the_endpoints_join_the_group_that_the_lab_has_variables_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "uplink_mtu", lambda: 1400)
    found = fleet.inventory(3)
    assert list(found) == [fleet.GROUP]
    machines = found[fleet.GROUP]["hosts"]
    assert [(name, machine["lab_image"]) for name, machine in machines.items()] == [
        ("fleet-1", "rustdesk-lab/endpoint:bookworm"),
        ("fleet-2", "rustdesk-lab/endpoint:trixie"),
        ("fleet-3", "rustdesk-lab/endpoint:bookworm"),
    ]
    assert machines["fleet-2"]["ansible_host"] == "rustdesk-bench-fleet-2"
    groups: Any = hosts.inventory("bench", hosts.MACHINES, 1400)
    assert fleet.GROUP in groups["rustdesk_endpoints"]["children"]
    [play] = yaml.safe_load(fleet.PLAYBOOK.read_text())
    assert play["hosts"] == "rustdesk_endpoints"


class Setting:
    """Stands in for the file of a sysctl; a fixed one cannot be written."""

    def __init__(self, value: int, *, fixed: bool = False) -> None:
        self.value, self.fixed = value, fixed

    def read_text(self, encoding: str) -> str:
        return f"{self.value}\n" if encoding else ""

    def write_text(self, text: str, encoding: str) -> None:
        if self.fixed:
            raise PermissionError(encoding)
        self.value = int(text)


def room(machines: int, setting: Setting) -> Any:
    stand_in: Any = setting
    return fleet.room_for(machines, stand_in)


@pytest.mark.parametrize("fault", [None, RuntimeError("a fault"), KeyboardInterrupt()])
def test_the_limit_is_raised_for_a_fleet_and_put_back_whatever_happens(fault: BaseException | None) -> None:
    setting, seen = Setting(128), 0

    def within() -> None:
        nonlocal seen
        with room(53, setting):
            seen = setting.value
            if fault:
                raise fault

    if fault:
        with pytest.raises(type(fault)):
            within()
    else:
        within()
    assert (seen, setting.value) == (128 + 4 * 53, 128)


def test_a_limit_that_suffices_is_left_alone() -> None:
    setting = Setting(128)
    with room(16, setting):
        assert setting.value == 128


def test_a_limit_that_somebody_else_has_changed_meanwhile_stays() -> None:
    setting = Setting(128)
    with room(53, setting):
        setting.value = 8192
    assert setting.value == 8192


def test_a_fleet_that_has_no_room_is_refused_before_it_is_made() -> None:
    refused = pytest.raises(
        bench.BenchError, match=r"53 machines take about 212 .* is 128: raise it with sysctl .* --endpoints"
    )
    with refused, room(53, Setting(128, fixed=True)):
        pytest.fail("the fleet was made")


def test_a_fleet_that_may_have_room_is_tried_by_whoever_cannot_raise_the_limit() -> None:
    setting = Setting(128, fixed=True)
    with room(30, setting):
        pass
    assert setting.value == 128


def test_nothing_interrupts_what_puts_things_back(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    monkeypatch.setattr(bench, "ENDINGS", (signal.SIGHUP,))
    before = signal.signal(signal.SIGHUP, lambda number, _: heard.append(number))
    try:
        with bench.undisturbed():
            signal.raise_signal(signal.SIGHUP)
        assert heard == []
        signal.raise_signal(signal.SIGHUP)
        assert heard == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)


# --- Measuring --------------------------------------------------------------------------------------------------------


class Machines:
    """Stands in for Commands, on which the playbook changes ``changed`` tasks of each endpoint, run by run."""

    def __init__(self, changed: list[int]) -> None:
        self.console = Console(io.StringIO())
        self.changed = changed
        self.done: list[str] = []
        self.given: list[tuple[str, ...]] = []

    def run(self, _name: str, command: list[str]) -> str:
        self.done.append(" ".join(command[:2]))
        return ""

    def on(self, _host: str, _name: str, *_command: str) -> str:
        return "a public key\n"

    def playbook(self, _name: str, playbook: Path, *options: str, **given: Any) -> bench.Played:
        self.done.append(playbook.stem)
        self.given.append(options)
        names = options[options.index("--limit") + 1].split(",")
        if environment := given.get("environment"):
            counts = {name: counted(3) for name in names}
            Path(environment["COUNT_EXECUTIONS_FILE"]).write_text(json.dumps(counts))
            return bench.Played(5.0, dict.fromkeys(names, self.changed.pop(0)))
        return bench.Played(4.0, {})


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(bench, "CACHE", tmp_path)
    monkeypatch.setattr(fleet, "INVENTORY", tmp_path / "fleet.json")
    return tmp_path


def test_a_fleet_is_configured_and_then_found_configured(cache: Path) -> None:
    machines: Any = Machines(changed=[9, 0])
    runs = fleet.measure_fleet(machines, {}, 2)
    assert [(run.name, run.ratio, run.executions) for run in runs] == [
        ("first", 1.25, [3, 3]),
        ("steady", 1.25, [3, 3]),
    ]
    assert machines.done == ["docker build", "docker build", "create", "endpoints", "floor", "endpoints", "floor"]
    where = ("--inventory", str(cache / "fleet.json"), "--limit", "fleet-1,fleet-2")
    assert {options[:4] for options in machines.given} == {where}
    assert json.loads(machines.given[1][5]) == {"rustdesk_key": "a public key"}


def test_endpoints_boot_a_few_at_a_time(cache: Path) -> None:
    machines: Any = Machines(changed=[9, 0])
    runs = fleet.measure_fleet(machines, {}, 23)
    assert [len(run.executions) for run in runs] == [23, 23]
    assert machines.done.count("create") == 3
    created = [options[3].split(",") for options in machines.given[:3]]
    assert [len(batch) for batch in created] == [10, 10, 3]
    assert [name for batch in created for name in batch] == list(
        json.loads((cache / "fleet.json").read_text())[fleet.GROUP]["hosts"]
    )


def test_a_fleet_that_is_never_steady_is_not_measured(cache: Path) -> None:
    machines: Any = Machines(changed=[9, 1])
    with pytest.raises(bench.BenchError, match="changed 2 of 2 endpoints"):
        fleet.measure_fleet(machines, {}, 2)
    assert (cache / "fleet.json").exists()
