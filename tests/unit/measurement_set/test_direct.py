"""Pieces of files that are written past the kernel's cache, and those that cannot be."""

from __future__ import annotations

import errno
import os
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from receive.measurement_set.tiled import direct_io as direct_room
from receive.measurement_set.tiled.direct_io import (
    BLOCK_BYTES,
    DirectWrites,
    ShiftedBuffer,
    file_system,
)
from receive.measurement_set.write.writer import SetWriter
from tests.unit.measurement_set.writing import (
    assert_holds,
    make_model,
    make_payload,
    make_template,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_BYTES = 64 * BLOCK_BYTES
PIECE_BYTES = 5 * BLOCK_BYTES + 24


class Written:
    """A file, and what it should hold."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self.descriptor, FILE_BYTES)
        self.writes = DirectWrites(path.parent, wanted=True)
        self.writes.add(self.descriptor, path)
        self.wanted = bytearray(FILE_BYTES)
        self.buffer = ShiftedBuffer(PIECE_BYTES, np.uint8)

    def write(self, offset: int, *, memory_shift: int = 0) -> None:
        piece = self.buffer.at(offset + memory_shift)
        piece[:] = np.random.default_rng(offset).integers(0, 256, PIECE_BYTES, np.uint8)
        self.writes.write(self.descriptor, piece, offset)
        self.wanted[offset : offset + PIECE_BYTES] = piece.tobytes()

    def close(self) -> None:
        self.writes.close()
        os.close(self.descriptor)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    here = file_system(tmp_path)
    assert here
    monkeypatch.setattr(direct_room, "FILE_SYSTEMS", frozenset({here}))
    monkeypatch.setattr(direct_room, "LEAST_BYTES", 1)
    made = Written(tmp_path / "tiles")
    yield made
    made.close()


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(offset, bytes) of what was tried directly."""
    tried: list[tuple[int, int]] = []
    real = DirectWrites._try

    def note(self: DirectWrites, descriptor: int, view: memoryview, offset: int) -> int:
        tried.append((offset, view.nbytes))
        return real(self, descriptor, view, offset)

    monkeypatch.setattr(DirectWrites, "_try", note)
    return tried


def test_pieces_at_any_place_arrive_whole(file: Written, pieces: list[tuple[int, int]]) -> None:
    rng = random.Random(4)
    offsets = [rng.randrange(0, FILE_BYTES - PIECE_BYTES, 8) for _ in range(200)]
    for offset in offsets:
        file.write(offset)
    assert file.path.read_bytes() == file.wanted
    if file.writes._on:  # the file system takes direct writes
        assert len(pieces) == len(offsets)
    assert all(offset % BLOCK_BYTES == size % BLOCK_BYTES == 0 for offset, size in pieces)


def test_memory_that_lies_otherwise_goes_through_the_cache(
    file: Written, pieces: list[tuple[int, int]]
) -> None:
    file.write(3 * BLOCK_BYTES, memory_shift=8)
    assert not pieces
    assert file.path.read_bytes() == file.wanted


def test_small_pieces_go_through_the_cache(
    file: Written, pieces: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_room, "LEAST_BYTES", PIECE_BYTES + 1)
    file.write(0)
    assert not pieces
    assert file.path.read_bytes() == file.wanted


def test_a_slow_disk_is_left_to_the_cache(
    file: Written, pieces: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_room, "TRIAL_BYTES", 1)
    monkeypatch.setattr(direct_room, "SLOW_BYTES_PER_S", float("inf"))
    for block in range(4):
        file.write(block * BLOCK_BYTES)
    assert len(pieces) == 1
    assert file.path.read_bytes() == file.wanted


def test_what_was_written_in_part_is_completed(
    file: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def half(descriptor: int, view: memoryview, offset: int) -> int:
        if descriptor == file.descriptor:
            return real(descriptor, view, offset)
        return real(file.descriptor, view[: view.nbytes // 2], offset)

    monkeypatch.setattr(os, "pwrite", half)
    file.write(BLOCK_BYTES + 8)
    assert file.path.read_bytes() == file.wanted


def test_where_it_is_refused_all_goes_through_the_cache(
    file: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def refuse(descriptor: int, view: memoryview, offset: int) -> int:
        if descriptor == file.descriptor:
            return real(descriptor, view, offset)
        raise OSError(errno.EINVAL, "not like this")

    monkeypatch.setattr(os, "pwrite", refuse)
    file.write(8)
    assert not file.writes._on
    assert file.path.read_bytes() == file.wanted


def test_a_full_disk_says_so(file: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="full"):
        file.write(8)


def test_it_can_be_left_out(tmp_path: Path, pieces: list[tuple[int, int]]) -> None:
    writes = DirectWrites(tmp_path, wanted=False)
    descriptor = os.open(tmp_path / "tiles", os.O_RDWR | os.O_CREAT)
    writes.add(descriptor, tmp_path / "tiles")
    writes.write(descriptor, ShiftedBuffer(2 << 20, np.uint8).at(0), 0)
    os.close(descriptor)
    assert not pieces
    assert (tmp_path / "tiles").stat().st_size == 2 << 20


def test_where_nobody_says_which_file_system_it_is(tmp_path: Path) -> None:
    assert file_system(tmp_path)
    assert file_system(tmp_path.__class__("/proc/self")) == "proc"


@pytest.mark.parametrize(("antennas", "channels"), [(64, 64), (46, 71), (31, 300)])
def test_large_integrations_are_read_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pieces: list[tuple[int, int]],
    antennas: int,
    channels: int,
) -> None:
    """Tiles of whole blocks and others, in several strips, and what two of them share."""
    monkeypatch.setattr(direct_room, "FILE_SYSTEMS", frozenset({file_system(tmp_path)}))
    model = make_model(antennas, channels, dumps=4)
    template = make_template(tmp_path / "template.ms", model)
    payloads = [make_payload(model, dump) for dump in range(3)]
    with SetWriter.create(tmp_path / "out.ms", template, model) as writer:
        for payload in payloads:
            writer.write(payload)
    assert_holds(tmp_path / "out.ms", model, payloads)
    assert len(pieces) >= len(payloads)
