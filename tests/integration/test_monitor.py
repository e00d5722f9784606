"""The receiver's own HTTP port, asked as probes, Prometheus and operators ask it."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands import BIN, RunningReceiver, options, run, send
from tests.integration.monitored import INTEGRATIONS, STREAMS, Monitored, total
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulated import SimulatedSets


GROUPS = 3


def test_it_is_alive_before_it_is_ready_and_not_ready_when_it_closes(
    monitored: Any, three_streams: Path, tmp_path: Path
) -> None:
    command = ["sh", "-c", f"while [ ! -e {tmp_path}/go-on ]; do sleep 0.02; done"]
    running = monitored({"consumer.command": json.dumps(command)}, ready=False)
    wait_until(lambda: running.status("/healthz") == 200, "somebody listens")
    status, why, _ = running.ask("/readyz")
    assert (status, why) == (503, "starting: packets cannot come yet\n")
    assert running.summary()["state"] == "starting"
    ready_file = tmp_path / "ready.json"
    wait_until(lambda: running.status("/readyz") == 200, "it is ready")
    wait_until(ready_file.exists, "it says so to all")
    running.receiver.ports = json.loads(ready_file.read_text())["ports"]
    assert running.ask("/readyz")[1] == "ready\n"
    assert send(running.receiver, three_streams, STREAMS).returncode == 0
    wait_until(lambda: running.status("/readyz") == 503, "it closes")
    assert running.ask("/readyz")[1] == "closing: nothing is received any more\n"
    assert running.status("/healthz") == 200
    wait_until(lambda: running.summary()["sets"], "the set is closed, its command runs")
    told = running.summary()
    assert told["state"] == "closing"
    assert told["commands"]["run"] == 0
    # To ask for the end now must not end the command, as a second signal would.
    status, text, _ = running.ask("/stop", "POST")
    assert (status, text) == (202, "the end has begun already\n")
    (tmp_path / "go-on").touch()
    assert running.receiver.wait() == 0, running.receiver.log
    assert running.receiver.summary()["commands"] == {"run": 1, "failed": 0, "failures": []}
    assert running.status("/healthz") is None


def test_metrics_add_up_and_are_the_ledger(monitored: Any, three_streams: Path) -> None:
    running = monitored({"reception.max_scans": 0, "reception.idle_timeout": 0})
    # Of the second stream everything is sent to where nobody listens.
    first, _, third = running.receiver.ports
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        lost = nobody.getsockname()[1]
        endpoints = ",".join(f"127.0.0.1:{port}" for port in (first, lost, third))
        for scan in (1, 2):
            values = {"transmission.endpoints": endpoints, "transmission.scan_id": scan}
            assert send(running.receiver, three_streams, STREAMS | values).returncode == 0
            wait_until(
                lambda scan=scan: total(running.metrics()["vis_receive_sets_closed_total"]) == scan,
                "the scan has ended and its set is closed",
            )
    told = {name.removeprefix("vis_receive_"): f for name, f in running.metrics().items()}
    live = running.summary()
    running.stop()
    summary = running.receiver.summary()
    # Before the end nobody knows how it will be.
    assert (live.pop("ended_by"), summary.pop("ended_by")) == (None, "stopped")
    assert (live.pop("exit_code"), summary.pop("exit_code")) == (None, 0)
    assert {key: live[key] for key in summary} == summary
    assert live["state"] == "receiving"
    assert live["current_scan"] is None

    assert len(summary["scans"]) == 2
    for key in ("expected", "received", "missing"):
        by_group = told[f"heaps_{key}_total"].samples
        for group in range(GROUPS):
            ledger = sum(scan["groups"][group][key] for scan in summary["scans"])
            assert by_group[(("group", str(group)),)] == ledger
    assert total(told["heaps_expected_total"]) == 2 * INTEGRATIONS * GROUPS
    assert total(told["heaps_expected_total"]) == total(told["heaps_received_total"]) + total(
        told["heaps_missing_total"]
    )
    assert list(told["heaps_network_lost"].samples.values()) == [0, 2 * INTEGRATIONS, 0]
    assert total(told["heaps_refused_total"]) == 0
    assert len(told["heaps_refused_total"].samples) == GROUPS * 9
    assert total(told["received_bytes_total"]) == summary["payload_bytes"] > 0
    assert total(told["kernel_dropped_packets_total"]) == summary["kernel_dropped_packets"]
    assert total(told["dumps_total"]) == 2 * INTEGRATIONS
    assert total(told["scans_ended_total"]) == 2
    by = {labels[0][1]: n for labels, n in told["scans_ended_by_total"].samples.items() if n}
    assert by == {scan["ended_by"]: 2 for scan in summary["scans"]} == {"streams-ended": 2}
    assert total(told["scans_incomplete_total"]) == total(told["run_ended_by"]) == 0
    assert told["consumer_dumps_taken_total"].samples == {
        (("consumer", "mswriter"),): 2 * INTEGRATIONS
    }
    assert total(told["consumer_dumps_dropped_total"]) == 0
    assert total(told["sets_closed_total"]) == len(summary["sets"]) == 2
    assert total(told["pool_free_dumps"]) == total(told["pool_dumps"]) > 0
    assert total(told["scan_number"]) == 0
    assert told["state"].samples[(("state", "receiving"),)] == 1
    assert total(told["ready"]) == total(told["healthy"]) == 1


def test_what_is_refused_is_counted_by_reason(monitored: Any, three_streams: Path) -> None:
    running = monitored({"reception.idle_timeout": 0})
    values = {"transmission.channels_per_stream": 6, "transmission.endpoints": None}
    ports = running.receiver.ports[:2]
    values["transmission.endpoints"] = ",".join(f"127.0.0.1:{port}" for port in ports)
    assert send(running.receiver, three_streams, values).returncode == 0

    def refused() -> dict[Any, float]:
        return running.metrics()["vis_receive_heaps_refused_total"].samples

    size = (("group", "0"), ("reason", "size"))
    wait_until(lambda: refused()[size] == INTEGRATIONS, "heaps of a wrong size are refused")
    running.stop()
    outside = running.receiver.summary()["heaps_refused_outside_scans"]
    assert outside["size"] == INTEGRATIONS


def test_the_scan_that_is_being_received_is_told(
    monitored: Any, three_streams: Path, tmp_path: Path
) -> None:
    running = monitored({"reception.idle_timeout": 0})
    values = STREAMS | {
        "transmission.endpoints": running.receiver.endpoints,
        "transmission.time_interval": 600,
        "transmission.scan_id": 77,
    }
    sender = subprocess.Popen(
        [BIN / "emu-send", *options(values), three_streams], stderr=subprocess.DEVNULL
    )
    try:
        scans = lambda: running.summary()["scans"]  # noqa: E731
        wait_until(lambda: scans() and scans()[0]["heaps_received"] == GROUPS, "a dump came")
    finally:
        sender.kill()
        sender.wait()
    told = running.metrics()
    info = told["vis_receive_scan_info"].samples
    assert info == {(("scan", "1"), ("scan_id", "77")): 1}
    assert running.summary()["current_scan"] == 1
    assert running.summary()["version"]
    running.stop()
    summary = running.receiver.summary()
    assert [scan["scan_id"] for scan in summary["scans"]] == [77]
    assert not summary["lost"]
    assert (tmp_path / "received.ms").is_dir()


def test_a_signal_is_still_told_apart(monitored: Any) -> None:
    running = monitored()
    running.receiver.process.terminate()
    assert running.receiver.wait() == 143


def test_other_paths_and_methods_get_one_clear_line(monitored: Any) -> None:
    running = monitored({"monitor.bind_hostname": ""})
    status, listed, _ = running.ask("/")
    assert status == 200
    for path in ("/healthz", "/readyz", "/metrics", "/summary"):
        assert path in listed
        status, body, headers = running.ask(f"{path}?verbose=1", "HEAD")
        assert (status, body) == (200, "")
        assert int(headers["Content-Length"]) > 0
        status, text, headers = running.ask(path, "POST")
        assert (status, text) == (405, f"{path} takes GET or HEAD\n")
        assert headers["Allow"] == "GET, HEAD"
    status, text, headers = running.ask("/stop")
    assert (status, text, headers["Allow"]) == (405, "/stop takes POST\n", "POST")
    for method in ("GET", "POST", "BREW"):
        status, text, _ = running.ask("/metric", method)
        assert (status, text) == (404, "there is no such path; GET / lists them\n")
    for nonsense in (
        b"\x16\x03\x01\x02\n\n",
        b"GET\r\n\r\n",
        b"x" * 100_000,
        b"GET /[ HTTP/1.1\n\n",
    ):
        with socket.create_connection(("127.0.0.1", running.port), 10) as raw:
            try:
                raw.sendall(nonsense)
                answer = raw.makefile("rb").read()
            except ConnectionError:
                continue
            assert answer.split(b" ")[1] in {b"400", b"404", b"414"}, answer
    # All addresses means the newer family too.
    running.host = "::1" if socket.has_dualstack_ipv6() else "127.0.0.1"
    assert running.status("/healthz") == 200
    running.stop()
    assert "Traceback" not in running.receiver.log
    assert "/metric" not in running.receiver.log


def test_slow_clients_keep_nobody_else_waiting(monitored: Any) -> None:
    running = monitored()
    slow = [socket.create_connection(("127.0.0.1", running.port), 30) for _ in range(60)]
    try:
        for one in slow:
            one.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        began_s = time.monotonic()
        assert running.status("/healthz") == 200
        assert time.monotonic() - began_s < 5
        # However slowly they go on, they are got rid of.
        for one in slow:
            while True:
                try:
                    one.sendall(b"x")
                    if one.recv(1, socket.MSG_DONTWAIT) == b"":
                        break
                except BlockingIOError:
                    threading.Event().wait(0.02)
                except ConnectionError:
                    break
                assert time.monotonic() - began_s < 30
    finally:
        for one in slow:
            one.close()
    running.stop()


def test_many_who_ask_cost_no_data(
    simulated_set: SimulatedSets, tmp_path: Path, started: list[RunningReceiver]
) -> None:
    ms = simulated_set(num_antennas=16, integrations=200, channels=64)
    running = Monitored(tmp_path, ms, {"transmission.channels_per_stream": 16})
    started.append(running.receiver)
    over = threading.Event()

    def ask_again_and_again(number: int) -> int:
        asked = 0
        while not over.is_set():
            try:
                status = running.ask(("/metrics", "/summary", "/readyz")[number % 3])[0]
            except (ConnectionError, HTTPException, TimeoutError):
                # It is over, or the oldest were given up for newer ones.
                continue
            assert status in {200, 503}
            asked += 1
        return asked

    values = {
        "transmission.channels_per_stream": 16,
        # 200 integrations of 260 kB in 4 s.
        "transmission.time_interval": 0.02,
    }
    with ThreadPoolExecutor(12) as pool:
        asking = [pool.submit(ask_again_and_again, number) for number in range(12)]
        try:
            sent = send(running.receiver, ms, values)
            code = running.receiver.wait()
        finally:
            over.set()
    assert sent.returncode == 0, sent.stderr
    assert code == 0, running.receiver.log
    assert sum(one.result() for one in asking) > 100
    summary = running.receiver.summary()
    assert not summary["lost"], summary
    assert summary["scans"][0]["heaps_received"] == 200 * 4


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_a_port_in_use_is_named(tmp_path: Path, three_streams: Path, host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        values = {
            "reception.datamodel": three_streams,
            "reception.outputfilename": tmp_path / "received.ms",
            "monitor.port": port,
            "monitor.bind_hostname": host,
        }
        done = run("emu-recv", *options(values))
    assert done.returncode == 5, done.stderr
    assert f"monitor.port = {port} on {host} is in use" in done.stderr.splitlines()[-1]


def test_each_of_several_processes_has_a_port_of_its_own(
    monitored: Any, three_streams: Path, tmp_path: Path
) -> None:
    running = monitored(flags=["--processes", str(GROUPS)])
    for index in range(GROUPS):
        status, text, _ = running.ask("/readyz", port=index)
        assert (status, text) == (200, "ready\n")
    # The first ends, the others go on.
    assert running.ask("/stop", "POST")[0] == 202
    wait_until(lambda: running.status("/healthz") is None, "the first has ended")
    assert running.ask("/readyz", port=1)[0] == 200
    for index in (1, 2):
        assert running.ask("/stop", "POST", port=index)[0] == 202
    assert running.receiver.wait() == 0, running.receiver.log
    values = {"reception.datamodel": three_streams, "monitor.port": 65534}
    done = run("emu-recv", "--processes", str(GROUPS), *options(STREAMS | values))
    assert done.returncode == 2
    assert "monitor.port 65534 with 3 ports would end at 65536" in done.stderr
