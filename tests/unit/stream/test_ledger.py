"""The ledger's arithmetic: expected = received + missing, always."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from receive.stream.dumps.dump import Dump
from receive.stream.dumps.ledger import ScanLedger
from receive.stream.table.shared_types import Reason

TICKS = 1_700_000_000 << 32


def dump(index: int, present: list[bool]) -> Dump:
    whole = np.array(present)
    return Dump(index, TICKS + (index << 32), 0, whole, whole, None, index, all(whole), None)


@given(
    st.integers(1, 5).flatmap(
        lambda groups: st.lists(
            st.none() | st.lists(st.booleans(), min_size=groups, max_size=groups), max_size=30
        ).map(lambda dumps: (groups, dumps))
    )
)
def test_expected_is_received_and_missing(case: tuple[int, list[list[bool] | None]]) -> None:
    groups, dumps = case
    data_bytes = np.arange(groups, dtype=np.int64) + 10
    before = np.full((groups, len(Reason)), 5, np.int64)
    ledger = ScanLedger(1, 42, data_bytes, before)
    for index, present in enumerate(dumps):
        if present is None:
            ledger.add_empty()
        else:
            ledger.add(dump(index, present))
    ledger.update_refused(before + 2)
    came = np.array([present or [False] * groups for present in dumps], bool).reshape(-1, groups)
    report = ledger.as_dict()
    assert report["heaps_expected"] == came.size
    assert report["heaps_received"] == came.sum()
    assert report["heaps_missing"] == (~came).sum()
    assert report["payload_bytes"] == (came * data_bytes).sum()
    assert report["integrations_empty"] == dumps.count(None)
    for group, counts in enumerate(report["groups"]):
        assert counts["expected"] == counts["received"] + counts["missing"] == len(dumps)
        assert counts["received"] == came[:, group].sum()
        assert set(counts["refused"].values()) == {2}
    assert ledger.refused_total(Reason.LATE) == 2 * groups
    incomplete = (~came).any(axis=0).sum()
    assert len(ledger.lines()) == 1 + incomplete
