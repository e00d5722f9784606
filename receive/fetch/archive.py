"""Reads archives from front to back: .tar.gz, .tar.xz, .zip, told apart by what is in them.

Nothing that an archive says of itself is believed: what is no regular file or folder is refused,
bytes are counted as they come out, and the checksums at the end of the compressed streams are
reached and checked.
"""

from __future__ import annotations

import errno
import gzip
import io
import itertools
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from receive.command.errors import InputError
from receive.command.progress import format_bytes
from receive.fetch.member import Member, safe_parts, shown_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from receive.fetch.limits import Limits

FORMATS = ".tar.gz, .tar.xz, .zip"
_GZIP, _XZ, _ZIP = b"\x1f\x8b", b"\xfd7zXZ\x00", (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_HEAD_BYTES = 4096
_PIECE_BYTES = 1 << 18
_XZ_MEMORY_BYTES = 72 << 20
"""``xz -9`` takes 65 MiB; a header can ask for gigabytes."""
_LARGEST_HEADER_BYTES = 16 << 10
"""Of names and attributes of one member, and of those of all.

tarfile makes a table of them, whose names may overlap: this becomes 45 MB.
"""
_LARGEST_HEADERS_BYTES = 1 << 16
"""Of all that tarfile reads, ahead too, to find the next member; sparse files have lists there."""
_LARGEST_LIST_BYTES = 4 << 20
"""Of a zip; zipfile makes fifteen times as much of it."""
_EXTENDED = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)
_ENCRYPTED = 0x1
_ZIP_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Of the others the module unpacks as much at once as there is, which may be everything."""
# The last four are what fields that cannot be make of the modules' arithmetic.
_CORRUPT = (
    gzip.BadGzipFile,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    struct.error,
    ValueError,
    OverflowError,
    IndexError,
    RecursionError,
)
_MARKUP = re.compile(rb"\s*<(?:!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,200}?)\s*</title>", re.IGNORECASE)


def check_format(path: Path, archive: str) -> None:
    """Refuse what is no archive that can be read; InputError, which tells a page of a server."""
    _format(path, archive)


def members(path: Path, limits: Limits) -> Iterator[Member]:
    """Yield the members of an archive in their order; each must be read before the next.

    Use it within `corruption_named`.

    Parameters
    ----------
    path
        The archive.
    limits
        Counts what comes out of it.

    Raises
    ------
    InputError
        It is corrupt, truncated, encrypted, too large, or holds what it must not.
    """
    if _format(path, limits.archive) == "zip":
        yield from _zip_members(path, limits)
    else:
        yield from _tar_members(path, limits)


def _format(path: Path, archive: str) -> str:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_GZIP):
        return "gz"
    if head.startswith(_XZ):
        return "xz"
    if head.startswith(_ZIP):
        return "zip"
    if _MARKUP.match(head):
        title = _TITLE.search(head)
        words = f", titled {shown_name(title[1].decode(errors='replace'))}," if title else ""
        raise InputError(
            f"{archive}: is a web page{words} and no archive: the server may want a login, or the "
            "address may be that of a page about the file"
        )
    if not head:
        raise InputError(f"{archive}: is empty; accepted: {FORMATS}")
    raise InputError(f"{archive}: is no archive that can be read; accepted: {FORMATS}")


@contextmanager
def corruption_named(archive: str) -> Iterator[None]:
    """Make InputErrors of what the readers of archives raise, while members are read too."""
    try:
        yield
    except EOFError:
        raise InputError(f"{archive}: is truncated: it ends before its data do") from None
    except lzma.LZMAError as error:
        if "memory" in str(error).lower():
            raise InputError(
                f"{archive}: takes too much memory to unpack; pack it with xz -9 or less"
            ) from None
        raise InputError(f"{archive}: is corrupt: {error}") from None
    except _CORRUPT as error:
        # Python tells of such numbers how a program would be made to read them.
        many = "set_int_max_str_digits" in str(error)
        why = "a number of thousands of digits" if many else str(error)
        raise InputError(f"{archive}: is truncated or corrupt: {why}") from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise InputError(f"{archive}: is corrupt: its parts lie where it has none") from None
    except (NotImplementedError, zipfile.LargeZipFile) as error:
        # zipfile's words for a compression, or a feature of the format, that Python does not know.
        raise InputError(f"{archive}: is packed in a way that cannot be read: {error}") from None


# --- tar ----------------------------------------------------------------------------------------


def _tar_members(path: Path, limits: Limits) -> Iterator[Member]:
    with path.open("rb") as packed:
        is_gzip = packed.read(2) == _GZIP
        packed.seek(0)
        unpacked = gzip.GzipFile(fileobj=packed) if is_gzip else _Xz(packed)
        with unpacked:
            counted = _Counted(cast("BinaryIO", unpacked), limits)
            with tarfile.open(
                fileobj=counted, mode="r|", tarinfo=_checked_header(limits.archive)
            ) as tar:
                while (info := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined] # it would keep all of them
                    counted.for_header_bytes = None
                    member = _tar_member(tar, info, limits)
                    yield member
                    _read_rest(member)
                    counted.for_header_bytes = _LARGEST_HEADERS_BYTES
                counted.for_header_bytes = None
                # To the end of the stream, where its checksum is.
                while counted.read(_PIECE_BYTES):
                    continue


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo, limits: Limits) -> Member:
    limits.add_file()
    parts = safe_parts(info.name, limits.archive)
    if info.issym() or info.islnk():
        raise _not_a_file(info.name, "a link", limits)
    if not (info.isreg() or info.isdir()):
        raise _not_a_file(info.name, "a device or a pipe", limits)
    if info.issparse():
        raise _not_a_file(info.name, "a sparse file", limits)
    if info.size < 0:
        raise InputError(f"{limits.archive}: is corrupt: a file of less than nothing")
    size_bytes = 0 if info.isdir() else info.size
    limits.check_bytes(limits.unpacked_bytes + size_bytes)
    content = cast("BinaryIO", tar.extractfile(info)) if size_bytes else io.BytesIO()
    return Member(parts, info.isdir(), size_bytes, lambda: content)


def _read_rest(member: Member) -> None:
    """Read what nobody has read: tarfile would seek there, past any end that there is."""
    content = member.open()
    while not content.closed and content.read(_PIECE_BYTES):
        continue


def _not_a_file(name: str, what: str, limits: Limits) -> InputError:
    return InputError(
        f"{limits.archive}: holds {shown_name(name)}, {what}, so it is refused; pack regular "
        "files and folders only"
    )


def _checked_header(archive: str) -> type[tarfile.TarInfo]:
    extended_bytes = global_bytes = 0

    class CheckedHeader(tarfile.TarInfo):
        """A header that ends nothing silently and costs no memory."""

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            # For tarfile these two are ends like any other.
            if len(buf) < tarfile.BLOCKSIZE:
                raise InputError(f"{archive}: is truncated: it has no end mark")
            try:
                header = super().frombuf(buf, encoding, errors)
            except tarfile.HeaderError as error:
                if not any(buf):
                    raise
                raise InputError(f"{archive}: is corrupt, or holds no tar: {error}") from None
            nonlocal extended_bytes, global_bytes
            if header.type not in _EXTENDED:
                extended_bytes = 0
            elif header.type == tarfile.XGLTYPE:
                global_bytes += header.size
            else:
                extended_bytes += header.size
            largest = max(extended_bytes, global_bytes)
            if header.size < 0 or largest > _LARGEST_HEADER_BYTES:
                raise InputError(f"{archive}: is corrupt: a header of {largest} bytes")
            return header

    return CheckedHeader


class _Counted(io.RawIOBase):
    """What comes out of a compressed stream, counted.

    Attributes
    ----------
    for_header_bytes
        So much may be read until a member has been found; None for no limit.
    """

    def __init__(self, inner: BinaryIO, limits: Limits) -> None:
        self._inner = inner
        self._limits = limits
        self.for_header_bytes: int | None = _LARGEST_HEADERS_BYTES

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        piece = self._inner.read(size)
        self._limits.add_bytes(len(piece))
        if self.for_header_bytes is not None:
            self.for_header_bytes -= len(piece)
            if self.for_header_bytes < 0:
                raise InputError(f"{self._limits.archive}: is corrupt: its headers do not end")
        return piece


class _Xz(io.RawIOBase):
    """An xz file, which may be several one after the other, with a bound of the memory it takes.

    `lzma.LZMAFile` has no such bound.
    """

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._decompressor = _xz_decompressor()
        self._begun = False
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._ended:
            if self._decompressor.eof:
                self._next_stream()
                continue
            piece = b""
            if self._decompressor.needs_input:
                piece = self._packed.read(_PIECE_BYTES)
                if not piece:
                    raise EOFError
            data = self._decompressor.decompress(piece, size)
            if data:
                return data
        return b""

    def _next_stream(self) -> None:
        rest = self._decompressor.unused_data or self._packed.read(_PIECE_BYTES)
        # Between streams there may be padding.
        while rest and not rest.strip(b"\0"):
            rest = self._packed.read(_PIECE_BYTES)
        rest = rest.lstrip(b"\0")
        if not rest:
            self._ended = True
            return
        self._decompressor = _xz_decompressor()
        self._packed.seek(-len(rest), io.SEEK_CUR)


def _xz_decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


# --- zip ----------------------------------------------------------------------------------------


def _zip_members(path: Path, limits: Limits) -> Iterator[Member]:
    with (
        _ZipFile(path.open("rb", buffering=0), limits.archive) as file,
        zipfile.ZipFile(file) as archive,
    ):
        infos = archive.infolist()
        _check_overlap(infos, limits.archive)
        # The list at the end says it all before anything is unpacked; more than it says of a
        # file is not read.
        limits.add_bytes(sum(info.file_size for info in infos))
        for info in infos:
            limits.add_file()
            yield _zip_member(archive, info, limits)


class _ZipFile(io.BufferedReader):
    """A file that nobody reads all of into memory, as zipfile does with a zip's list."""

    def __init__(self, file: io.FileIO, archive: str) -> None:
        super().__init__(file)
        self._archive = archive

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = _LARGEST_LIST_BYTES  # that is the end of the file, with its comment
        if size > _LARGEST_LIST_BYTES:
            raise InputError(
                f"{self._archive}: the list of its files takes more than "
                f"{format_bytes(_LARGEST_LIST_BYTES)}, so it is refused"
            )
        return super().read(size)


def _check_overlap(infos: list[zipfile.ZipInfo], archive: str) -> None:
    """Refuse a zip whose files share bytes, so that a small one holds as much as one likes."""
    places = sorted((info.header_offset, info.compress_size) for info in infos)
    for (first, size_bytes), (second, _) in itertools.pairwise(places):
        if first + size_bytes > second:
            raise InputError(f"{archive}: is corrupt: files in it overlap")


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits) -> Member:
    # Of a name with a NUL the module keeps what stands before it.
    parts = safe_parts(info.orig_filename, limits.archive)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise _not_a_file(info.filename, "a link", limits)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _not_a_file(info.filename, "a device or a pipe", limits)
    if info.flag_bits & _ENCRYPTED:
        raise InputError(
            f"{limits.archive}: {shown_name(info.filename)} is encrypted; pack it without a "
            "password"
        )
    if info.compress_type not in _ZIP_METHODS:
        raise InputError(
            f"{limits.archive}: {shown_name(info.filename)} is compressed in a way that is not "
            "accepted; accepted: deflate, store"
        )
    is_folder = info.is_dir()
    return Member(
        parts,
        is_folder,
        0 if is_folder else info.file_size,
        lambda: _opened(archive, info),
    )


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    return cast("BinaryIO", archive.open(info))
