"""Merges the summaries of several receivers of the same scans."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from receive.command.ending import ScanEnd, last_line, most_telling, verdict
from receive.command.progress import format_amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Summary = dict[str, Any]

_TAKE_FIRST = frozenset({"scan", "scan_id", "group", "stream", "exit_code"})
_CHOOSE: Mapping[str, Callable[[list[Any]], Any]] = {
    "ended_by": most_telling,
    **dict.fromkeys(
        (
            "first_time",
            "integrations_empty",
            "model_integrations_before",
            "model_integrations_after",
            "model_integrations_received",
        ),
        min,
    ),
    **dict.fromkeys(
        ("last_time", "integrations", "seconds", "model_integrations", "integrations_left_out"),
        max,
    ),
}
"""How to merge the keys whose values are neither summed nor equal for all receivers."""
_NO_TIME = "-"


def merge(parts: Sequence[Summary | None]) -> Summary:
    """Merge the summaries of receivers.

    Counts are summed scan by scan; an integration shared by several receivers counts once.  Channel
    groups are numbered across all receivers.

    Parameters
    ----------
    parts
        Summaries in the order of the receivers; None for a receiver that left none.

    Returns
    -------
    dict
        Keys of a summary; `lost` and `incomplete` are also true if a receiver left no summary.  The
        caller sets the exit code.
    """
    there = [part for part in parts if part is not None]
    merged: Summary = {"lost": False, "seconds": 0.0, "payload_bytes": 0, "scans": []}
    for part in there:
        _merge_into(merged, {key: value for key, value in part.items() if key != "scans"})
    merged["incomplete"] = len(there) < len(parts) or merged.get("incomplete", False)
    merged["lost"] = len(there) < len(parts) or any(part["lost"] for part in there)
    merged["scans"] = _merge_scans([part["scans"] for part in there])
    return merged


def lines(merged: Mapping[str, Any]) -> list[str]:
    """Return the lines to print for a merged summary."""
    told = [
        f"scan {scan['scan']} (scan id {scan['scan_id']}): {scan['integrations']} integrations "
        f"{scan['first_time']} to {scan['last_time']}, heaps expected {scan['heaps_expected']} "
        f"= received {scan['heaps_received']} + missing {scan['heaps_missing']}"
        for scan in merged["scans"]
    ]
    told += [
        f"scan {scan['scan']}, channel group {group['group']}: expected {group['expected']}, "
        f"received {group['received']}, missing {group['missing']}"
        for scan in merged["scans"]
        for group in scan["groups"]
        if group["missing"]
    ]
    ends = [ScanEnd.from_dict(scan) for scan in merged["scans"]]
    told += [end.line(scan) for scan, end in enumerate(ends, 1) if end is not None]
    consumers = merged.get("consumers", {})
    told += [
        f"consumer {name} had no room for {count} shares of integrations"
        for name, count in consumers.get("dropped", {}).items()
        if count
    ]
    told += [
        f"consumer {name} could not write {count} shares of integrations"
        for name, count in consumers.get("unwritten", {}).items()
        if count
    ]
    told += consumers.get("errors", [])
    dumps = sum(scan["integrations"] for scan in merged["scans"])
    amount = format_amount(merged["payload_bytes"], merged["seconds"])
    refused: Counter[str] = Counter()
    for scan in merged["scans"]:
        for group in scan["groups"]:
            refused.update(group["refused"])
    del refused["duplicate"]
    said = verdict(ends, lost=merged["lost"], refused=refused)
    told.append(last_line(dumps, amount, merged.get("ended_by"), said))
    return told


def _merge_scans(parts: Iterable[Sequence[Summary]]) -> list[Summary]:
    scans: list[Summary] = []
    for part in parts:
        taken: list[int] = []
        for scan in part:
            place = _place_of(scan, scans, taken)
            if place is None:
                place = len(scans)
                # Its streams get the numbers after those of receivers without this scan.
                scans.append({"scan": place + 1, "scan_id": scan["scan_id"], "groups": []})
            taken.append(place)
            merged = scans[place]
            merged["scan_id"] = merged["scan_id"] or scan["scan_id"]
            _merge_into(merged, scan)
    for scan in scans:
        for number, group in enumerate(scan["groups"]):
            group["group"] = number
    return scans


def _place_of(scan: Summary, scans: Sequence[Summary], taken: Sequence[int]) -> int | None:
    """Return the index of the merged scan that matches: by id, or by order if an id is missing."""
    later = range(max(taken, default=-1) + 1, len(scans))
    for place in later:
        if scan["scan_id"] and scans[place]["scan_id"] == scan["scan_id"]:
            return place
    for place in later:
        if not scan["scan_id"] or not scans[place]["scan_id"]:
            return place
    return None


def _merge_into(merged: Summary, part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if key not in merged:
            merged[key] = _copy(value)
        elif key in _TAKE_FIRST or value is None:
            continue
        elif merged[key] is None:
            merged[key] = _copy(value)
        elif key in _CHOOSE:
            known = [one for one in (merged[key], value) if one != _NO_TIME]
            merged[key] = _CHOOSE[key](known) if known else value
        elif isinstance(value, dict):
            _merge_into(merged[key], value)
        elif isinstance(value, list):
            merged[key] = [*merged[key], *map(_copy, value)]
        elif isinstance(value, bool):
            merged[key] = merged[key] or value
        elif isinstance(value, (int, float)):
            merged[key] += value


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(one) for key, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value
