"""From measured points to the document of the costs: fit, errors, checks."""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.sizing.costs import (
    FORMAT_VERSION,
    MEMORY,
    WORK,
    Costs,
    memory_work,
    vector,
    work,
)
from receive.sizing.shape import Shape, Wire
from tests.bench import report
from tests.bench.fitting import left_out, relative

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FLOOR_CORES = 0.1
"""Nobody plans with less of a core: errors of smaller costs need not be smaller than theirs."""
FEW = 2
FLOOR_BYTES = 50e6
DIGITS = 4


def telescope(point: dict[str, Any]) -> tuple[Shape, Wire, bool]:
    """Return what a point received, as the model has it."""
    shape = Shape(
        point["baselines"], point["channels"], point["interval_s"], point["channels_per_stream"]
    )
    return shape, Wire(point["transport"], point["packet_bytes"]), point["consumer"] == "mswriter"


def document(points: Sequence[dict[str, Any]], checks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Fit points, predict the checks, and return all that is to be known of it.

    Parameters
    ----------
    points, checks
        As `tests.bench.sizing` measures them.

    Raises
    ------
    RuntimeError
        If some kind of work is hardly among them.
    """
    seen = [telescope(point) for point in points]
    amounts = np.array([vector(work(s, w, writes=writes), WORK) for s, w, writes in seen])
    held = np.array([vector(memory_work(s, writes=writes), MEMORY) for s, _, writes in seen])
    rare = [
        kind for kind, seen_in in zip(WORK, (amounts > 0).T, strict=True) if seen_in.sum() < FEW
    ]
    if rare:
        raise RuntimeError(f"too few points to tell what {', '.join(rare)} cost")
    taken = np.array([point["cores"] for point in points])
    memory = np.array([point["memory_bytes"] for point in points])
    cases = [point["case"] for point in points]
    cpu_s = relative(amounts, taken, FLOOR_CORES)
    memory_bytes = relative(held, memory, FLOOR_BYTES)
    predicted = left_out(amounts, taken, cases, FLOOR_CORES)
    shown = [
        point | {"fitted_cores": float(fitted), "left_out_cores": float(without)}
        for point, fitted, without in zip(points, amounts @ cpu_s, predicted, strict=True)
    ]
    fit_errors = _errors(amounts @ cpu_s, taken, FLOOR_CORES)
    errors = _errors(predicted, taken, FLOOR_CORES)
    found = {
        "format": FORMAT_VERSION,
        "measured": measured(),
        "cpu_s": dict(zip(WORK, cpu_s.tolist(), strict=True)),
        "memory_bytes": dict(zip(MEMORY, memory_bytes.tolist(), strict=True)),
        "cpu_error": 2 * _root_mean_square(errors),
        "cpu_floor": FLOOR_CORES,
        "residuals": {
            "fitted_rms": _root_mean_square(fit_errors),
            "left_out_rms": _root_mean_square(errors),
            "left_out_largest": float(np.abs(errors).max()),
            "memory_rms": _root_mean_square(_errors(held @ memory_bytes, memory, FLOOR_BYTES)),
        },
        "points": shown,
    }
    costs = Costs.from_document(found)
    return found | {"checks": [_checked(costs, check) for check in checks]}


def _checked(costs: Costs, check: dict[str, Any]) -> dict[str, Any]:
    shape, wire, writes = telescope(check)
    predicted = costs.cores(work(shape, wire, writes=writes))
    return check | {
        "predicted_cores": predicted,
        "predicted_memory_bytes": costs.memory(memory_work(shape, writes=writes)),
        "error": predicted / check["cores"] - 1,
    }


def _errors(
    predicted: NDArray[np.float64], taken: NDArray[np.float64], floor: float
) -> NDArray[np.float64]:
    return (predicted - taken) / (taken + floor)


def _root_mean_square(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def measured() -> dict[str, Any]:
    """Describe where and when."""
    _, machine, system = (line.removeprefix("- ") for line in report.machine())
    return {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "machine": machine,
        "system": system,
        "load_at_the_end": list(os.getloadavg()),
    }


def rounded(value: Any) -> Any:
    """Return a document with as many digits as mean something."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def lines(document: dict[str, Any]) -> list[str]:
    """Return the outcome for people."""
    residuals = document["residuals"]
    costs = [f"{WORK[kind]:40} {value * 1e6:.4g} us" for kind, value in document["cpu_s"].items()]
    held = [
        f"{MEMORY[kind]:40} {value / 1e6:.4g} MB"
        for kind, value in document["memory_bytes"].items()
    ]
    checks = [
        f"{check['case']}: {check['bytes_per_s'] / 1e6:.1f} MB/s took {check['cores']:.3f} cores, "
        f"{check['predicted_cores']:.3f} were predicted ({check['error']:+.0%})"
        for check in document["checks"]
    ]
    return [
        *costs,
        *held,
        (
            f"error of the {len(document['points'])} points: fitted {residuals['fitted_rms']:.1%}, "
            f"left out {residuals['left_out_rms']:.1%} (largest "
            f"{residuals['left_out_largest']:.0%}); the band is {document['cpu_error']:.0%}"
        ),
        *checks,
        f"measured in {document['measured']['minutes']:.1f} minutes",
    ]


def write(path: Path, document: dict[str, Any]) -> None:
    """Write the document."""
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
