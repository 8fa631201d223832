from __future__ import annotations

import io
import json
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import bench
import fleet
import probe_latency
import relay_speed
import run
import server_role
from console import Console
from module_utils.rendezvous import FrameDecoder, RequestRelay, decode_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

KEY = "a public key"
NO_TARGET: Any = None
PLAYED = {"fleet-1": 0, "fleet-2": 5}


def commands(limit: float = 60.0) -> Any:
    return bench.Commands(Console(io.StringIO()), limit)


# --- Numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "spread"),
    [
        ([7.0], (7.0, 7.0, 7.0, 7.0)),
        ([float(n) for n in range(20, 0, -1)], (10.5, 1.0, 20.0, 19.0)),
        ([float(n) for n in range(1, 22)], (11.0, 1.0, 21.0, 20.0)),
    ],
)
def test_a_spread_is_median_ends_and_what_95_percent_do_not_exceed(
    values: list[float], spread: tuple[float, ...]
) -> None:
    assert server_role.Spread.of(values) == server_role.Spread(*spread)


def sample(speed: float, cpu: float = 1.0, round_trip: float = 2e-5) -> Any:
    return server_role.Sample(forward=speed, backward=speed, round_trip=round_trip, cpu=cpu)


def results() -> Any:
    return run.Results(
        environment={
            "server": {"sentence": "Using the lab server."},
            "processors": 2,
            "load_before": 0.5,
            "load_after": 1.25,
            "ansible_core": "2.19.14",
            "python": "3.11.7",
            "engine": "20.10",
        },
        converges=[
            server_role.Converge("server-deb13", "first", 12.0, 26, 24, {"stat": 26}, 6.0),
            server_role.Converge("server-deb13", "second", 4.5, 9, 3, {"stat": 9}, 3.0),
        ],
        probe={"dns": [1.0, 3.0, 2.0], "total": [100.0, 102.0, 150.0]},
        relay=server_role.Relay([sample(50e6), sample(400e6, 3.0)], [sample(100e6), sample(400e6, 2.0)]),
        fleet=fleet_runs(),
    )


def test_both_ways_together_are_no_faster_than_the_slower_allows() -> None:
    assert server_role.Sample(forward=100.0, backward=300.0, round_trip=1.0, cpu=1.0).speed == pytest.approx(150.0)


def fleet_runs() -> list[fleet.Run]:
    modules = {"rustdesk_probe": 1, "rustdesk_client_info": 1}
    return [
        fleet.Run("first", 100.0, 80.0, 3.5, [24, 24, 22, 24], {"copy": 24}, 14, 7),
        fleet.Run("steady", 12.0, 10.0, 4.0, [2, 2, 2, 2], modules, 0, 0),
    ]


def test_relays_are_compared_round_by_round() -> None:
    relay = results().relay
    assert relay.ratio("speed") == server_role.Spread(0.75, 0.5, 1.0, 1.0)
    assert relay.ratio("cpu").median == pytest.approx(1.25)


def test_the_table_says_what_was_measured_next_to_what() -> None:
    assert run.report(results()) == [
        "Using the lab server.",
        "2 processors, load 0.5 before and 1.2 after, ansible-core 2.19.14, Python 3.11.7, engine 20.10.",
        "",
        "Converge              seconds  executions  as pings  ratio",
        "server-deb13, first      12.0          26     6.0 s   2.00",
        "server-deb13, second      4.5           9     3.0 s   1.50",
        "",
        "Probe, 3 times    median       p95",
        "dns               2.0 ms    3.0 ms",
        "total           102.0 ms  150.0 ms",
        "",
        "Relay, 2 times              throughput           round trip            processor time",
        "hardened unit     225 (50 to 400) MB/s     20 (20 to 20) µs  2.00 (1.00 to 3.00) s/GB",
        "bare             250 (100 to 400) MB/s     20 (20 to 20) µs  1.50 (1.00 to 2.00) s/GB",
        "hardened : bare    0.75 (0.50 to 1.00)  1.00 (1.00 to 1.00)       1.25 (1.00 to 1.50)",
        "One session at a time. hbbr's limits were set to 1000000 Mbit/s: in the unit by role variables,",
        "for the bare one by its environment.",
        "",
        "Fleet, 4 endpoints  seconds  per endpoint  executions each  commands  files  as pings  ratio  load",
        "first run             100.0       25.00 s         22 to 24        14      7    80.0 s   1.25   3.5",
        "steady run             12.0        3.00 s                2         0      0    10.0 s   1.20   4.0",
        "Executed on an endpoint by the steady run: rustdesk_client_info 1, rustdesk_probe 1.",
        "Endpoints: containers with systemd, in turns Debian 12 and Debian 13, each with one user and the",
        "stub client running as a service. No firewall is active on them. Each run proves that all reach server-deb12.",
    ]


def test_a_figure_that_was_not_asked_for_is_left_out() -> None:
    only = run.Results(environment=results().environment, fleet=fleet_runs())
    assert [line.split(",")[0] for line in run.report(only)[2:4]] == ["", "Fleet"]
    assert len(run.report(only)) == 9
    found = json.loads(json.dumps(only.as_json()))
    assert (found["converges"], found["probe_ms"], found["relay"]) == ([], {}, {})


def test_the_file_holds_the_values_and_the_ratios() -> None:
    found = json.loads(json.dumps(results().as_json()))
    assert [converge["ratio"] for converge in found["converges"]] == [2.0, 1.5]
    assert found["probe_ms"]["dns"] == {
        "values": [1.0, 3.0, 2.0],
        "spread": {"median": 2.0, "low": 1, "high": 3, "p95": 3},
    }
    assert found["relay"]["speed_ratio"]["median"] == 0.75
    assert len(found["relay"]["bare"]) == 2
    assert [(each["ratio"], each["seconds_each"], each["executions_each"]) for each in found["fleet"]] == [
        (1.25, 25.0, 23.5),
        (1.2, 3.0, 2.0),
    ]


# --- Running things ---------------------------------------------------------------------------------------------------


def alive(pid: int) -> bool:
    """Whether a process still runs; one that ended and that nobody waited for does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_command_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    start = time.monotonic()
    with pytest.raises(bench.BenchError, match="sleep a while: not done in the time that was left"):
        commands(0.5).run("sleep a while", ["sh", "-c", f"sleep 60 & echo $! >{note}; wait"])
    assert time.monotonic() - start < 20
    pid, patience = int(note.read_text()), time.monotonic() + 5
    while alive(pid) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not alive(pid)


def test_time_that_is_up_is_up_for_the_next_command_too() -> None:
    spent = commands(0.0)
    with pytest.raises(bench.BenchError, match="not done"):
        spent.run("sleep", ["sleep", "5"])
    assert spent.run("remove", ["echo", "gone"], limit=5.0) == "gone\n"


def test_a_failed_command_is_told_with_its_last_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "bench.log"
    monkeypatch.setattr(bench, "LOG", log)
    with pytest.raises(bench.BenchError) as caught:
        commands().run("try", ["sh", "-c", "seq 100; echo broken >&2; exit 3"])
    lines = str(caught.value).splitlines()
    assert lines[0] == f"try: sh ended with status 3; all it said is in {log}:"
    assert (lines[1], lines[-1]) == ("62", "broken")
    assert log.read_text().splitlines()[0] == "1"


def test_the_reason_is_told_and_not_the_recap_of_many_hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "LOG", tmp_path / "bench.log")
    with pytest.raises(bench.BenchError) as caught:
        commands().run("try", ["sh", "-c", "echo reason; echo; echo 'PLAY RECAP ***'; seq 100; exit 2"])
    assert str(caught.value).splitlines()[1:] == ["reason"]
    assert (tmp_path / "bench.log").read_text().splitlines()[-1] == "100"


class Recorder:
    """Stands in for Commands; ``fault`` is raised by the playbook of that name."""

    def __init__(self, faults: Mapping[str, BaseException] | None = None) -> None:
        self.console = Console(io.StringIO())
        self.faults = dict(faults or {})
        self.done: list[str] = []
        self.limits: list[float | None] = []

    def playbook(self, name: str, playbook: Path, *_: str, limit: float | None = None, **__: Any) -> bench.Played:
        self.done.append(playbook.stem)
        self.limits.append(limit)
        if name in self.faults:
            raise self.faults[name]
        return bench.Played(1.0, {})


@pytest.mark.parametrize("fault", [None, RuntimeError("a fault"), KeyboardInterrupt()])
def test_the_lab_is_removed_whatever_happens_in_it(fault: BaseException | None) -> None:
    recorder: Any = Recorder()
    with suppress(RuntimeError, KeyboardInterrupt), bench.lab(recorder, {}, ["outside"]):
        recorder.done.append("measure")
        if fault:
            raise fault
    assert recorder.done == ["destroy", "create", "measure", "destroy"]
    assert recorder.limits[-1] == bench.REMOVAL_SECONDS


def test_the_removal_of_more_machines_may_take_longer() -> None:
    recorder: Any = Recorder()
    with bench.lab(recorder, {}, ["outside"], more=50):
        pass
    assert recorder.limits == [160.0, None, 160.0]


def test_a_lab_that_was_only_half_made_is_removed() -> None:
    recorder: Any = Recorder({"create the machines": bench.BenchError("no")})
    with pytest.raises(bench.BenchError), bench.lab(recorder, {}, ["outside"]):
        recorder.done.append("measure")
    assert recorder.done == ["destroy", "create", "destroy"]


def test_the_relays_take_turns_and_none_always_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    order = []

    def measured(_commands: Any, port: int, pid: int, key: str) -> Any:
        order.append((port, pid, key))
        return sample(float(port))

    monkeypatch.setattr(server_role, "start_bare", lambda _: None)
    monkeypatch.setattr(server_role, "public_key", lambda *_: KEY)
    monkeypatch.setattr(server_role, "measure_sample", measured)
    answers = {"find the hardened relay": "11\n", "find the bare relay": "22\n"}
    machine: Any = SimpleNamespace(console=Console(io.StringIO()), on=lambda _host, name, *_command: answers[name])
    relay = server_role.measure_relay(machine, rounds=3)
    hardened, bare = (server_role.RELAY_PORT, 11, KEY), (server_role.BARE_PORT, 22, KEY)
    assert order == [hardened, bare, bare, hardened, hardened, bare]
    assert {each.forward for each in relay.hardened} == {float(server_role.RELAY_PORT)}
    assert {each.forward for each in relay.bare} == {float(server_role.BARE_PORT)}


def test_processor_time_is_read_whatever_the_program_is_called() -> None:
    stat = "42 (a) b) S " + " ".join(str(number) for number in range(4, 53))
    machine: Any = SimpleNamespace(on=lambda *_: stat)
    assert server_role.processor_seconds(machine, 42) == (14 + 15) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("colour", ["", "\x1b[0;32m"])
def test_the_recap_tells_what_changed(colour: str) -> None:
    over = "\x1b[0m" if colour else ""
    recap = [
        f"{colour}{host}{over}{' ' * 9}: {colour}ok=11{over}  changed={n}  skipped=2" for host, n in PLAYED.items()
    ]
    assert bench.changes("\n".join(["PLAY RECAP ***", *recap, ""])) == PLAYED


class Player(Recorder):
    """A recorder whose playbooks execute ``counts``, and which keeps what the others were given."""

    counts: Mapping[str, int] = {"fleet-1": 3, "fleet-2": 4}

    def playbook(self, name: str, playbook: Path, *options: str, **given: Any) -> bench.Played:
        self.options = options
        if environment := given.get("environment"):
            found = {host: {"remote": number} for host, number in self.counts.items()}
            Path(environment["COUNT_EXECUTIONS_FILE"]).write_text(json.dumps(found))
        return super().playbook(name, playbook, *options)


def test_the_floor_is_as_many_pings_on_each_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "CACHE", tmp_path)
    player: Any = Player()
    done = bench.counted(player, "run", Path("endpoints.yml"), ["--limit", "fleet-1,fleet-2"], {"rustdesk_key": KEY})
    assert player.done == ["endpoints", "floor"]
    assert player.options[:3] == ("--limit", "fleet-1,fleet-2", "--extra-vars")
    assert json.loads(player.options[3]) == {"bench_executions": player.counts}
    assert {host: count["remote"] for host, count in done.counts.items()} == player.counts
    assert list(tmp_path.iterdir()) == []


def test_counts_of_an_earlier_run_are_not_taken_for_new_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "CACHE", tmp_path)
    (tmp_path / "bench-executions.json").write_text('{"fleet-1": {"remote": 9}}')
    recorder: Any = Recorder()
    with pytest.raises(FileNotFoundError):
        bench.counted(recorder, "run", Path("endpoints.yml"), [], {})


def test_two_benches_do_not_run_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "CACHE", tmp_path)
    with bench.alone(), pytest.raises(bench.BenchError, match="another bench"), bench.alone():
        pass


# --- What is measured -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figures", "servers"),
    [
        ({"fleet"}, ["server-deb12"]),
        ({"probe", "relay"}, ["server-deb13"]),
        ({"relay", "fleet"}, ["server-deb13", "server-deb12"]),
        ({"converge"}, ["server-deb13", "server-deb12"]),
    ],
)
def test_a_figure_has_the_servers_it_is_measured_with(figures: set[str], servers: list[str]) -> None:
    assert run.needed_servers(figures) == servers


def test_the_time_grows_with_the_fleet_alone() -> None:
    assert run.seconds_for({"relay"}, 1000) == 180.0
    assert run.seconds_for({"fleet"}, 50) == 240.0 + 50 * run.ENDPOINT_SECONDS


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a bench did, with everything replaced that takes time."""
    done: list[str] = []

    def note(name: str, answer: Any) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            done.append(" ".join([name, *(str(each) for each in arguments if isinstance(each, str | int))]))
            return answer

        return noted

    @contextmanager
    def entered(name: str, *arguments: Any) -> Iterator[None]:
        done.append(" ".join([f"{name}:", *(str(each) for each in arguments if isinstance(each, int))]))
        try:
            yield
        finally:
            done.append(f"{name} is over")

    monkeypatch.setattr(run, "chosen_archive", lambda _: {"sentence": "The lab server."})
    monkeypatch.setattr(run, "describe_environment", lambda *_: {})
    monkeypatch.setattr(run, "lab", lambda *arguments: entered("lab", *arguments))
    monkeypatch.setattr(fleet, "room_for", lambda *arguments: entered("room", *arguments))
    monkeypatch.setattr(fleet, "measure_fleet", note("fleet", fleet_runs()))
    for name, answer in (("converges", []), ("probe", {}), ("relay", results().relay)):
        monkeypatch.setattr(server_role, f"measure_{name}", note(name, answer))
    monkeypatch.setattr(server_role, "deploy", note("deploy", None))
    monkeypatch.setattr(server_role, "prepare_client", lambda _: None)
    return done


def test_each_figure_can_be_measured_alone(measured: list[str]) -> None:
    found = run.measure(commands(), ["fleet"], 7)
    assert measured == [
        "room: 10",
        "lab: 7",
        "deploy server-deb12",
        "fleet 7",
        "lab is over",
        "room is over",
    ]
    assert found.fleet == fleet_runs()
    measured.clear()
    run.measure(commands(), ["probe"], 7)
    assert measured == ["lab: 0", "deploy server-deb13", "probe", "lab is over"]


def test_the_whole_bench_deploys_nothing_unmeasured_and_the_fleet_comes_last(measured: list[str]) -> None:
    run.measure(commands(), list(run.SECONDS), 50)
    assert measured[2:-2] == ["converges", "probe", "relay", "fleet 50"]


@pytest.mark.parametrize("text", ["0", "-1", "many", ""])
def test_a_fleet_has_endpoints(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.parsed([f"--endpoints={text}"])
    assert f"'{text}' has to be 1 or more" in capsys.readouterr().err


def test_all_is_measured_on_50_endpoints_unless_asked_otherwise() -> None:
    usual, asked = run.parsed([]), run.parsed(["--only", "fleet", "--only", "probe", "--endpoints", "7"])
    assert (usual.only, usual.endpoints) == (None, 50)
    assert (asked.only, asked.endpoints) == (["fleet", "probe"], 7)


# --- The client of the relay ------------------------------------------------------------------------------------------


class StandInRelay:
    """Pairs connections by their uuid as hbbr does; ``passing`` is what it makes of the bytes it passes on."""

    def __init__(self, passing: Callable[[bytes], bytes]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._passing = passing
        self._waiting: dict[str, socket.socket] = {}
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        for connection in (self._listener, *self._sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._sockets.append(connection)
                self._welcome(connection)

    def _welcome(self, connection: socket.socket) -> None:
        decoder = FrameDecoder()
        while (frame := decoder.next_frame()) is None:
            decoder.feed(connection.recv(4096))
        request = decode_message(frame)
        assert isinstance(request, RequestRelay)
        if request.licence_key != KEY:
            connection.close()
        elif request.uuid in self._waiting:
            other = self._waiting.pop(request.uuid)
            for ends in ((connection, other), (other, connection)):
                self._threads.append(threading.Thread(target=self._pump, args=ends))
                self._threads[-1].start()
        else:
            self._waiting[request.uuid] = connection

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(64 * 1024):
                target.sendall(self._passing(data))
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(passing: Callable[[bytes], bytes] = lambda data: data) -> Iterator[tuple[str, int]]:
    stand_in = StandInRelay(passing)
    try:
        yield stand_in.address
    finally:
        stand_in.close()


def slowly(data: bytes) -> bytes:
    time.sleep(0.01)
    return data


def test_the_relay_client_stops_at_its_count() -> None:
    size = 3 * relay_speed.CHUNK + 1
    with relay() as address:
        speed = relay_speed.measure(address, KEY, size, 10.0)
    assert speed.moved == 2 * size
    assert min(speed.forward, speed.backward, speed.round_trip) > 0


def test_the_relay_client_stops_at_its_time() -> None:
    with relay(slowly) as address:
        start = time.monotonic()
        speed = relay_speed.measure(address, KEY, 10**12, 0.3)
        elapsed = time.monotonic() - start
    assert 0 < speed.moved < 10**12
    assert elapsed < 5
    assert 0.02 < speed.round_trip < 0.3
    assert speed.forward < 64 * 1024 / 0.01


def test_a_relay_that_refuses_the_key_is_a_sentence() -> None:
    with relay() as address, pytest.raises((relay_speed.RelayError, OSError)) as caught:
        relay_speed.measure(address, "another key", 1000, 1.0)
    assert "Traceback" not in str(caught.value)


def test_a_relay_that_changes_bytes_is_not_measured() -> None:
    with relay(bytes.swapcase) as address, pytest.raises(relay_speed.RelayError, match="other bytes"):
        relay_speed.measure(address, KEY, 1000, 1.0)


def test_a_session_that_ends_early_is_not_measured() -> None:
    passed = []

    def tired(data: bytes) -> bytes:
        passed.append(len(data))
        if sum(passed) > 100_000:
            raise OSError
        return data

    with relay(tired) as address:
        first, second = relay_speed.open_session(address, KEY)
        with first, second, pytest.raises((relay_speed.RelayError, OSError)):
            relay_speed.transfer(first, second, 10**9, 5.0)


# --- The client of the probe ------------------------------------------------------------------------------------------


def test_probe_runs_are_collected_by_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    proofs = [SimpleNamespace(name="dns", latency_ms=1.5), SimpleNamespace(name="nat_test", latency_ms=2.5)]
    monkeypatch.setattr(probe_latency, "probe", lambda *_, **__: SimpleNamespace(passed=True, proofs=proofs))
    found = probe_latency.measure(NO_TARGET, 3, 1.0)
    assert list(found) == ["dns", "nat_test", "total"]
    assert found["dns"] == [1.5, 1.5, 1.5]
    assert len(found["total"]) == 3


def test_a_failed_proof_has_no_latency_worth_knowing(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(passed=False, proofs=[], message="RustDesk at a failed dns: it does not resolve.")
    monkeypatch.setattr(probe_latency, "probe", lambda *_, **__: failed)
    with pytest.raises(probe_latency.UnprovenError, match="failed dns"):
        probe_latency.measure(NO_TARGET, 3, 1.0)
