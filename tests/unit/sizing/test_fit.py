from __future__ import annotations

import json

import numpy as np
import pytest

from receive.sizing.costs import COSTS_FILE, MEMORY, WORK, Costs, memory_work, vector, work
from tests.bench import sizing_fit
from tests.bench.fitting import left_out, non_negative, relative
from tests.bench.sizing import CASES, CHECKS, QUICK_CASES, Case
from tests.conftest import REPOSITORY

TRUE_CPU = {
    "tcp_byte": 4e-10,
    "udp_byte": 5e-10,
    "udp_packet": 2e-6,
    "heap": 1.2e-5,
    "look": 4e-4,
    "stream": 1e-3,
    "process": 0.05,
    "quiet_tcp": 0.1,
    "set_byte": 1e-9,
    "set_row": 3e-7,
    "set_dump": 6e-4,
}
TRUE_MEMORY = {"process": 2e8, "stream": 1.5e6, "writer": 2e7, "set_row": 150.0}


def made_up(case: Case, rate: float, noise: float = 0.0) -> dict[str, object]:
    """Return what would have been measured if receiving cost exactly what is true."""
    shape = case.shape
    point = {
        "case": case.name,
        "baselines": shape.baselines,
        "channels": shape.channels,
        "channels_per_stream": shape.per_stream,
        "interval_s": shape.dump_bytes / rate,
        "transport": case.transport,
        "packet_bytes": case.packet_bytes,
        "consumer": case.consumer,
        "bytes_per_s": rate,
    }
    seen, wire, writes = sizing_fit.telescope(point)
    cores = vector(work(seen, wire, writes=writes), WORK) @ vector(TRUE_CPU, WORK)
    memory = vector(memory_work(seen, writes=writes), MEMORY) @ vector(TRUE_MEMORY, MEMORY)
    return point | {"cores": float(cores) * (1 + noise), "memory_bytes": float(memory)}


def measured(cases: tuple[Case, ...], noise: float = 0.0) -> list[dict[str, object]]:
    draw = np.random.default_rng(7)
    return [
        made_up(case, rate, noise * draw.standard_normal()) for case in cases for rate in case.rates
    ]


def test_the_shapes_tell_every_cost_from_every_other() -> None:
    found = sizing_fit.document(measured(CASES), measured(CHECKS))
    assert found["cpu_s"] == pytest.approx(TRUE_CPU, rel=1e-6)
    assert found["memory_bytes"] == pytest.approx(TRUE_MEMORY, rel=1e-6)
    assert found["cpu_error"] == pytest.approx(0, abs=1e-6)
    assert [check["error"] for check in found["checks"]] == pytest.approx([0, 0], abs=1e-6)


def test_the_error_that_is_given_is_that_of_the_measurements() -> None:
    noise = 0.05
    found = sizing_fit.document(measured(CASES, noise), measured(CHECKS))
    # Of shapes that were not fitted it is more than the noise, but of its size.
    assert noise < found["cpu_error"] < 8 * noise
    assert found["residuals"]["fitted_rms"] < found["residuals"]["left_out_rms"]
    for check in found["checks"]:
        assert abs(check["error"]) < found["cpu_error"]


def test_a_check_that_does_not_agree_is_said_to_be_off() -> None:
    wrong = measured(CHECKS)
    wrong[0]["cores"] = 2 * float(wrong[0]["cores"])
    found = sizing_fit.document(measured(CASES), wrong)
    assert found["checks"][0]["error"] == pytest.approx(-0.5)


def test_the_checks_are_not_fitted() -> None:
    assert not {case.name for case in CHECKS} & {case.name for case in CASES}
    assert not {case.shape for case in CHECKS} & {case.shape for case in CASES}
    assert max(QUICK_CASES) < len(CASES)


def test_costs_that_would_be_negative_are_nothing() -> None:
    # The straight line through 3, 2, 1 falls; without a slope the mean is nearest.
    matrix = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    assert non_negative(matrix, np.array([3.0, 2.0, 1.0])) == pytest.approx([2.0, 0.0])
    assert non_negative(matrix, np.array([1.0, 2.0, 3.0])) == pytest.approx([1.0, 1.0])
    assert non_negative(matrix, np.array([-1.0, -1.0, -1.0])) == pytest.approx([0.0, 0.0])


def test_no_other_non_negative_costs_come_nearer() -> None:
    draw = np.random.default_rng(3)
    for _ in range(20):
        matrix, values = draw.random((8, 4)), draw.standard_normal(8)
        best = non_negative(matrix, values)
        assert best.min() >= 0
        least = np.linalg.norm(matrix @ best - values)
        others = draw.exponential(size=(200, 4)) * draw.integers(0, 2, (200, 4))
        nearby = np.abs(best + 0.01 * draw.standard_normal((200, 4)))
        for other in (*others, *nearby):
            assert np.linalg.norm(matrix @ other - values) >= least - 1e-12


def test_what_never_happened_costs_nothing() -> None:
    matrix = np.array([[1.0, 0.0], [2.0, 0.0]])
    assert non_negative(matrix, np.array([3.0, 6.0])) == pytest.approx([3.0, 0.0])


def test_errors_count_relative_to_what_was_measured() -> None:
    # One cost for 1 and for 100: the mean of the ratios, not what the large one wants.
    matrix, values = np.array([[1.0], [100.0]]), np.array([1.0, 200.0])
    # Least squares of x - 1 and x / 2 - 1: x + x / 4 = 1 + 1 / 2.
    assert relative(matrix, values, 0.0) == pytest.approx([1.2])


def test_a_group_is_predicted_without_itself() -> None:
    matrix, values = np.ones((4, 1)), np.array([1.0, 1.0, 3.0, 3.0])
    assert left_out(matrix, values, ["a", "a", "b", "b"], 0.0) == pytest.approx([3, 3, 1, 1])


def test_the_delivered_costs_are_those_of_the_delivered_points() -> None:
    document = json.loads((REPOSITORY / "receive" / "sizing" / COSTS_FILE).read_text())
    again = sizing_fit.document(document["points"], document["checks"])
    assert Costs.from_document(again).cpu_error == pytest.approx(document["cpu_error"], rel=0.02)
    for name in ("points", "checks"):
        key = "fitted_cores" if name == "points" else "predicted_cores"
        fitted = [point[key] for point in again[name]]
        assert fitted == pytest.approx([point[key] for point in document[name]], rel=0.02)


def test_numbers_are_rounded_to_what_they_mean() -> None:
    document = {"a": [1.23456789e-10, 7], "b": {"c": 98765.4321, "d": "x"}}
    assert sizing_fit.rounded(document) == {"a": [1.235e-10, 7], "b": {"c": 98770.0, "d": "x"}}


def test_the_outcome_is_told_with_the_error_and_the_checks() -> None:
    document = sizing_fit.document(measured(CASES, 0.05), measured(CHECKS))
    document["measured"]["minutes"] = 5.0
    told = "\n".join(sizing_fit.lines(document))
    for what in (*WORK.values(), *MEMORY.values(), CHECKS[0].name, CHECKS[1].name):
        assert what in told
    assert f"the band is {document['cpu_error']:.0%}" in told


def test_costs_of_what_was_hardly_seen_are_not_made_up() -> None:
    without = tuple(case for case in CASES if case.transport == "tcp")
    with pytest.raises(RuntimeError, match="udp_byte, udp_packet"):
        sizing_fit.document(measured(without), measured(CHECKS))
