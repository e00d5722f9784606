"""How many buffers consumers may hold."""

from __future__ import annotations

import pytest

from receive.stream.dumps.pool_share import MEMORY_S, ConsumerShare
from receive.stream.table.layout import PoolSize


def test_a_third_is_always_left_to_receive_into() -> None:
    assert ConsumerShare(PoolSize(dumps=30, window=16), 1).look(0, 1.0) == 30 - 10 - 1


def test_with_more_consumers_more_is_left() -> None:
    shares = [ConsumerShare(PoolSize(dumps=60, window=50), n).look(0, 1.0) for n in (1, 2, 3)]
    assert shares == [60 - 20 - 1, 60 - 30 - 1, 60 - 36 - 1]


def test_heaps_that_are_missing_take_room_from_consumers_and_give_it_back() -> None:
    share = ConsumerShare(PoolSize(dumps=30, window=16), 1)
    calm = share.look(2, 1.0)
    assert share.look(7, 2.0) == 30 - 14 - 1
    assert share.look(100, 3.0) == 30 - 16 - 1, "never more than the window"
    assert share.look(2, 3.5) == 30 - 16 - 1
    assert share.look(2, 3.5 + 10 * MEMORY_S) == calm


@pytest.mark.parametrize("dumps", [4, 5, 6])
def test_there_is_always_one_for_a_consumer(dumps: int) -> None:
    share = ConsumerShare(PoolSize(dumps=dumps, window=dumps - 2), 1)
    assert share.look(dumps, 1.0) == 1
