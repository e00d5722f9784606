"""What the images stand on: a public image of Python, or Debian's own Python made by mmdebstrap."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from images.errors import BuildError
from images.running import answer, run, say, timed

if TYPE_CHECKING:
    from pathlib import Path

    from images.builders import Builder

__all__ = ["LOCAL", "PUBLIC", "find_base"]

PUBLIC = "python:3.11-slim-bookworm"
LOCAL = "local"

_SUITE = "bookworm"  # with Python 3.11, for which the lock files are made
# The last two are rdma-core, which spead2 loads where there is an RDMA card.
_PACKAGES = "python3,ca-certificates,libstdc++6,tzdata,ibverbs-providers,librdmacm1"
# openssl's scripts alone want Perl, which is a third of the whole.
_NEEDLESS = ("openssl", "perl", "perl-modules-5.36", "libperl5.36")
_RECIPE = [
    "mmdebstrap",
    "--quiet",
    "--variant=essential",
    f"--include={_PACKAGES}",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    f'--customize-hook=chroot "$1" dpkg --purge --force-depends {" ".join(_NEEDLESS)}',
    _SUITE,
]


def find_base(builder: Builder, wanted: str | None, cache: Path, *, fresh: bool = False) -> str:
    """Return the name of a base image that is there.

    Parameters
    ----------
    wanted
        Its name; `LOCAL`: one made here; None: the public one where it can be had.
    fresh
        Fetch or make it anew.

    Raises
    ------
    BuildError
        It cannot be had.
    """
    if wanted == LOCAL:
        return _local_base(builder, cache, fresh=fresh)
    name = builder.full_name(wanted or PUBLIC)
    if not fresh and builder.image_id(name):
        return name
    if builder.pull(name) or (fresh and builder.image_id(name)):
        return name
    if wanted:
        raise BuildError(
            f"the base image {wanted} is neither here nor can it be pulled (`{builder.name} pull "
            f"{name}` says why); BASE={LOCAL} makes one of Debian's packages"
        )
    say(f"{PUBLIC} cannot be pulled: a base of Debian's packages is made here instead")
    return _local_base(builder, cache, fresh=fresh)


def _local_base(builder: Builder, cache: Path, *, fresh: bool) -> str:
    # A new one every month, for the sake of Debian's security updates.
    recipe = hashlib.sha256(repr(_RECIPE).encode()).hexdigest()[:8]
    tag = f"{_SUITE}-{time.strftime('%Y%m', time.gmtime())}-{recipe}"
    image = f"localhost/vis-receive/base:{tag}"
    if not fresh and builder.image_id(image):
        return image
    archive = cache / f"base-{tag}.tar"
    if fresh or not archive.exists():
        if answer(["mmdebstrap", "--version"]) is None:
            raise BuildError(
                f"no base image: {PUBLIC} cannot be pulled, and mmdebstrap, which would make one "
                "of Debian's packages, is not there (apt-get install mmdebstrap); or BASE=NAME"
            )
        for old in cache.glob("*base-*.tar"):
            old.unlink()
        work = cache / f".{archive.name}"
        with timed("base of Debian's packages"):
            run([*_RECIPE, str(work)], verbose=builder.verbose)
        work.replace(archive)
    builder.import_root(archive, image)
    return image
