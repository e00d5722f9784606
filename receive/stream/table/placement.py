"""The compiled callback that tells spead2 where in the pool to copy the payload of a heap.

spead2 calls `place` once per heap, in a network thread without the GIL, on the first packet of the
heap to arrive.  `place` decides from the items in that packet; a heap that it refuses is counted
under a `shared_types.Reason`.

Example: 256 baselines, records of 16 bytes, 8 channels in groups of 4, so a heap has 16384 bytes of
data and a slot 24576 (`layout`).  On stream 1 the first packet of a heap has channel id 4, data at
address 1877, and the timestamp of an integration whose entry has buffer (block) 3::

    1. control item  absent: a data heap
    2. interface     group = 4 // 4 = 1; 256 baselines; 16384 bytes of data: accepted
    3. dump          entry found by (timestamp, epoch), or claimed with a free buffer
    4. slot          seen[entry, 1]: 0 -> 1, else refused as a duplicate
                     heap_index  = 3 * 2 groups + 1                      = 7
                     heap_offset = 3 * 49152 + 1 * 24576 + 4096 - 1877   = 174251

spead2 copies the whole payload to byte 174251 of the pool, so that the records begin at 176128, the
first byte after the head room of slot 1, and sets ``present[3, 1]`` when the heap is complete.

numba caches `place` on disk with its helpers inlined.  Its signature holds a digest of what it was
compiled from (`shared_types.compiled_for`), so that a change cannot leave a stale copy in use.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import cfunc, types
from spead2.numba import intp_to_voidptr
from spead2.recv.numba import chunk_place_data

from receive.stream.table.atomics import add, compare_and_swap, fence, raise_to, wait_a_moment
from receive.stream.table.entries import find, find_or_claim, has_place, has_witness
from receive.stream.table.epochs import (
    begin_pending,
    begun_epoch,
    enter_epoch,
    enter_with_start,
    goes_back,
    has_live,
    is_undecided,
    may_open,
    note_stop,
    open_epoch,
    past_missed,
    return_to_settled,
    stays_before_start,
    wait_for_room,
    wait_to_leave,
    was_begun_with,
)
from receive.stream.table.far_times import note_far
from receive.stream.table.items import (
    BASELINES,
    CHANNEL,
    CONTROL,
    COUNT,
    FRACTION,
    HARDWARE,
    HEAP_COUNT,
    HEAP_LENGTH,
    ITEM_IDS,
    PAYLOAD_OFFSET,
    PHASE_BIN,
    PHASE_BINS,
    POLARISATION,
    addresses,
    scan_at,
    swap16,
    swap32,
)
from receive.stream.table.layout import CONTROL_BYTES, HEAD_ROOM_BYTES
from receive.stream.table.model_times import apart, index_in_model
from receive.stream.table.shared_types import (
    CONTROL_ROWS,
    ENTRIES,
    EPOCHS,
    MAX_TENTATIVE,
    SHARED_DTYPE,
    STREAM_DTYPE,
    Belief,
    EntryState,
    Reason,
)
from receive.stream.table.starts import follows_count, keep_items, note_regular, note_start

_ITEM_COUNT = len(ITEM_IDS)
_START, _STOP = 0, 2
_ADDRESS_BYTES_48 = 6

# numba takes enum members of module level as constants only when they are plain integers.
_LIVE = int(EntryState.LIVE)
_LATE, _DUPLICATE, _NO_BUFFER = int(Reason.LATE), int(Reason.DUPLICATE), int(Reason.NO_BUFFER)
_SIZE, _ITEMS, _BASELINES = int(Reason.SIZE), int(Reason.ITEMS), int(Reason.BASELINES)
_CHANNEL, _BAD_TIME, _UNPLACEABLE = (
    int(Reason.CHANNEL),
    int(Reason.BAD_TIME),
    int(Reason.UNPLACEABLE),
)
_REASONS = len(Reason)
_BELIEVED, _TENTATIVE = int(Belief.BELIEVED), int(Belief.TENTATIVE)
_PROBATION, _JUMPED = int(Belief.PROBATION), int(Belief.JUMPED)
_MOVED = int(Belief.MOVED)

_shared_type = numba.from_dtype(SHARED_DTYPE)
_stream_type = numba.from_dtype(STREAM_DTYPE)


@cfunc(
    types.void(types.CPointer(chunk_place_data), types.size_t, types.CPointer(_stream_type)),
    cache=True,
)
def place(data_pointer, _size, stream_pointer):  # noqa: PLR0911, PLR0912, PLR0915, C901 -- one decision after another, compiled as one function
    """Choose the place of a heap in the pool (spead2's chunk placement callback)."""
    data = numba.carray(data_pointer, 1)
    stream = numba.carray(stream_pointer, 1)
    shared = numba.carray(intp_to_voidptr(stream[0].shared), 1, dtype=SHARED_DTYPE)
    items = numba.carray(intp_to_voidptr(data[0].items), _ITEM_COUNT, dtype=np.int64)
    groups = shared[0].groups
    pool = shared[0].pool
    opened = numba.carray(intp_to_voidptr(shared[0].opened), 1, dtype=np.int64)
    settled = numba.carray(intp_to_voidptr(shared[0].settled), 1, dtype=np.int64)
    refused = numba.carray(intp_to_voidptr(shared[0].refused), groups * _REASONS, dtype=np.int64)
    newest = numba.carray(intp_to_voidptr(shared[0].newest), EPOCHS, dtype=np.uint64)
    horizon = numba.carray(intp_to_voidptr(shared[0].horizon), EPOCHS, dtype=np.uint64)
    dropped_until = numba.carray(intp_to_voidptr(shared[0].dropped_until), EPOCHS, dtype=np.uint64)
    scan_offset = numba.carray(
        intp_to_voidptr(shared[0].scan_offset), (pool + CONTROL_ROWS, groups), dtype=np.int64
    )
    state = numba.carray(intp_to_voidptr(shared[0].entry_state), ENTRIES, dtype=np.int64)
    epochs = numba.carray(intp_to_voidptr(shared[0].entry_epoch), ENTRIES, dtype=np.int64)
    blocks = numba.carray(intp_to_voidptr(shared[0].entry_block), ENTRIES, dtype=np.int64)
    seen = numba.carray(intp_to_voidptr(shared[0].seen), (ENTRIES, groups), dtype=np.uint8)
    present = numba.carray(
        intp_to_voidptr(shared[0].present), (pool + CONTROL_ROWS, groups), dtype=np.uint8
    )
    owner = numba.carray(intp_to_voidptr(shared[0].owner), (pool, groups), dtype=np.int64)
    own_group = stream[0].index
    stream[0].begun += 1
    packet = numba.carray(intp_to_voidptr(data[0].packet), data[0].packet_size, dtype=np.uint8)
    if packet[3] != _ADDRESS_BYTES_48:
        add(refused, own_group * _REASONS + _ITEMS, 1)
        return
    data_address, data_end, scan_address = addresses(packet)
    heap_count = items[HEAP_COUNT]

    # 1. Start heap or end heap?
    if stream[0].reconnected:
        if stream[0].data_in_epoch > 0:
            stream[0].pending = 1
            stream[0].pending_count = -1
        stream[0].reconnected = 0
    if items[CONTROL] == _STOP:
        if (
            stream[0].epoch > settled[0]
            and follows_count(stream[0].back_count, stream[0].back_step, heap_count)
            and not follows_count(stream[0].last_count, stream[0].step, heap_count)
        ):
            return_to_settled(shared, stream, state, epochs, blocks, seen, present, owner)
        note_stop(stream, heap_count)
        return
    if items[CONTROL] == _START:
        row = note_start(
            shared,
            stream,
            settled,
            newest[stream[0].epoch % EPOCHS] == 0,
            heap_count,
            swap32(items[CHANNEL]) if items[CHANNEL] >= 0 else np.int64(-1),
            swap32(items[BASELINES]) if items[BASELINES] >= 0 else np.int64(-1),
            swap32(items[HARDWARE]) if items[HARDWARE] >= 0 else np.int64(-1),
            swap32(items[POLARISATION]) if items[POLARISATION] >= 0 else np.int64(-1),
            swap16(items[PHASE_BIN]) if items[PHASE_BIN] >= 0 else np.int64(-1),
            swap16(items[PHASE_BINS]) if items[PHASE_BINS] >= 0 else np.int64(-1),
        )
        if data_address < 0:
            if row >= 0 and items[HEAP_LENGTH] <= CONTROL_BYTES:
                base = pool * shared[0].dump_bytes + (row * groups + own_group) * CONTROL_BYTES
                scan_offset[pool + row, own_group] = scan_at(base, scan_address, items[HEAP_LENGTH])
                data[0].chunk_id = 0
                data[0].heap_index = (pool + row) * groups + own_group
                data[0].heap_offset = base
            return

    # 2. Does the heap match the interface?
    if items[COUNT] < 0 or data_address < 0:
        add(
            refused,
            own_group * _REASONS + (_ITEMS if items[PAYLOAD_OFFSET] == 0 else _UNPLACEABLE),
            1,
        )
        return
    group = own_group
    # Items that the data heap lacks are taken from the start heap that it follows.
    said_channel_id, said_baselines = stream[0].channel_id, stream[0].baseline_count
    if stream[0].pending and follows_count(stream[0].pending_count, 1, heap_count):
        said_channel_id = stream[0].pending_channel_id
        said_baselines = stream[0].pending_baselines
    channel_id = swap32(items[CHANNEL]) if items[CHANNEL] >= 0 else said_channel_id
    if channel_id >= 0:
        channel = np.int64(channel_id) - shared[0].first_channel_id
        group = channel // shared[0].channels_per_stream
        if channel % shared[0].channels_per_stream != 0 or group < 0 or group >= groups:
            stream[0].refused_channel_id = channel_id
            add(refused, own_group * _REASONS + _CHANNEL, 1)
            return
    baselines = swap32(items[BASELINES]) if items[BASELINES] >= 0 else said_baselines
    if baselines >= 0 and baselines != shared[0].baselines:
        stream[0].refused_baselines = baselines
        add(refused, group * _REASONS + _BASELINES, 1)
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
        add(refused, group * _REASONS + _SIZE, 1)
        return

    # 3. The dump: epoch, timestamp, entry.
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
    interval = np.uint64(shared[0].interval_ticks)
    span = np.uint64(shared[0].span_ticks)
    epoch = stream[0].epoch
    if epoch > settled[0]:
        # The start that moved this stream may be false: does the heap continue the old epoch?
        before = stream[0].back_epoch
        slot = find(state, time, epochs, tail, head, ticks, before)
        there, until = newest[before % EPOCHS], horizon[before % EPOCHS]
        fits = has_place(slot, state, seen, group, ticks, there, until, span)
        if goes_back(stream, heap_count, ticks, interval, fits):
            return_to_settled(shared, stream, state, epochs, blocks, seen, present, owner)
            epoch = before
    if stream[0].data_in_epoch == 0 and epoch < opened[0]:
        # Its start heap came before that of any other stream; only now its epoch is known.
        epoch = past_missed(shared, opened, state, epochs, epoch)
        stream[0].epoch = epoch
    if (
        not shared[0].trusted
        and stream[0].data_in_epoch == 0
        and epoch == opened[0]
        and not is_undecided(settled, epoch, newest)
        and wait_to_leave(shared, stream, epoch)
        and may_open(settled, opened, epoch + 1)
        and not has_live(shared, state, epochs, epoch)
    ):
        epoch += 1
        open_epoch(opened, epoch, newest, horizon, dropped_until)
        enter_with_start(shared, stream, settled, epoch, state, blocks, seen, present, owner)
    slot = find(state, time, epochs, tail, head, ticks, epoch)
    reference = max(newest[epoch % EPOCHS], dropped_until[epoch % EPOCHS])
    fits = has_place(slot, state, seen, group, ticks, reference, horizon[epoch % EPOCHS], span)
    alone = is_undecided(settled, epoch, newest)
    in_time = bool(shared[0].trusted) or fits or ticks > horizon[epoch % EPOCHS]
    if alone or (stream[0].data_in_epoch == 0 and in_time):
        # This epoch has no data that a start could end.
        if stream[0].pending:
            # Of two start heaps, the one that the data follow is the sender's.
            ours = stream[0].starts > 0 and follows_count(stream[0].start_count, 1, heap_count)
            if not ours:
                begin_pending(shared, stream, epoch)
            stream[0].pending = 0
        stream[0].ended = 0
    elif (
        stream[0].pending
        and fits
        and follows_count(stream[0].pending_count, 1, heap_count)
        and was_begun_with(shared, stream, epoch)
    ):
        begin_pending(shared, stream, epoch)
        stream[0].ended = 0
    if stream[0].pending:
        final = bool(shared[0].trusted)
        own = False
        if not final:
            # The settled epoch already has this integration: other streams have moved on.
            ahead = epoch < settled[0] and (
                find(state, time, epochs, tail, head, ticks, settled[0]) >= 0
            )
            own = not ahead and stays_before_start(stream, heap_count, ticks, fits)
        if not own:
            following = begun_epoch(shared, opened, settled, stream, state, epochs, newest)
            if final or may_open(settled, opened, following):
                if following > opened[0]:
                    if final and not wait_for_room(shared, following):
                        add(refused, group * _REASONS + _NO_BUFFER, 1)
                        return
                    open_epoch(opened, following, newest, horizon, dropped_until)
                enter_epoch(shared, stream, settled, following, state, blocks, seen, present, owner)
                begin_pending(shared, stream, following)
                if final:
                    raise_to(settled, 0, following)
                epoch = following
                slot = find(state, time, epochs, tail, head, ticks, epoch)
                fits = True
            elif epoch > settled[0] and not has_live(shared, state, epochs, epoch):
                # No more epochs may be open, and this one has no live entry: reuse it.
                begin_pending(shared, stream, epoch)
                stream[0].ended = 0
    if epoch < opened[0] and (slot < 0 or state[slot] != _LIVE or not fits):
        # Other streams are in a newer epoch: this stream's start heap may have been lost.
        latest_epoch = opened[0]
        if fits and latest_epoch > settled[0]:
            latest_epoch = settled[0]
        other = find(state, time, epochs, tail, head, ticks, latest_epoch)
        there = newest[latest_epoch % EPOCHS]
        if latest_epoch > epoch and (
            other >= 0 or (slot < 0 and there > 0 and apart(ticks, there) <= span)
        ):
            epoch = latest_epoch
            enter_epoch(shared, stream, settled, epoch, state, blocks, seen, present, owner)
            stream[0].chained = 0
            stream[0].last_count = heap_count - 1
            slot = other
    unsettled = epoch > settled[0]
    follows = unsettled or follows_count(stream[0].last_count, stream[0].step, heap_count)
    noted = goes_on = False
    while slot < 0:
        # Integrations dropped for lack of a buffer count as the newest, too.
        reference = max(newest[epoch % EPOCHS], dropped_until[epoch % EPOCHS])
        back = ticks < reference
        model_index = index_in_model(model_time, tolerance, ticks)
        known = model_index >= 0
        belief = np.int64(_BELIEVED)
        most = np.int64(MAX_TENTATIVE)
        if shared[0].reject_unknown and not known:
            add(refused, group * _REASONS + _BAD_TIME, 1)
            return
        if unsettled:
            belief = np.int64(_PROBATION)
            most = max(most, pool // 2)
        elif reference == 0:
            if not (shared[0].trusted and known) and not has_witness(
                state, time, epochs, beliefs, tail, shared[0].head, ticks, epoch, span
            ):
                belief = np.int64(_PROBATION)
                most = max(most, pool // 2 if known else pool // 8)
        elif apart(ticks, reference) > span:
            belief = np.int64(_TENTATIVE)
            if not noted:
                goes_on = note_far(stream, heap_count, ticks, interval, follows, shared[0].trusted)
                noted = True
            if follows or (goes_on and stream[0].far_follows):
                belief = np.int64(_JUMPED)
            elif goes_on:
                belief = np.int64(_MOVED)
            if belief != _TENTATIVE:
                most = max(most, pool // 2)
        elif ticks <= horizon[epoch % EPOCHS]:
            add(refused, group * _REASONS + _LATE, 1)
            return
        if belief != _BELIEVED:
            if shared[0].doubted - shared[0].judged >= most:
                add(refused, group * _REASONS + (_LATE if back else _BAD_TIME), 1)
                return
        elif reference > 0 and ticks <= dropped_until[epoch % EPOCHS]:
            add(refused, group * _REASONS + _NO_BUFFER, 1)
            return
        slot = find_or_claim(
            shared, state, blocks, time, epochs, beliefs, head, ticks, epoch, belief, model_index
        )
        if slot >= 0:
            if belief == _BELIEVED:
                raise_to(newest, epoch % EPOCHS, ticks)
        elif shared[0].backpressure and not shared[0].stopping:
            wait_a_moment()
            head = shared[0].tail
        else:
            if belief == _BELIEVED:
                raise_to(dropped_until, epoch % EPOCHS, ticks)
            add(refused, group * _REASONS + _NO_BUFFER, 1)
            return
    if unsettled or (not noted and beliefs[slot] != _BELIEVED and beliefs[slot] != _PROBATION):
        note_far(stream, heap_count, ticks, interval, follows, shared[0].trusted)

    # 4. The slot of the dump.
    places = numba.carray(intp_to_voidptr(shared[0].seen), ENTRIES * groups, dtype=np.uint8)
    if not compare_and_swap(places, slot * groups + group, np.uint8(0), np.uint8(1)):
        add(refused, group * _REASONS + _DUPLICATE, 1)
        return
    # The fence makes sure that either the collector, closing the entry, sees this heap in `seen`,
    # or this thread sees that the entry is closed.
    fence()
    if state[slot] != _LIVE or time[slot] != ticks or epochs[slot] != epoch:
        seen[slot, group] = 0
        add(refused, group * _REASONS + _LATE, 1)
        return
    block = blocks[slot]
    base = block * shared[0].dump_bytes + group * shared[0].slot_bytes
    base += HEAD_ROOM_BYTES - data_address
    scan_offset[block, group] = scan_at(base, scan_address, length)
    begun_at = numba.carray(intp_to_voidptr(shared[0].begun_at), (pool, groups), dtype=np.int64)
    owner[block, group] = stream[0].index
    begun_at[block, group] = stream[0].begun
    if beliefs[slot] == _BELIEVED or shared[0].trusted:
        ranks = numba.carray(intp_to_voidptr(shared[0].entry_rank), ENTRIES, dtype=np.int64)
        latest = numba.carray(intp_to_voidptr(shared[0].group_latest), groups, dtype=np.int64)
        raise_to(latest, group, ranks[slot])
    if stream[0].data_in_epoch == 0 and stream[0].starts == 0:
        stream[0].epoch_begun_ms = shared[0].now_ms
        stream[0].first_count = heap_count
    stream[0].data_in_epoch += 1
    follows = follows_count(stream[0].last_count, stream[0].step, heap_count)
    if unsettled:
        # Heaps of another sender may be among them: keep to the counts since the start heap.
        own = follows or not stream[0].chained
    else:
        own = beliefs[slot] == _BELIEVED or reference == 0
    if own:
        note_regular(stream, heap_count, ticks, follows)
        if stream[0].ended and (not stream[0].stop_follows or heap_count > stream[0].stop_count):
            # Data after the end heap: the end heap is void.
            stream[0].ended = 0
            stream[0].stops_undone += 1
        keep_items(
            stream,
            swap32(items[HARDWARE]) if items[HARDWARE] >= 0 else np.int64(-1),
            swap32(items[POLARISATION]) if items[POLARISATION] >= 0 else np.int64(-1),
            swap16(items[PHASE_BIN]) if items[PHASE_BIN] >= 0 else np.int64(-1),
            swap16(items[PHASE_BINS]) if items[PHASE_BINS] >= 0 else np.int64(-1),
        )
    data[0].chunk_id = 0
    data[0].heap_index = block * groups + group
    data[0].heap_offset = base
