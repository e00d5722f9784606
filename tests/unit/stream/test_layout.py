"""The byte arithmetic of dumps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receive.command.errors import ConfigError
from receive.stream.table.layout import (
    HEAD_ROOM_BYTES,
    MIN_POOL_DUMPS,
    SLOT_ALIGNMENT_BYTES,
    TAIL_ROOM_BYTES,
    PoolSize,
    StreamLayout,
)


@st.composite
def layouts(draw: st.DrawFn) -> StreamLayout:
    channels = draw(st.integers(1, 600))
    return StreamLayout(
        channel_count=channels,
        channels_per_stream=draw(st.integers(1, channels)),
        baseline_count=draw(st.integers(1, 3000)),
        record_bytes=draw(st.sampled_from((34, 35))),
        first_channel=draw(st.integers(0, 10000)),
    )


@given(layouts())
def test_the_groups_are_all_channels_once_in_order(layout: StreamLayout) -> None:
    covered = []
    for group in range(layout.group_count):
        first = layout.group_first_channel(group)
        assert 1 <= layout.group_channels(group) <= layout.channels_per_stream
        covered += range(first, first + layout.group_channels(group))
    assert covered == list(range(layout.channel_count))
    assert sum(map(layout.data_bytes, range(layout.group_count))) == layout.payload_bytes


@given(layouts(), st.integers(0, 9))
def test_slots_hold_their_heaps_with_room_and_do_not_overlap(
    layout: StreamLayout, block: int
) -> None:
    end = block * layout.dump_bytes
    for group in range(layout.group_count):
        records = layout.records_offset(block, group)
        assert records - HEAD_ROOM_BYTES >= end
        assert (records - HEAD_ROOM_BYTES) % SLOT_ALIGNMENT_BYTES == 0
        end = records + layout.data_bytes(group) + TAIL_ROOM_BYTES
        assert end <= block * layout.dump_bytes + (group + 1) * layout.slot_bytes
    assert end <= (block + 1) * layout.dump_bytes


@given(layouts(), st.integers(1, 1 << 34), st.integers(1, 1000))
def test_the_pool_stays_within_its_memory(layout: StreamLayout, memory: int, ring: int) -> None:
    if memory < MIN_POOL_DUMPS * layout.dump_bytes:
        with pytest.raises(ConfigError, match=str(MIN_POOL_DUMPS * layout.dump_bytes)):
            PoolSize.fit(layout, memory, ring)
        return
    pool = PoolSize.fit(layout, memory, ring)
    assert pool.dumps * layout.dump_bytes <= memory
    assert 1 <= pool.window <= min(ring, pool.dumps - 2)


@pytest.mark.parametrize(
    ("channels", "per_stream", "baselines", "says"),
    [
        (8, 9, 1, "channels_per_stream = 9 is more than the 8 channels"),
        (8, 0, 1, "nothing to receive"),
        (8, 8, 0, "nothing to receive"),
    ],
)
def test_impossible_layouts_are_refused(
    channels: int, per_stream: int, baselines: int, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        StreamLayout(channels, per_stream, baselines, 34)
