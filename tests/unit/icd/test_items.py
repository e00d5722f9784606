"""The item table, as a SPEAD stack sees it."""

from __future__ import annotations

import numpy as np
import pytest
import spead2
import spead2.recv
import spead2.send

from receive.icd import ITEM_SETS, ITEMS, ItemId
from receive.icd.items import markdown_table


def test_items_are_those_of_the_interface():
    table = [(item.id, item.name, item.dtype.str) for item in ITEMS[:-1]]
    assert table == [
        (0x6000, "visibility_timestamp_count", "<u4"),
        (0x6001, "visibility_timestamp_fraction", "<u4"),
        (0x6002, "visibility_channel_id", "<u4"),
        (0x6003, "visibility_channel_count", "<u4"),
        (0x6004, "visibility_polarisation_id", "<u4"),
        (0x6005, "visibility_baseline_count", "<u4"),
        (0x6006, "visibility_phase_bin_id", "<u2"),
        (0x6007, "visibility_phase_bin_count", "<u2"),
        (0x6008, "scan_id", "<u8"),
        (0x6009, "visibility_hardware_id", "<u4"),
    ]
    assert (ITEMS[-1].id, ITEMS[-1].name) == (0x600A, "correlator_output_data")
    assert ITEMS[-1].axes == ("channels", "baselines")


def test_low_sends_time_and_data_and_mid_sends_all():
    low, mid = ITEM_SETS["low"], ITEM_SETS["mid"]
    assert [item.id for item in low.data] == [0x6000, 0x6001, 0x600A]
    assert [item.id for item in low.start] == list(range(0x6000, 0x600A))
    assert [item.id for item in mid.data] == list(range(0x6000, 0x600B))
    assert mid.start == ()
    assert (low.record_dtype.itemsize, mid.record_dtype.itemsize) == (34, 35)
    assert low.item(0x6008).name == "scan_id"
    with pytest.raises(KeyError):
        low.item(0x1600)


@pytest.mark.parametrize("telescope", ["low", "mid"])
def test_a_heap_of_all_items_crosses_spead2(telescope):
    item_set = ITEM_SETS[telescope]
    shape = (3, 5)
    records = np.zeros(shape, item_set.record_dtype)
    records["VIS"] = np.arange(60).reshape(3, 5, 4)
    records["TCI"] = -7
    sender = spead2.send.ItemGroup(flavour=spead2.Flavour(4, 64, 48))
    for item in item_set.items:
        value = records if item.axes else np.array(item.id, item.dtype)
        shape_now = shape if item.axes else ()
        sender.add_item(item.id, item.name, item.doc, shape_now, dtype=item.dtype, value=value)
    stream = spead2.send.BytesStream(spead2.ThreadPool())
    stream.send_heap(sender.get_heap())
    stream.send_heap(sender.get_end())

    receiver = spead2.recv.Stream(spead2.ThreadPool())
    receiver.add_buffer_reader(stream.getvalue())
    heap = next(iter(receiver))
    immediate = {item.id: item.is_immediate for item in heap.get_items()}
    assert {item.id: item.immediate for item in item_set.items}.items() <= immediate.items()
    items = spead2.ItemGroup()
    items.update(heap)
    for item in item_set.items:
        received = items[item.id]
        assert (received.name, received.description) == (item.name, item.doc)
        if item.id == ItemId.CORRELATOR_OUTPUT_DATA:
            np.testing.assert_array_equal(received.value, records)
        else:
            assert received.value == item.id
    receiver.stop()


def test_the_reference_lists_every_item():
    low, mid = markdown_table("low"), markdown_table("mid")
    assert "| 0x6008 | scan_id | <u8 | start |" in low
    assert "| 0x6008 | scan_id | <u8 | data |" in mid
    assert "record of 34 bytes: TCI i1, FD u1, VIS 4 x <c8, shape (channels, baselines)" in low
    assert "record of 35 bytes: TCI i1, FD u1, CCI u1, VIS 4 x <c8" in mid
    assert len(low.splitlines()) == len(ITEMS) + 2
