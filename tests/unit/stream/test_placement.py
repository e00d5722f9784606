"""What the compiled placement reads from a packet: item pointers, values, times."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from receive.icd.items import ItemId
from receive.stream.table import shared_types
from receive.stream.table.placement import addresses, apart, index_in_model, scan_at, swap16, swap32
from receive.stream.table.shared_types import STREAM_DTYPE, compiled_for

DATA, SCAN = int(ItemId.CORRELATOR_OUTPUT_DATA), int(ItemId.SCAN_ID)
ADDRESS = st.integers(0, (1 << 48) - 1)
ANY_TICKS = st.integers(0, (1 << 64) - 1)


def packet(pointers: list[tuple[bool, int, int]], rest: bytes = b"") -> np.ndarray:
    words = [(int(immediate) << 63) | item << 48 | value for immediate, item, value in pointers]
    head = bytes((0x53, 4, 2, 6, 0, 0)) + len(pointers).to_bytes(2, "big")
    return np.frombuffer(head + b"".join(w.to_bytes(8, "big") for w in words) + rest, np.uint8)


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 0x5FFF), ADDRESS), max_size=12),
    st.none() | ADDRESS,
    st.none() | ADDRESS,
    st.randoms(use_true_random=False),
)
def test_addresses_in_any_order(
    others: list[tuple[bool, int, int]], data: int | None, scan: int | None, rng: object
) -> None:
    pointers = list(others)
    pointers += [(False, item, at) for item, at in ((DATA, data), (SCAN, scan)) if at is not None]
    rng.shuffle(pointers)  # type: ignore[attr-defined]
    found_data, end, found_scan = addresses(packet(pointers, b"\xff" * 30))
    assert found_data == (-1 if data is None else data)
    assert found_scan == (-1 if scan is None else scan)
    if data is not None:
        after = [at for immediate, _, at in pointers if not immediate and at > data]
        assert end == min(after, default=-1)


def test_immediates_are_no_addresses() -> None:
    assert addresses(packet([(True, DATA, 7), (True, SCAN, 9)])) == (-1, -1, -1)


@settings(deadline=None)
@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF))
def test_little_endian_values_in_big_endian_fields(wide: int, narrow: int) -> None:
    assert swap32(int.from_bytes(wide.to_bytes(4, "little"), "big")) == wide
    assert swap16(int.from_bytes(narrow.to_bytes(2, "little"), "big")) == narrow


@settings(deadline=None)
@given(ANY_TICKS, ANY_TICKS)
def test_times_are_compared_with_all_their_bits(one: int, other: int) -> None:
    assert int(apart(np.uint64(one), np.uint64(other))) == abs(one - other)


@settings(deadline=None)
@given(
    st.lists(st.integers(1 << 40, (1 << 64) - (1 << 40)), min_size=1, max_size=20, unique=True),
    st.integers(0, 1 << 30),
    ANY_TICKS,
)
def test_a_time_is_the_models_if_it_is_near_one_of_its_own(
    times: list[int], tolerance: int, ticks: int
) -> None:
    model = np.array(sorted(times), np.uint64)
    tolerances = np.full(len(times), tolerance, np.int64)
    near = min(abs(ticks - time) for time in times) <= tolerance
    index = index_in_model(model, tolerances, np.uint64(ticks))
    assert (index >= 0) == near
    assert not near or abs(ticks - int(model[index])) == min(abs(ticks - time) for time in times)
    for time in (times[0] - tolerance, times[0] + tolerance):
        assert index_in_model(model, tolerances, np.uint64(time)) >= 0


def test_no_time_is_that_of_a_model_without_times() -> None:
    nothing = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    assert index_in_model(*nothing, np.uint64(1)) == -1


@settings(deadline=None)
@given(st.integers(-1, 100), st.integers(0, 100))
def test_a_scan_id_lies_whole_within_its_heap(address: int, length: int) -> None:
    fits = address >= 0 and address + 8 <= length
    assert scan_at(1000, address, length) == (1000 + address if fits else -1)


def test_what_was_compiled_for_other_constants_is_not_used_again(monkeypatch) -> None:
    names = STREAM_DTYPE.names or ()
    assert f"for_{compiled_for()}" in names
    before = compiled_for()
    monkeypatch.setattr(shared_types, "EPOCHS", 2 * shared_types.EPOCHS)
    assert compiled_for() != before
