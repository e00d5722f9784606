"""Archives for tests: good ones, and such as nobody should unpack."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL = {
    "data/README": b"an observation",
    "data/sim-vis.ms/table.dat": b"main table",
    "data/sim-vis.ms/table.f0": bytes(range(256)) * 400,
    "data/sim-vis.ms/ANTENNA/table.dat": b"antennas",
}
SET = {
    name.removeprefix("data/sim-vis.ms/"): content
    for name, content in MODEL.items()
    if "sim-vis.ms" in name
}


def packed(kind: str, files: Mapping[str, bytes] = MODEL) -> bytes:
    """Return an archive of `files`: ``tar.gz``, ``tar.xz``, ``tar.bz2`` or ``zip``."""
    if kind == "zip":
        return zip_of(*files.items())
    return tar_of(*(regular(name, content) for name, content in files.items()), kind=kind)


def regular(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    """Return a regular file of a tar."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def special(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """Return a member of a tar that is no regular file."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info, b""


def tar_of(*members: tuple[tarfile.TarInfo, bytes], kind: str = "tar.gz") -> bytes:
    """Return a tar of members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{kind.partition('.')[2]}") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_of(
    *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """Return a zip of members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()
