"""Images as their archives have them, unpacked and run by runc: no daemon, no registry."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_TIMEOUT_S = 280.0


def find_runc() -> str | None:
    """Return where runc is: Debian has it where only root's paths lead."""
    return shutil.which("runc", path=_FOLDERS)


@dataclass(frozen=True)
class UnpackedImage:
    """An image on the disk.

    Attributes
    ----------
    config
        What a container is started with: user, environment, labels.
    root
        Its file system.
    """

    config: dict[str, Any]
    root: Path

    @classmethod
    def of(cls, archive: Path, folder: Path) -> UnpackedImage:
        """Unpack an OCI archive, layer upon layer."""
        root = folder / "root"
        root.mkdir(parents=True)
        with tarfile.open(archive) as tar:
            manifest = _blob(tar, _json(tar, "index.json")["manifests"][0]["digest"])
            config = _blob(tar, manifest["config"]["digest"])["config"]
            for layer in manifest["layers"]:
                packed = tar.extractfile(_path(layer["digest"]))
                with tarfile.open(fileobj=packed) as content:
                    _lay(content, root)
        return cls(config, root)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the image gives to a container."""
        return dict(item.split("=", 1) for item in self.config["Env"])

    def run(
        self,
        *command: str,
        user: int = 1000,
        environment: Mapping[str, str] | None = None,
        mounts: Mapping[Path, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a restricted pod would: read-only root, no rights, /tmp and /results."""
        bundle = self.root.parent / f"bundle-{uuid.uuid4().hex}"
        bundle.mkdir()
        variables = [f"{k}={v}" for k, v in (self.environment | dict(environment or {})).items()]
        binds = [_bind(source, target) for source, target in (mounts or {}).items()]
        process = {
            "user": {"uid": user, "gid": 0},
            "cwd": self.config["WorkingDir"],
            "args": list(command),
            "env": variables,
            "noNewPrivileges": True,
        }
        namespaces = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
        spec = {
            "ociVersion": "1.0.2",
            "root": {"path": str(self.root), "readonly": True},
            "process": process,
            "mounts": [*_SYSTEM_MOUNTS, _tmpfs("/tmp"), _tmpfs("/results"), *binds],  # noqa: S108 (the container's)
            "linux": {"namespaces": namespaces},
        }
        (bundle / "config.json").write_text(json.dumps(spec))
        runc = find_runc()
        assert runc is not None
        return subprocess.run(
            [runc, "run", "--bundle", bundle, bundle.name],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )

    def files(self, *patterns: str) -> list[str]:
        """Return the files whose paths match."""
        found = [path for pattern in patterns for path in self.root.glob(pattern)]
        return sorted(str(path.relative_to(self.root)) for path in found)

    @property
    def byte_count(self) -> int:
        """Bytes of all its files."""
        return sum(p.lstat().st_size for p in self.root.rglob("*") if not p.is_dir())


def _tmpfs(target: str) -> dict[str, Any]:
    options = ["nosuid", "nodev", "mode=1777"]
    return {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options}


def _bind(source: Path, target: str) -> dict[str, Any]:
    return {"destination": target, "type": "bind", "source": str(source), "options": ["bind", "ro"]}


_SYSTEM_MOUNTS: Sequence[dict[str, Any]] = (
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {
        "destination": "/dev",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "strictatime", "mode=755"],
    },
    _tmpfs("/dev/shm"),  # noqa: S108 (the container's)
)


def _json(tar: tarfile.TarFile, path: str) -> dict[str, Any]:
    file = tar.extractfile(path)
    assert file is not None, path
    return cast("dict[str, Any]", json.load(file))


def _blob(tar: tarfile.TarFile, digest: str) -> dict[str, Any]:
    return _json(tar, _path(digest))


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _lay(content: tarfile.TarFile, root: Path) -> None:
    """Lay a layer over what is there; files named .wh.X take X away."""
    members = []
    for member in content:
        path = Path(member.name)
        if not path.name.startswith(_WHITEOUT):
            members.append(member)
            continue
        gone = [root / path.with_name(path.name.removeprefix(_WHITEOUT))]
        for one in (root / path.parent).iterdir() if path.name == _OPAQUE else gone:
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one)
            else:
                one.unlink(missing_ok=True)
    for member in members:
        target = root / member.name
        if not member.isdir() and (target.is_symlink() or target.is_file()):
            target.unlink()
    content.extractall(root, members, filter="fully_trusted")  # noqa: S202 (links of ours are absolute)
