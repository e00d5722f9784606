"""Archives that nobody should unpack, and any names that one could hold."""

from __future__ import annotations

import random
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receive.command.errors import InputError, OutputError
from receive.config import Config
from receive.fetch.limits import Limits
from receive.fetch.model import Bounds, fetch_model
from tests import archives
from tests.archives import regular, special, tar_of, zip_of

INSIDE = "sim-vis.ms/table.dat"


def fetch(folder: Path, content: bytes, **bounds) -> Path:
    archive = folder / "archive"
    archive.write_bytes(content)
    config = Config.from_mapping({"model.url": str(archive)})
    return fetch_model(config, folder / "out" / "model", Bounds(**bounds))


def assert_refused(folder: Path, content: bytes, words: str = "", **bounds) -> None:
    with pytest.raises(InputError) as caught:
        fetch(folder, content, **bounds)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    there = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert there == ["archive", "out", "out/model", "out/model/.sim-vis.ms.lock"]


def zip_special(name: str, mode: int, content: bytes = b"target") -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info, content


BAD_NAMES = {
    "/etc/passwd": "an absolute path",
    "../outside": "a path with ..",
    "sim-vis.ms/../../outside": "a path with ..",
    "sim-vis.ms/..": "a path with ..",
    "..\\outside": "a backslash",
    "sim-vis.ms/a\nb": "a control character",
    "sim-vis.ms/" + "x" * 256: "too long a name",
    "sim-vis.ms/" + "x/" * 70 + "y": "more than 64 folders",
}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_elsewhere(tmp_path, name):
    assert_refused(tmp_path, tar_of(regular(INSIDE), regular(name)), BAD_NAMES[name])


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_elsewhere_in_a_zip(tmp_path, name):
    assert_refused(tmp_path, zip_of((INSIDE, b"x"), (name, b"x")), BAD_NAMES[name])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device or a pipe"),
        (tarfile.BLKTYPE, "a device or a pipe"),
        (tarfile.FIFOTYPE, "a device or a pipe"),
    ],
)
@pytest.mark.parametrize("place", ["sim-vis.ms/x", "elsewhere/x"])
def test_what_is_no_file(tmp_path, kind, words, place):
    content = tar_of(regular(INSIDE), special(place, kind, INSIDE))
    assert_refused(tmp_path, content, words)


@pytest.mark.parametrize(
    ("mode", "words"), [(0o120777, "a link"), (0o020666, "a device"), (0o010666, "a device")]
)
def test_what_is_no_file_in_a_zip(tmp_path, mode, words):
    assert_refused(tmp_path, zip_of((INSIDE, b"x"), zip_special("sim-vis.ms/x", mode)), words)


def test_a_link_to_a_folder_cannot_be_written_through(tmp_path):
    members = special("sim-vis.ms", tarfile.SYMTYPE, "/tmp"), regular(INSIDE)  # noqa: S108
    assert_refused(tmp_path, tar_of(*members), "a link")


@pytest.mark.parametrize(
    "names",
    [
        (INSIDE, INSIDE),
        (INSIDE, f"./{INSIDE}"),
        (INSIDE, "sim-vis.ms//table.dat"),
        (INSIDE, f"{INSIDE}/below"),
        ("sim-vis.ms/a/b", INSIDE, "sim-vis.ms/a"),
    ],
)
def test_duplicates(tmp_path, names):
    assert_refused(tmp_path, tar_of(*map(regular, names)), "more than once")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicates_in_a_zip(tmp_path):
    assert_refused(tmp_path, zip_of((INSIDE, b"x"), (INSIDE, b"y")), "more than once")


def test_two_sets_of_the_name(tmp_path):
    content = tar_of(regular(f"a/{INSIDE}"), regular(f"b/{INSIDE}"))
    assert_refused(tmp_path, content, "('a/sim-vis.ms', 'b/sim-vis.ms')")


def test_a_folder_of_the_name_that_is_no_set(tmp_path):
    assert_refused(tmp_path, tar_of(regular("sim-vis.ms/README")), "it has no table.dat")
    (tmp_path / "archive").unlink()


def test_an_archive_without_sets(tmp_path):
    assert_refused(tmp_path, tar_of(regular("sim-vis.ms")), "there is no Measurement Set in it")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "zip"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9, 0.999])
def test_truncated_archives(tmp_path, kind, part):
    content = archives.packed(kind)
    assert_refused(tmp_path, content[: int(len(content) * part)])


def test_a_tar_without_its_end_in_a_whole_gzip(tmp_path):
    import gzip  # noqa: PLC0415 (only here)

    plain = gzip.decompress(archives.packed("tar.gz"))
    whole = plain[: plain.rindex(b"antennas") + 512 - plain.rindex(b"antennas") % 512]
    assert_refused(tmp_path, gzip.compress(whole), "truncated")
    assert_refused(tmp_path, gzip.compress(plain[: len(whole) + 100]), "truncated")


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "zip"])
def test_a_changed_byte_is_seen(tmp_path, kind):
    content = bytearray(archives.packed(kind))
    content[len(content) // 2] ^= 0x55
    assert_refused(tmp_path, bytes(content))


def test_an_encrypted_zip(tmp_path):
    content = bytearray(zip_of((INSIDE, b"x")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    assert_refused(tmp_path, bytes(content), "is encrypted")


def test_methods_that_unpack_without_a_bound(tmp_path):
    content = zip_of((INSIDE, bytes(1000)), method=zipfile.ZIP_BZIP2)
    assert_refused(tmp_path, content, "accepted: deflate, store")


@pytest.mark.parametrize("content", [b"", b"hello", b"BZh9xxxx", b"PK\x05\x06" + bytes(3)])
def test_what_is_no_archive(tmp_path, content):
    assert_refused(tmp_path, content)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "zip"])
def test_bombs(tmp_path, kind):
    content = archives.packed(kind, {"sim-vis.ms/table.dat": bytes(80 << 20)})
    assert_refused(tmp_path, content, "--max-ratio", max_ratio=100)
    assert_refused(tmp_path, content, "--max-unpacked", max_unpacked_bytes=1 << 20)


def test_what_the_disk_has_no_room_for(tmp_path):
    limits = Limits("archive", 1, tmp_path)
    limits.check_space(1)
    with pytest.raises(OutputError, match="there is room for"):
        limits.check_space(1 << 62)


def test_too_many_files(tmp_path):
    limits = Limits("archive", 1, tmp_path, max_files=2)
    limits.add_file()
    limits.add_file()
    with pytest.raises(InputError, match="more than 2 files"):
        limits.add_file()


def test_a_zip_that_holds_more_than_it_says(tmp_path):
    content = bytearray(zip_of((INSIDE, bytes(100_000))))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = content.index(signature) + offset
        content[place : place + 4] = struct.pack("<I", 10)
    assert_refused(tmp_path, bytes(content), "corrupt")


def test_headers_that_would_take_the_memory(tmp_path):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    import gzip  # noqa: PLC0415 (only here)

    assert_refused(tmp_path, gzip.compress(header.tobuf()), "a header of")


def test_an_xz_that_would_take_the_memory(tmp_path):
    import lzma  # noqa: PLC0415 (only here)

    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    assert_refused(tmp_path, lzma.compress(b"x", filters=filters), "too much memory")


def test_several_xz_streams_are_one_file(tmp_path):
    import lzma  # noqa: PLC0415 (only here)

    plain = lzma.decompress(archives.packed("tar.xz"))
    content = lzma.compress(plain[:1000]) + bytes(8) + lzma.compress(plain[1000:])
    assert (fetch(tmp_path, content) / "table.dat").exists()


names = st.text(
    st.sampled_from("ab./\\\x00\n~é\udc80-") | st.characters(blacklist_categories=["Cs"]),
    min_size=1,
    max_size=40,
)
paths = st.lists(names | st.sampled_from(["sim-vis.ms", "..", ".", "table.dat", ""]), max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(paths.map("/".join), max_size=6), st.sampled_from(["tar.gz", "zip"]))
def test_whatever_it_holds_nothing_is_written_elsewhere(members, kind):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = {name: b"x" for name in [INSIDE, *members] if name}
        try:
            content = archives.packed(kind, files)
        except (UnicodeEncodeError, ValueError, IndexError):  # zipfile cuts a name at a NUL
            return
        try:
            fetch(folder, content)
        except InputError:
            assert not (folder / "out" / "model" / "sim-vis.ms").exists()
        assert {path.name for path in folder.iterdir()} <= {"archive", "out"}
        assert {path.name for path in (folder / "out").iterdir()} == {"model"}
        assert {path.name for path in (folder / "out" / "model").iterdir()} <= {
            "sim-vis.ms",
            ".sim-vis.ms.lock",
            ".sim-vis.ms.fetched.json",
        }


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["tar.gz", "tar.xz", "zip"]), st.booleans())
def test_damage_anywhere_ends_in_one_line(seed, kind, within):
    """Damage of the archive, or of the tar within an archive that is whole."""
    import gzip  # noqa: PLC0415 (only here)

    dice = random.Random(seed)
    content = bytearray(archives.packed(kind))
    if within and kind == "tar.gz":
        content = bytearray(gzip.decompress(bytes(content)))
    for _ in range(dice.randint(1, 4)):
        content[dice.randrange(len(content))] = dice.randrange(256)
    if within and kind == "tar.gz":
        content = bytearray(gzip.compress(bytes(content)))
    with tempfile.TemporaryDirectory() as temporary:
        try:
            fetch(Path(temporary), bytes(content))
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 (either way is right)
