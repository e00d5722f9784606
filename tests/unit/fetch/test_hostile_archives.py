"""Archives made to take memory or time, or to be read in two ways; and any of their kind."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from receive.command.errors import InputError, OutputError, VisReceiveError
from receive.config import Config
from receive.fetch.model import Bounds, fetch_model
from tests import archives
from tests.archives import regular, tar_of, zip_of
from tests.commands import options
from tests.memory import measured

if TYPE_CHECKING:
    from collections.abc import Callable

INSIDE = "sim-vis.ms/table.dat"
MOST_MIB = 100
DIGITS = b"9" * 5000
END = bytes(1024)


def header(kind: bytes, content: bytes, name: str = "x", size: int | None = None) -> bytes:
    """Return a member of a tar with its content, which may be of another size than it says."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def pax(content: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return header(kind, content)


def record(name: bytes, value: bytes) -> bytes:
    length = len(name) + len(value) + 3
    length += len(str(length + len(str(length))))
    return b"%d %s=%s\n" % (length, name, value)


def packed(*parts: bytes) -> bytes:
    return gzip.compress(b"".join(parts) + END)


def with_field(content: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    place = content.rindex(signature) + offset
    return content[:place] + value + content[place + len(value) :]


FILE = header(tarfile.REGTYPE, b"main", INSIDE)
ZIP = zip_of((INSIDE, b"main"), ("sim-vis.ms/table.f0", b"x" * 1000))
CENTRAL, LOCAL, ENDING = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


def sparse(*records: tuple[bytes, bytes]) -> bytes:
    return b"".join(record(*one) for one in records)


def many_names() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for number in range(20_000):
            tar.addfile(regular("/".join([f"{number:06}", *["d" * 50] * 40, "f"]), b"")[0])
    return out.getvalue()


def many_members() -> bytes:
    entry = struct.pack("<4s4B4HL2L5H2L", CENTRAL, 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 1, *[0] * 6)
    count = 600_000
    entries = b"".join(entry + b"x" for _ in range(count))
    return (
        LOCAL + entries + struct.pack("<4s4H2LH", ENDING, 0, 0, 0xFFFF, 0xFFFF, len(entries), 4, 0)
    )


def overlapping() -> bytes:
    second = ZIP.rindex(CENTRAL)
    return with_field(ZIP, CENTRAL, 42, ZIP[ZIP.index(CENTRAL) + 42 :][:4]) if second else ZIP


HOSTILE: dict[str, bytes | Callable[[], bytes]] = {
    "pax names that overlap": packed(pax(b"2 " * 200_000 + b"=\n"), FILE),
    "pax names that overlap, small": packed(pax(b"2 " * 8000 + b"=\n"), FILE),
    "pax record of a length of digits": packed(pax(DIGITS + b" a=b\n"), FILE),
    "pax size of digits": packed(pax(record(b"size", DIGITS[:4200])), FILE),
    "pax size of more digits": packed(pax(record(b"size", DIGITS)), FILE),
    "pax size that is none": packed(pax(record(b"size", b"-5")), FILE),
    "pax headers without end": packed(*[pax(record(b"a", b"b"))] * 3000, FILE),
    "global headers without end": packed(
        *(pax(record(b"%d" % number, b"b" * 1000), tarfile.XGLTYPE) for number in range(3000)),
        FILE,
    ),
    "long names without end": packed(*[header(tarfile.GNUTYPE_LONGNAME, b"a\0")] * 3000, FILE),
    "empty headers without end": packed(*[header(tarfile.GNUTYPE_LONGNAME, b"")] * 9000, FILE),
    "sparse map without end": lambda: packed(
        pax(sparse((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"))),
        header(tarfile.REGTYPE, b"999999999\n" + b"1\n" * (20 << 20), INSIDE),
    ),
    "sparse map of digits": packed(
        pax(sparse((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"))),
        header(tarfile.REGTYPE, DIGITS + b"\n", INSIDE),
    ),
    "sparse numbers": packed(pax(record(b"GNU.sparse.map", b"1,2," + DIGITS)), FILE),
    "sparse file": packed(header(tarfile.GNUTYPE_SPARSE, b"x", INSIDE)),
    "a size of exabytes": packed(header(tarfile.REGTYPE, b"x", "elsewhere", size=1 << 62), FILE),
    "a size of more": packed(header(tarfile.REGTYPE, b"x", "elsewhere", size=1 << 86), FILE),
    "a size of gigabytes": packed(header(tarfile.REGTYPE, b"x", "elsewhere", size=90 << 30), FILE),
    "names without end": many_names,
    "xz with a large dictionary": lzma.compress(
        b"x", filters=[{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 100 << 20}]
    ),
    "a list of files without end": many_members,
    "a list of another size": with_field(ZIP, ENDING, 12, b"\xff" * 4),
    "a list at another place": with_field(ZIP, ENDING, 16, b"\xff" * 4),
    "files that overlap": overlapping(),
    "a file of another place": with_field(ZIP, CENTRAL, 42, b"\xff\xff\xff\x7f"),
    "a file of another size": with_field(ZIP, CENTRAL, 24, b"\xff\xff\xff\x7f"),
    "zip64 without its numbers": with_field(ZIP, CENTRAL, 20, b"\xff" * 8),
    "zip64 end at nowhere": ZIP[: ZIP.rindex(ENDING)]
    + struct.pack("<4sLQL", b"PK\x06\x07", 0, (1 << 64) - 1, 1)
    + ZIP[ZIP.rindex(ENDING) :],
    "two ends": ZIP + ZIP[ZIP.rindex(ENDING) :],
    "a comment that is shorter": with_field(ZIP, ENDING, 20, b"\xff\xff"),
    "no end": ZIP[: ZIP.rindex(ENDING)],
}


READ = {"pax names that overlap, small", "a comment that is shorter"}
"""Odd, and no harm in them."""


def peak_mib(folder: Path, content: bytes) -> tuple[int, str, float]:
    """Fetch an archive; return exit code, standard error and the most memory."""
    archive = folder / "archive"
    archive.write_bytes(content)
    arguments = ["--to", folder / "model", *options({"model.url": archive})]
    done, mib = measured(folder, "receive.fetch.app", arguments)
    return done.returncode, done.stderr, mib


@pytest.fixture(scope="module")
def baseline_mib(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Return the memory that a small model takes."""
    code, errors, mib = peak_mib(tmp_path_factory.mktemp("base"), archives.packed("tar.gz"))
    assert code == 0, errors
    return mib


@pytest.mark.parametrize("name", HOSTILE)
def test_no_archive_takes_memory_or_a_traceback(tmp_path, baseline_mib, name):
    content = HOSTILE[name]
    code, errors, mib = peak_mib(tmp_path, content if isinstance(content, bytes) else content())
    assert "Traceback" not in errors
    assert "set_int_max_str_digits" not in errors
    assert mib - baseline_mib < MOST_MIB
    if name in READ:
        assert code == 0
        return
    assert code == 3, errors
    last = errors.splitlines()[-1]
    assert last.startswith("emu-fetch-model: error: ")
    assert last.isprintable()
    assert {path.name for path in (tmp_path / "model").iterdir()} == {".sim-vis.ms.lock"}


def test_the_best_compression_of_xz_is_read_within_the_memory(tmp_path, baseline_mib):
    content = lzma.compress(
        lzma.decompress(archives.packed("tar.xz")), preset=9 | lzma.PRESET_EXTREME
    )
    code, errors, mib = peak_mib(tmp_path, content)
    assert code == 0, errors
    assert mib - baseline_mib < MOST_MIB


@pytest.mark.parametrize("content", [b"comment", b"PK\x05\x06" + b"\0" * 10, b"x" * 65_535])
def test_a_zip_with_a_comment_is_read_or_refused(tmp_path, content):
    out = io.BytesIO(ZIP)
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = content
    archive_path = tmp_path / "archive"
    archive_path.write_bytes(out.getvalue())
    config = Config.from_mapping({"model.url": str(archive_path)})
    try:
        found = fetch_model(config, tmp_path / "model", Bounds())
    except InputError as error:
        assert content.startswith(b"PK")
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert (found / "table.dat").read_bytes() == b"main"


def mutant(dice: random.Random) -> bytes:
    """Return an archive, of which some fields are what fields should not be."""
    if dice.random() < 0.5:
        return mutant_zip(dice)
    infos = [regular(INSIDE, b"main"), regular("sim-vis.ms/table.f0", b"x" * dice.randint(0, 2000))]
    format_ = dice.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    for info, _ in infos:
        info.pax_headers = {
            dice.choice(["size", "path", "mtime", "GNU.sparse.map", "GNU.sparse.size", "hdrcharset",
                         "GNU.sparse.major", "GNU.sparse.numblocks", "GNU.sparse.name"]):
            dice.choice(["-1", "0", "1", "9" * 5000, "nan", "1e400", "a,b", "", "BINARY", "/x"])
            for _ in range(dice.randint(0, 3))
        }  # fmt: skip
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as tar:
        for info, content in infos:
            tar.addfile(info, io.BytesIO(content))
    plain = bytearray(out.getvalue())
    for _ in range(dice.randint(0, 3)):
        block = dice.randrange(0, len(plain) - 512, 512)
        offset, size = dice.choice([(0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (257, 8)])
        fields = [bytes(size), b"\xff" * size, b"\x80" + b"\x7f" * (size - 1), b"7" * size]
        field = dice.choice([*fields, dice.randbytes(size), b"-" + b"1" * (size - 1), b" " * size])
        plain[block + offset : block + offset + size] = field[:size]
        chksum = sum(plain[block : block + 512]) - sum(plain[block + 148 : block + 156]) + 256
        plain[block + 148 : block + 156] = b"%06o\0 " % chksum
    pack = dice.choice([gzip.compress, lzma.compress])
    return bytes(pack(bytes(plain[: dice.choice([len(plain), dice.randrange(len(plain))])])))


def mutant_zip(dice: random.Random) -> bytes:
    content = bytearray(ZIP)
    if dice.random() < 0.3:
        place = content.rindex(ENDING)
        numbers = [dice.choice([0, 1, place, (1 << 64) - 1, 1 << 32]) for _ in range(5)]
        content[place:place] = struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, *numbers[:4]
        )
        content[place + 56 : place + 56] = struct.pack("<4sLQL", b"PK\x06\x07", 0, numbers[4], 1)
    for _ in range(dice.randint(1, 4)):
        signature = dice.choice([CENTRAL, LOCAL, ENDING])
        place = dice.choice([content.find(signature), content.rfind(signature)])
        size = dice.choice([1, 2, 4, 8])
        field = dice.choice(
            [bytes(size), b"\xff" * size, dice.randbytes(size), b"\x01" + bytes(size - 1)]
        )
        offset = place + dice.randrange(4, 46)
        content[offset : offset + size] = field[:size]
    tail = dice.choice([b"", b"", ENDING, content[content.rfind(ENDING) :], dice.randbytes(30)])
    return bytes(content + tail)


def test_any_archive_of_the_kind_is_read_or_refused_in_one_line():
    outcomes = {"read": 0, "refused": 0}
    for seed in range(600):
        with tempfile.TemporaryDirectory() as temporary:
            archive = Path(temporary) / "archive"
            archive.write_bytes(mutant(random.Random(seed)))
            config = Config.from_mapping({"model.url": str(archive)})
            try:
                fetch_model(config, Path(temporary) / "model", Bounds())
            except VisReceiveError as error:
                assert isinstance(error, InputError | OutputError), seed  # noqa: PT017
                assert "\n" not in str(error), seed  # noqa: PT017
                assert "set_int" not in str(error), seed  # noqa: PT017
                outcomes["refused"] += 1
            else:
                outcomes["read"] += 1
    assert min(outcomes.values()) > 30, outcomes


def test_a_tar_of_the_size_of_a_real_one_is_read_to_its_end(tmp_path):
    """What is passed over between two sets is read, not sought."""
    members = [regular(f"other/{number}", bytes(number * 97)) for number in range(100)]
    archive = tmp_path / "archive"
    archive.write_bytes(tar_of(*members, regular(INSIDE, b"main")))
    config = Config.from_mapping({"model.url": str(archive)})
    assert (fetch_model(config, tmp_path / "model", Bounds()) / "table.dat").read_bytes() == b"main"
