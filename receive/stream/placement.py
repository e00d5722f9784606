"""Where a heap lands: the function that spead2 calls for each heap, compiled.

It runs in a network thread, without the GIL, once for a heap and on the packet of it that arrived
first.  It decides from the items in that packet alone; whatever it refuses is counted under a
reason (`state.Reason`).  The copying is spead2's.

Only `place` is kept compiled on disk, helpers within it: its signature holds a digest of what it
was compiled for (`state.compiled_for`), or a change of `state` would leave a stale copy in use.
"""

from __future__ import annotations

import numba
import numpy as np
import spead2
from numba import cfunc, njit, types
from spead2.numba import intp_to_voidptr
from spead2.recv.numba import chunk_place_data

from receive.icd.items import ItemId
from receive.stream.atomics import compare_and_swap, fence
from receive.stream.epochs import begun_epoch, enter_epoch, is_repeated_start, past_missed
from receive.stream.free_buffers import NONE, take
from receive.stream.items import addresses, scan_at, swap16, swap32
from receive.stream.layout import CONTROL_BYTES, HEAD_ROOM_BYTES
from receive.stream.state import (
    ENTRIES,
    EPOCHS,
    MAX_TENTATIVE,
    SHARED_DTYPE,
    STREAM_DTYPE,
    Belief,
    EntryState,
    Reason,
)

# Order in which spead2 is asked for immediate items; indices into them below.
CONTROL, PAYLOAD_OFFSET, HEAP_LENGTH, COUNT, FRACTION, CHANNEL, BASELINES = range(7)
HARDWARE, POLARISATION, PHASE_BIN, PHASE_BINS, HEAP_COUNT = range(7, 12)
ITEM_IDS = [
    spead2.STREAM_CTRL_ID,
    spead2.PAYLOAD_OFFSET_ID,
    spead2.HEAP_LENGTH_ID,
    int(ItemId.TIMESTAMP_COUNT),
    int(ItemId.TIMESTAMP_FRACTION),
    int(ItemId.CHANNEL_ID),
    int(ItemId.BASELINE_COUNT),
    int(ItemId.HARDWARE_ID),
    int(ItemId.POLARISATION_ID),
    int(ItemId.PHASE_BIN_ID),
    int(ItemId.PHASE_BIN_COUNT),
    spead2.HEAP_CNT_ID,
]
_ITEM_COUNT = len(ITEM_IDS)
_START, _STOP = 0, 2
_ADDRESS_BYTES_48 = 6

# numba takes enum members of module level as constants only when they are plain integers.
_EMPTY, _OPEN, _BUSY = int(EntryState.EMPTY), int(EntryState.OPEN), int(EntryState.BUSY)
_LIVE, _CLOSED = int(EntryState.LIVE), int(EntryState.CLOSED)
_LATE, _DUPLICATE, _NO_BUFFER = int(Reason.LATE), int(Reason.DUPLICATE), int(Reason.NO_BUFFER)
_SIZE, _ITEMS, _BASELINES = int(Reason.SIZE), int(Reason.ITEMS), int(Reason.BASELINES)
_CHANNEL, _BAD_TIME, _UNPLACEABLE = (
    int(Reason.CHANNEL),
    int(Reason.BAD_TIME),
    int(Reason.UNPLACEABLE),
)
_REASONS = len(Reason)
_BELIEVED, _TENTATIVE, _PROBATION = (
    int(Belief.BELIEVED),
    int(Belief.TENTATIVE),
    int(Belief.PROBATION),
)
_WAIT_US = 200

_shared_type = numba.from_dtype(SHARED_DTYPE)
_stream_type = numba.from_dtype(STREAM_DTYPE)
_usleep = types.ExternalFunction("usleep", types.int32(types.uint32))


@njit(nogil=True)
def apart(ticks, other):
    """Return how far two timestamps are from each other; differences need all of the 64 bits."""
    return ticks - other if ticks > other else other - ticks


@njit(nogil=True)
def in_model(model_time, tolerance, ticks):
    """Return whether a timestamp belongs to one of the model's integrations."""
    after = np.searchsorted(model_time, ticks)
    if after < len(model_time) and apart(ticks, model_time[after]) <= np.uint64(tolerance[after]):
        return True
    return after > 0 and apart(ticks, model_time[after - 1]) <= np.uint64(tolerance[after - 1])


@njit(nogil=True)
def find(state, time, epochs, begin, end, ticks, epoch):
    """Return the slot of the newest entry for (ticks, epoch) among [begin, end), or -1."""
    n = end - 1
    while n >= begin:
        slot = n % ENTRIES
        while state[slot] == _BUSY:
            fence()
        if time[slot] == ticks and epochs[slot] == epoch and state[slot] >= _LIVE:
            return slot
        n -= 1
    return -1


@njit(nogil=True)
def find_or_claim(shared, state, block, time, epochs, beliefs, searched, ticks, epoch, belief):
    """Return the slot for (ticks, epoch), claiming the next entry; -1 where no buffer is free.

    ``searched`` is the head up to which the caller has looked already.
    """
    while True:
        fence()
        head = shared[0].head
        if searched < head:
            slot = find(state, time, epochs, searched, head, ticks, epoch)
            if slot >= 0:
                return slot
            searched = head
        slot = head % ENTRIES
        current = state[slot]
        if current == _EMPTY:
            return -1
        if current == _OPEN and compare_and_swap(state, slot, _OPEN, _BUSY):
            block[slot] = take(
                numba.carray(intp_to_voidptr(shared[0].free_top), 1, dtype=np.int64),
                numba.carray(intp_to_voidptr(shared[0].free_below), shared[0].pool, dtype=np.int64),
            )
            if block[slot] == NONE:
                fence()
                state[slot] = _OPEN
                return -1
            shared[0].taken += 1
            time[slot] = ticks
            epochs[slot] = epoch
            beliefs[slot] = belief
            shared[0].tentative += belief != _BELIEVED
            fence()
            state[slot] = _LIVE
            shared[0].head = head + 1
            fence()
            return slot


@njit(nogil=True)
def has_witness(state, time, epochs, beliefs, begin, end, ticks, epoch, shared):
    """Return whether another unbelieved timestamp of an epoch agrees with this one."""
    for n in range(begin, end):
        slot = n % ENTRIES
        waiting = state[slot] == _LIVE and beliefs[slot] == _PROBATION and epochs[slot] == epoch
        if waiting and apart(ticks, time[slot]) <= np.uint64(shared[0].span_ticks):
            return True
    return False


@cfunc(
    types.void(types.CPointer(chunk_place_data), types.size_t, types.CPointer(_stream_type)),
    cache=True,
)
def place(data_pointer, _size, stream_pointer):  # noqa: PLR0911, PLR0912, PLR0915, C901 -- one decision after another, compiled as one function
    """Decide where a heap lands (spead2's chunk placement callback)."""
    data = numba.carray(data_pointer, 1)
    stream = numba.carray(stream_pointer, 1)
    shared = numba.carray(intp_to_voidptr(stream[0].shared), 1, dtype=SHARED_DTYPE)
    items = numba.carray(intp_to_voidptr(data[0].items), _ITEM_COUNT, dtype=np.int64)
    groups = shared[0].groups
    pool = shared[0].pool
    counters = numba.carray(intp_to_voidptr(shared[0].counters), (groups, _REASONS), dtype=np.int64)
    newest = numba.carray(intp_to_voidptr(shared[0].newest), EPOCHS, dtype=np.uint64)
    horizon = numba.carray(intp_to_voidptr(shared[0].horizon), EPOCHS, dtype=np.uint64)
    scan_offset = numba.carray(
        intp_to_voidptr(shared[0].scan_offset), (pool + EPOCHS, groups), dtype=np.int64
    )
    state = numba.carray(intp_to_voidptr(shared[0].entry_state), ENTRIES, dtype=np.int64)
    epochs = numba.carray(intp_to_voidptr(shared[0].entry_epoch), ENTRIES, dtype=np.int64)
    blocks = numba.carray(intp_to_voidptr(shared[0].entry_block), ENTRIES, dtype=np.int64)
    seen = numba.carray(intp_to_voidptr(shared[0].seen), (ENTRIES, groups), dtype=np.uint8)
    present = numba.carray(
        intp_to_voidptr(shared[0].present), (pool + EPOCHS, groups), dtype=np.uint8
    )
    owner = numba.carray(intp_to_voidptr(shared[0].owner), (pool, groups), dtype=np.int64)
    own_group = stream[0].index
    stream[0].begun += 1
    packet = numba.carray(intp_to_voidptr(data[0].packet), data[0].packet_size, dtype=np.uint8)
    if packet[3] != _ADDRESS_BYTES_48:
        counters[own_group, _ITEMS] += 1
        return
    data_address, data_end, scan_address = addresses(packet)

    # 1. Start and end of a stream.
    if stream[0].reconnected or items[CONTROL] == _START:
        began = stream[0].data_in_epoch > 0
        if not (began and is_repeated_start(shared, stream, items[HEAP_COUNT])):
            epoch = begun_epoch(shared, stream, state, epochs, newest)
            if epoch > shared[0].epoch:
                # The first stream to notice opens the new epoch for all.
                newest[epoch % EPOCHS] = 0
                horizon[epoch % EPOCHS] = 0
                shared[0].dropped_until = 0
                fence()
                shared[0].epoch = epoch
            enter_epoch(shared, stream, epoch, state, blocks, seen, present, owner)
        stream[0].reconnected = 0
    if items[HARDWARE] >= 0:
        stream[0].hardware_id = swap32(items[HARDWARE])
    if items[POLARISATION] >= 0:
        stream[0].polarisation_id = swap32(items[POLARISATION])
    if items[PHASE_BIN] >= 0:
        stream[0].phase_bin_id = swap16(items[PHASE_BIN])
    if items[PHASE_BINS] >= 0:
        stream[0].phase_bin_count = swap16(items[PHASE_BINS])
    if items[CONTROL] == _START:
        stream[0].starts += 1
        stream[0].start_count = items[HEAP_COUNT]
        if items[CHANNEL] >= 0:
            stream[0].channel_id = swap32(items[CHANNEL])
        if items[BASELINES] >= 0:
            stream[0].baseline_count = swap32(items[BASELINES])
    if items[CONTROL] == _STOP:
        stream[0].ended = 1
        return
    if data_address < 0 and items[CONTROL] == _START:
        if items[HEAP_LENGTH] <= CONTROL_BYTES:
            row = stream[0].epoch % EPOCHS
            base = pool * shared[0].dump_bytes + (row * groups + own_group) * CONTROL_BYTES
            scan_offset[pool + row, own_group] = scan_at(base, scan_address, items[HEAP_LENGTH])
            data[0].chunk_id = 0
            data[0].heap_index = (pool + row) * groups + own_group
            data[0].heap_offset = base
        return

    # 2. Is it a heap of the interface?
    if items[COUNT] < 0 or data_address < 0:
        counters[own_group, _ITEMS if items[PAYLOAD_OFFSET] == 0 else _UNPLACEABLE] += 1
        return
    group = own_group
    channel_id = swap32(items[CHANNEL]) if items[CHANNEL] >= 0 else stream[0].channel_id
    if channel_id >= 0:
        channel = np.int64(channel_id) - shared[0].first_channel_id
        group = channel // shared[0].channels_per_stream
        if channel % shared[0].channels_per_stream != 0 or group < 0 or group >= groups:
            stream[0].refused_channel_id = channel_id
            counters[own_group, _CHANNEL] += 1
            return
    baselines = swap32(items[BASELINES]) if items[BASELINES] >= 0 else stream[0].baseline_count
    if baselines >= 0 and baselines != shared[0].baselines:
        stream[0].refused_baselines = baselines
        counters[group, _BASELINES] += 1
        return
    expected = numba.carray(intp_to_voidptr(shared[0].group_data_bytes), groups, dtype=np.int64)[
        group
    ]
    length = items[HEAP_LENGTH]
    end = length if data_end < 0 or data_end > length else data_end
    if (
        end - data_address != expected
        or data_address > HEAD_ROOM_BYTES
        or HEAD_ROOM_BYTES - data_address + length > shared[0].slot_bytes
    ):
        stream[0].refused_bytes = end - data_address
        counters[group, _SIZE] += 1
        return

    # 3. Which dump?
    fraction = max(items[FRACTION], 0)
    ticks = (np.uint64(swap32(items[COUNT])) << np.uint64(32)) | np.uint64(swap32(fraction))
    time = numba.carray(intp_to_voidptr(shared[0].entry_time), ENTRIES, dtype=np.uint64)
    beliefs = numba.carray(intp_to_voidptr(shared[0].entry_belief), ENTRIES, dtype=np.int64)
    model_time = numba.carray(
        intp_to_voidptr(shared[0].model_time), shared[0].model_count, dtype=np.uint64
    )
    tolerance = numba.carray(
        intp_to_voidptr(shared[0].model_tolerance), shared[0].model_count, dtype=np.int64
    )
    fence()
    head, tail = shared[0].head, shared[0].tail
    span = np.uint64(shared[0].span_ticks)
    if ticks < stream[0].newest_ticks and apart(ticks, stream[0].newest_ticks) > span:
        stream[0].went_back = 1
    stream[0].newest_ticks = max(stream[0].newest_ticks, ticks)
    epoch = stream[0].epoch
    if epoch < shared[0].epoch and stream[0].data_in_epoch == 0:
        # Its start heap came before that of any other stream, which tells only now what it began.
        epoch = past_missed(shared, state, epochs, epoch)
        stream[0].epoch = epoch
    slot = find(state, time, epochs, tail, head, ticks, epoch)
    if epoch < shared[0].epoch and (slot < 0 or state[slot] != _LIVE):
        # The other streams are in a newer epoch; this one's start heap may have been lost.
        other = find(state, time, epochs, tail, head, ticks, shared[0].epoch)
        there = newest[shared[0].epoch % EPOCHS]
        if other >= 0 or (slot < 0 and there > 0 and apart(ticks, there) <= span):
            epoch = shared[0].epoch
            enter_epoch(shared, stream, epoch, state, blocks, seen, present, owner)
            slot = other
    while slot < 0:
        reference = newest[epoch % EPOCHS]
        back = ticks < reference
        known = in_model(model_time, tolerance, ticks)
        belief = np.int64(_BELIEVED)
        if shared[0].reject_unknown and not known:
            counters[group, _BAD_TIME] += 1
            return
        if reference == 0:
            if not known and not has_witness(
                state, time, epochs, beliefs, tail, shared[0].head, ticks, epoch, shared
            ):
                belief = np.int64(_PROBATION)
        elif apart(ticks, reference) > span:
            if back or not known:
                belief = np.int64(_TENTATIVE)
        elif ticks <= horizon[epoch % EPOCHS]:
            counters[group, _LATE] += 1
            return
        if belief != _BELIEVED:
            if shared[0].tentative >= MAX_TENTATIVE:
                counters[group, _LATE if back else _BAD_TIME] += 1
                return
        elif reference > 0 and ticks <= shared[0].dropped_until:
            counters[group, _NO_BUFFER] += 1
            return
        slot = find_or_claim(
            shared, state, blocks, time, epochs, beliefs, head, ticks, epoch, belief
        )
        if slot >= 0:
            if belief == _BELIEVED and ticks > newest[epoch % EPOCHS]:
                newest[epoch % EPOCHS] = ticks
        elif shared[0].backpressure and not shared[0].stopping:
            _usleep(_WAIT_US)
            head = shared[0].tail
        else:
            if belief == _BELIEVED and ticks > shared[0].dropped_until:
                shared[0].dropped_until = ticks
            counters[group, _NO_BUFFER] += 1
            return

    # 4. Its place in the dump.
    if seen[slot, group]:
        counters[group, _DUPLICATE] += 1
        return
    seen[slot, group] = 1
    # Either the collector, closing the entry, sees that a heap is on its way, or this thread sees
    # that it was closed.
    fence()
    if state[slot] != _LIVE or time[slot] != ticks or epochs[slot] != epoch:
        seen[slot, group] = 0
        counters[group, _LATE] += 1
        return
    block = blocks[slot]
    base = block * shared[0].dump_bytes + group * shared[0].slot_bytes
    base += HEAD_ROOM_BYTES - data_address
    scan_offset[block, group] = scan_at(base, scan_address, length)
    begun_at = numba.carray(intp_to_voidptr(shared[0].begun_at), (pool, groups), dtype=np.int64)
    owner[block, group] = stream[0].index
    begun_at[block, group] = stream[0].begun
    sequence = numba.carray(intp_to_voidptr(shared[0].entry_sequence), ENTRIES, dtype=np.int64)[
        slot
    ]
    latest = numba.carray(intp_to_voidptr(shared[0].group_latest), groups, dtype=np.int64)
    latest[group] = max(latest[group], sequence)
    if stream[0].data_in_epoch == 0 and stream[0].starts == 0:
        stream[0].epoch_begun_ms = shared[0].now_ms
        stream[0].first_count = items[HEAP_COUNT]
    stream[0].data_in_epoch += 1
    data[0].chunk_id = 0
    data[0].heap_index = block * groups + group
    data[0].heap_offset = base
