"""Packets that nobody should send, by a seed, and what spead2 makes of each of them."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

from tests.integration.senders import (
    BASELINES,
    CHANNEL,
    CHANNELS,
    CONTROL,
    COUNT,
    DATA,
    FRACTION,
    HEAP_COUNT,
    HEAP_LENGTH,
    PAYLOAD_LENGTH,
    PAYLOAD_OFFSET,
    SCAN,
    Observation,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 200
"""Packets that have a seed of their own and are sent before the receiver is waited for."""
ITEMS = (
    *(HEAP_COUNT, HEAP_LENGTH, PAYLOAD_OFFSET, PAYLOAD_LENGTH, CONTROL),
    *(COUNT, FRACTION, DATA, CHANNEL, CHANNELS, BASELINES, SCAN),
)
EDGES = (0, 1, 2, 7, 8, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 47, (1 << 48) - 1)
HEADER_BYTES, POINTER_BYTES = 8, 8
MAX_PACKET_BYTES = 9200


def batches(seed: int, first: int, count: int) -> Iterator[list[bytes]]:
    """Yield `count` packets in batches, from batch number `first` on."""
    originals = _originals()
    for number in range(first, first + -(-count // BATCH)):
        rng = random.Random(seed << 32 | number)
        size = min(BATCH, count - (number - first) * BATCH)
        yield [harmed(rng, originals) for _ in range(size)]


def _originals() -> list[bytes]:
    source = Observation(per_stream=4, packet_payload=300, antennas=3, seed=2)
    packets: list[bytes] = []
    for stream in range(len(source.groups)):
        packets += source.start(stream) + source.end(stream)
        for index in range(source.times):
            packets += source.low(index, stream) + source.mid(index, stream)
    return packets


def harmed(rng: random.Random, originals: list[bytes]) -> bytes:
    """Return one packet: as it should be, harmed once or more, or noise."""
    packet = rng.choice(originals)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        packet = rng.choice(HARMS)(rng, packet, originals) or b"\0"
    return packet[:MAX_PACKET_BYTES]


def _cut(rng: random.Random, packet: bytes, _: list[bytes]) -> bytes:
    return packet[: rng.randrange(len(packet))]


def _lengthened(rng: random.Random, packet: bytes, _: list[bytes]) -> bytes:
    return packet + rng.randbytes(rng.randrange(1, 50))


def _bits(rng: random.Random, packet: bytes, _: list[bytes]) -> bytes:
    changed = bytearray(packet)
    # Mostly in the header and the item pointers, where it matters.
    end = len(changed) if rng.random() < 0.2 else min(len(changed), 130)
    for _flip in range(rng.randrange(1, 6)):
        changed[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _noise(rng: random.Random, packet: bytes, _: list[bytes]) -> bytes:
    head = packet[: rng.choice((0, 4, 8, 16))]
    return head + rng.randbytes(rng.randrange(600))


def _spliced(rng: random.Random, packet: bytes, originals: list[bytes]) -> bytes:
    other = rng.choice(originals)
    return packet[: rng.randrange(len(packet))] + other[rng.randrange(len(other)) :]


def _pointer_changed(rng: random.Random, packet: bytes, _: list[bytes]) -> bytes:
    """Give one item pointer another id, value or mode."""
    places = (min(len(packet), 200) - HEADER_BYTES) // POINTER_BYTES
    if places < 1:
        return packet
    at = HEADER_BYTES + POINTER_BYTES * rng.randrange(places)
    (pointer,) = struct.unpack_from(">Q", packet, at)
    mode, item, value = pointer >> 63, pointer >> 48 & 0x7FFF, pointer & (1 << 48) - 1
    match rng.randrange(4):
        case 0:
            item = rng.choice(ITEMS)
        case 1:
            value = rng.choice(EDGES)
        case 2:
            value = max(0, min((1 << 48) - 1, value + rng.randint(-40, 40)))
        case _:
            mode ^= 1
    return packet[:at] + struct.pack(">Q", mode << 63 | item << 48 | value) + packet[at + 8 :]


def _pointers_shuffled(rng: random.Random, packet: bytes, _: list[bytes]) -> bytes:
    count = _pointer_count(packet)
    end = HEADER_BYTES + POINTER_BYTES * count
    if len(packet) < end:
        return packet
    pointers = [packet[at : at + POINTER_BYTES] for at in range(HEADER_BYTES, end, POINTER_BYTES)]
    rng.shuffle(pointers)
    return packet[:HEADER_BYTES] + b"".join(pointers) + packet[end:]


def _pointer_count(packet: bytes) -> int:
    return int.from_bytes(packet[6:8], "big")


HARMS: tuple[Callable[[random.Random, bytes, list[bytes]], bytes], ...] = (
    _cut,
    _lengthened,
    _bits,
    _noise,
    _spliced,
    _pointer_changed,
    _pointer_changed,
    _pointers_shuffled,
)


def is_packet(packet: bytes) -> bool:
    """Whether spead2 should take a datagram for a packet: its rules, written down a second time."""
    if len(packet) < HEADER_BYTES or packet[:2] != b"\x53\x04":
        return False
    item_bits, address_bits = 8 * packet[2], 8 * packet[3]
    if not item_bits or not address_bits or item_bits + address_bits != 64:
        return False
    count = _pointer_count(packet)
    payload_at = HEADER_BYTES + POINTER_BYTES * count
    if payload_at > len(packet):
        return False
    found: dict[int, int] = {}
    for (pointer,) in struct.iter_unpack(">Q", packet[HEADER_BYTES:payload_at]):
        if pointer >> 63:
            item = pointer >> address_bits & (1 << item_bits - 1) - 1
            found[item] = pointer & (1 << address_bits) - 1
    if not {HEAP_COUNT, PAYLOAD_OFFSET, PAYLOAD_LENGTH} <= found.keys():
        return False
    if payload_at + found[PAYLOAD_LENGTH] != len(packet):
        return False
    heap_length = found.get(HEAP_LENGTH)
    return heap_length is None or found[PAYLOAD_OFFSET] + found[PAYLOAD_LENGTH] <= heap_length
