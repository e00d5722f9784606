"""The programs that build images: docker, podman or buildah, whichever works on this machine."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from images.errors import BuildError
from images.running import answer, run

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BUILDERS", "Builder", "find_builder"]

BUILDERS = ("docker", "podman", "buildah")
_PULL_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Builder:
    """One of them, with the words that each has for the same thing.

    Attributes
    ----------
    name
        The command.
    verbose
        Show all it prints.
    """

    name: str
    verbose: bool = False

    def image_id(self, image: str) -> str | None:
        """Return the identifier of an image that is there, None if it is not."""
        if self.name == "buildah":
            found = answer(["buildah", "images", "--quiet", "--no-trunc", image])
        else:
            found = answer([self.name, "image", "inspect", "--format", "{{.Id}}", image])
        return found.splitlines()[0] if found else None

    def pull(self, image: str) -> bool:
        """Fetch an image from its registry; whether that worked."""
        return answer([self.name, "pull", self.full_name(image)], _PULL_TIMEOUT_S) is not None

    def full_name(self, image: str) -> str:
        """Return a name that needs no list of registries, which podman and buildah may not have."""
        if self.name == "docker" or "." in image.partition("/")[0] or image.startswith("localhost"):
            return image
        return f"docker.io/{image}" if "/" in image else f"docker.io/library/{image}"

    def build(
        self, context: Path, containerfile: str, image: str, arguments: Mapping[str, str]
    ) -> None:
        """Build an image."""
        command = [self.name, "build", "--file", str(context / containerfile), "--tag", image]
        for name, value in arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        environment = {}
        if self.name == "docker":
            command += ["--build-arg", "SOURCE_DATE_EPOCH=0", "--progress=plain"]
            environment["DOCKER_BUILDKIT"] = "1"
        else:
            command += ["--layers", "--timestamp", "0"]
        if self.name == "buildah" and "BUILDAH_ISOLATION" not in os.environ:
            # Works inside containers and without cgroups as well; what is built is our own.
            command += ["--isolation", "chroot"]
        run([*command, str(context)], verbose=self.verbose, environment=environment)

    def import_root(self, archive: Path, image: str) -> None:
        """Make an image of the archive of a root file system."""
        if self.name != "buildah":
            run([self.name, "import", str(archive), image], verbose=self.verbose)
            return
        with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
            Path(folder, "root.tar").hardlink_to(archive)
            Path(folder, "Containerfile").write_text("FROM scratch\nADD root.tar /\n")
            self.build(Path(folder), "Containerfile", image, {})

    def archive(self, image: str, path: Path) -> None:
        """Write an image into a file that containerd can import."""
        path.parent.mkdir(parents=True, exist_ok=True)
        work = path.with_name(f".{path.name}")
        work.unlink(missing_ok=True)  # none of them writes over an archive
        commands = {
            "docker": ["docker", "save", "--output", str(work), image],
            "podman": ["podman", "save", "--format", "oci-archive", "--output", str(work), image],
            "buildah": ["buildah", "push", "--quiet", image, f"oci-archive:{work}:{image}"],
        }
        run(commands[self.name], verbose=self.verbose)
        work.replace(path)


def find_builder(name: str | None = None, *, verbose: bool = False) -> Builder:
    """Return the builder of that name, or the first that works.

    Raises
    ------
    BuildError
        None works.
    """
    reasons = []
    for candidate in [name] if name else BUILDERS:
        # A command without its daemon, or without the rights that it needs, answers with an error.
        if answer([candidate, "info"], timeout_s=20.0) is not None:
            return Builder(candidate, verbose)
        there = any(Path(folder, candidate).exists() for folder in os.get_exec_path())
        reasons.append(f"{candidate} {'does not work' if there else 'is not there'}")
    raise BuildError(
        f"nothing to build images with: {', '.join(reasons)}. Start the docker daemon, or install "
        "podman or buildah (on Debian: apt-get install buildah), then see that `buildah info` works"
    )
