from __future__ import annotations

from typing import Any

from receive.run.processes.summary import lines, merge


def scan(number: int, scan_id: int, received: list[int], *, expected: int = 10) -> dict[str, Any]:
    return {
        "scan": number,
        "scan_id": scan_id,
        "integrations": expected,
        "first_time": f"2026-01-0{number}",
        "last_time": f"2026-02-0{number}",
        "heaps_expected": expected * len(received),
        "heaps_received": sum(received),
        "heaps_missing": expected * len(received) - sum(received),
        "heaps_malformed": {"too short": 1},
        "payload_bytes": 100 * sum(received),
        "groups": [
            {
                "group": group,
                "expected": expected,
                "received": count,
                "missing": expected - count,
                "refused": {"late": 1} if count < expected else {},
            }
            for group, count in enumerate(received)
        ],
    }


def summary(*scans: dict[str, Any], seconds: float = 1.0, errors: tuple[str, ...] = ()) -> Any:
    return {
        "lost": any(one["heaps_missing"] for one in scans),
        "seconds": seconds,
        "payload_bytes": sum(one["payload_bytes"] for one in scans),
        "consumers": {"dropped": {"mswriter": 1}, "errors": list(errors)},
        "scans": list(scans),
    }


def test_counts_are_added_up_by_scan_and_streams_numbered_through() -> None:
    merged = merge(
        [
            summary(scan(1, 7, [10, 9]), seconds=2.0),
            summary(scan(1, 7, [10], expected=11), seconds=3.0, errors=("disk full",)),
        ]
    )
    assert merged["lost"] is True
    assert merged["seconds"] == 3.0
    assert merged["payload_bytes"] == 2900
    assert merged["consumers"] == {"dropped": {"mswriter": 2}, "errors": ["disk full"]}
    [one] = merged["scans"]
    assert (one["scan"], one["scan_id"], one["integrations"]) == (1, 7, 11)
    assert one["heaps_expected"] == one["heaps_received"] + one["heaps_missing"] == 31
    assert one["heaps_malformed"] == {"too short": 2}
    assert [group["group"] for group in one["groups"]] == [0, 1, 2]
    assert [group["received"] for group in one["groups"]] == [10, 9, 10]


def test_scans_are_matched_by_id_where_a_receiver_missed_one() -> None:
    merged = merge([summary(scan(1, 5, [10]), scan(2, 6, [10])), summary(scan(1, 6, [10]))])
    assert [(one["scan_id"], one["heaps_received"]) for one in merged["scans"]] == [
        (5, 10),
        (6, 20),
    ]


def test_a_scan_whose_id_never_came_is_matched_by_its_number() -> None:
    merged = merge([summary(scan(1, 0, [10]), scan(2, 0, [10])), summary(scan(1, 5, [10]))])
    assert [(one["scan_id"], one["heaps_received"]) for one in merged["scans"]] == [
        (5, 20),
        (0, 10),
    ]


def test_a_receiver_without_a_summary_has_lost_data() -> None:
    merged = merge([summary(scan(1, 5, [10])), None])
    assert merged["lost"]
    assert merge([None, None])["scans"] == []


def test_the_parts_are_not_changed() -> None:
    first = summary(scan(1, 5, [10]))
    merge([first, summary(scan(1, 5, [10]))])
    assert first == summary(scan(1, 5, [10]))


def test_people_are_told_of_each_stream_that_lost_something() -> None:
    told = lines(merge([summary(scan(1, 7, [10, 9])), summary(scan(1, 7, [10]))]))
    assert told[0].startswith("scan 1 (scan id 7): 10 integrations 2026-01-01 to 2026-02-01")
    assert told[0].endswith("heaps expected 30 = received 29 + missing 1")
    assert told[1] == "scan 1, channel group 1: expected 10, received 9, missing 1"
    assert told[-1].startswith("received 10 integrations")
    assert told[-1].endswith("DATA WERE LOST")
